//! A clock set back a day.

use crate::bed::{Bed, program};
use serde_json::json;
use std::path::Path;

/// The library that shifts a program's clock.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

#[tokio::test]
async fn a_clock_set_back_is_noticed_and_sessions_stay() {
    if !Path::new(FAKETIME).exists() {
        eprintln!("skipped: {FAKETIME} is not installed");
        return;
    }
    let Some(mut bed) = Bed::start().await else { return };
    let mut browser = bed.browser().await;
    let vm = bed.create_vm("before", json!({})).await;
    let wrapper = bed.scratch().join("yesterday");
    let script =
        format!("#!/bin/sh\nexec env LD_PRELOAD={FAKETIME} FAKETIME=-1d {} \"$@\"\n", program().display());
    std::fs::write(&wrapper, script).unwrap();
    std::fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    bed.host.run_as(&wrapper);
    bed.crash().await;
    assert!(browser.get("/api/v1/session").await.is_ok());
    assert_eq!(bed.get(&format!("vms/{vm}")).await["vm"]["spec"]["name"], "before");
    let notices = bed.get("overview").await["notices"].to_string();
    assert!(notices.contains("clock"), "{notices}");
    bed.create_vm("after", json!({})).await;
}
