//! A clock set back a day.

use crate::bed::{Bed, FAKETIME};
use serde_json::json;
use std::path::Path;

#[tokio::test]
async fn a_clock_set_back_is_noticed_and_sessions_stay() {
    if !Path::new(FAKETIME).exists() {
        eprintln!("skipped: {FAKETIME} is not installed");
        return;
    }
    let Some(mut bed) = Bed::start().await else { return };
    let mut browser = bed.browser().await;
    let vm = bed.create_vm("before", json!({})).await;
    bed.crash_into(Some("-1d")).await;
    assert!(browser.get("/api/v1/session").await.is_ok());
    assert_eq!(bed.get(&format!("vms/{vm}")).await["vm"]["spec"]["name"], "before");
    let notices = bed.get("overview").await["notices"].to_string();
    assert!(notices.contains("clock"), "{notices}");
    bed.create_vm("after", json!({})).await;
}
