//! `/api/v1/volumes`

use crate::bed::{Bed, pointers, refused};
use serde_json::json;

#[tokio::test]
async fn a_volume_is_a_file_from_its_creation_to_its_deletion() {
    let Some(mut bed) = Bed::start().await else { return };
    for (name, format) in [("one", "qcow2"), ("two", "raw")] {
        let answer =
            bed.post("volumes", json!({"name": name, "size_bytes": 8 << 20, "format": format})).await;
        let id = bed.done(&answer).await;
        let file = format!("{id}.{format}");
        assert!(bed.pool_files("volumes").contains(&file), "{:?}", bed.pool_files("volumes"));
        let view = bed.get(&format!("volumes/{id}")).await;
        assert_eq!((&view["spec"]["name"], &view["status"]["phase"]), (&json!(name), &json!("ready")));

        let answer = bed.delete(&format!("volumes/{id}")).await;
        bed.done(&answer).await;
        assert!(bed.pool_files("volumes").is_empty(), "{:?}", bed.pool_files("volumes"));
    }
}

#[tokio::test]
async fn sizes_and_names_are_checked() {
    let Some(mut bed) = Bed::start().await else { return };
    for size in [0_u64, 1000, u64::MAX, 65 << 40] {
        let answer = bed.post("volumes", json!({"name": "v", "size_bytes": size})).await;
        assert_eq!(pointers(&refused(&answer, 422, "invalid")), ["/size_bytes"], "{size}");
    }
    let answer = bed.post("volumes", json!({"name": "../v", "size_bytes": 1 << 20})).await;
    assert_eq!(pointers(&refused(&answer, 422, "invalid")), ["/name"]);
    let answer = bed.post("volumes", json!({"name": "v", "size_bytes": 1 << 20})).await;
    bed.done(&answer).await;
    let answer = bed.post("volumes", json!({"name": "V", "size_bytes": 1 << 20})).await;
    refused(&answer, 409, "exists");
}
