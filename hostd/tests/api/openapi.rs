//! The API document is kept in the repository, so that a change of the API is seen in review.

use crate::bed::hostd;
use serde_json::Value;

#[test]
fn the_kept_document_is_what_the_handlers_say() {
    let kept = include_str!("../../docs/openapi.json");
    assert!(hostd(&["openapi"]) == kept, "run: cargo xtask openapi");
}

#[test]
fn every_operation_is_described_and_may_be_refused() {
    let document: Value = serde_json::from_str(&hostd(&["openapi"])).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
            if path != "/api/v1/health" {
                assert!(operation["responses"]["4XX"].is_object(), "{method} {path} is never refused");
            }
        }
    }
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    assert!(schemes.contains_key("token") && schemes.contains_key("session"));
}
