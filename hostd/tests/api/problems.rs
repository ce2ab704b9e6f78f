//! Every refusal has the same shape, whoever made it.

use crate::bed::{Bed, pointers, refused};
use hyper::Method;
use hyper::body::Bytes;
use serde_json::{Value, json};

#[tokio::test]
async fn every_refusal_has_the_same_shape() {
    let Some(mut bed) = Bed::start().await else { return };
    let id = "0192c1d4-7b1e-7c3a-9d3e-2f6a1b0c4d5e";
    refused(&bed.ask(Method::GET, "nothing", Value::Null).await, 404, "not-found");
    refused(&bed.ask(Method::GET, "vms/rubbish", Value::Null).await, 404, "not-found");
    refused(&bed.ask(Method::GET, &format!("vms/{id}"), Value::Null).await, 404, "not-found");
    refused(&bed.ask(Method::GET, "vms?limit=many", Value::Null).await, 400, "bad-request");

    let answer = bed.ask(Method::PUT, "vms", json!({})).await;
    refused(&answer, 405, "bad-request");
    assert!(answer.headers["allow"].to_str().unwrap().contains("POST"));

    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    let http = &mut bed.console;
    let answer = http.send_bytes(Method::POST, "/api/v1/vms", Some("text/plain"), bytes("{}")).await.unwrap();
    refused(&answer, 415, "bad-request");
    let answer =
        http.send_bytes(Method::POST, "/api/v1/vms", Some("application/json"), bytes("{\"name\"")).await;
    refused(&answer.unwrap(), 400, "bad-request");
    let huge = Bytes::from(format!("{{\"name\": \"{}\"}}", "x".repeat(300_000)));
    let answer = http.send_bytes(Method::POST, "/api/v1/vms", Some("application/json"), huge).await.unwrap();
    refused(&answer, 413, "bad-request");

    let answer = bed.post("volumes", json!({"name": "v", "size_bytes": 1 << 20, "sise": 3})).await;
    assert_eq!(pointers(&refused(&answer, 422, "invalid")), ["/sise"]);
    let answer = bed.post("volumes", json!({"name": "v", "size_bytes": "big"})).await;
    assert_eq!(pointers(&refused(&answer, 422, "invalid")), ["/size_bytes"]);

    bed.console.fields = vec![("idempotency-key", "yes please".into())];
    refused(&bed.post("volumes", json!({"name": "v", "size_bytes": 1 << 20})).await, 400, "bad-request");
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let Some(bed) = Bed::start().await else { return };
    let answer = bed.network().send(Method::GET, "/api/v1/health", None).await.unwrap();
    assert_eq!(answer.json().unwrap(), json!({"status": "ok"}));
    for (name, value) in [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY")] {
        assert_eq!(answer.headers[name], value);
    }
    assert!(answer.headers.contains_key("content-security-policy"));
    assert!(answer.headers.contains_key("x-request-id"));
}

#[tokio::test]
async fn an_unknown_page_says_so_and_leaves_the_way_back() {
    let Some(bed) = Bed::start().await else { return };
    let answer = bed.browser().await.send(Method::GET, "/vm?x=1", None).await.unwrap();
    assert_eq!(answer.status, 404);
    let page = answer.text();
    assert!(page.contains("There is no page /vm.") && page.contains("href=\"/vms\""), "{page}");
}
