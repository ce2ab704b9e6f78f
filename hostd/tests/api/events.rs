//! `/api/v1/events`: the audit trail and the stream of changes.

use crate::bed::{Bed, PATIENCE};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

#[tokio::test]
async fn the_stream_tells_what_changed() {
    let Some(mut bed) = Bed::start().await else { return };
    let mut stream = UnixStream::connect(bed.host.socket()).await.unwrap();
    let head = "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    read_until(&mut stream, &mut text, "event: ready").await;
    assert!(text.contains("text/event-stream"), "{text}");

    let answer = bed.post("volumes", json!({"name": "told", "size_bytes": 1 << 20})).await;
    let id = bed.done(&answer).await;
    let told = format!(r#""kind":"volume","id":"{id}""#);
    read_until(&mut stream, &mut text, &told).await;
}

async fn read_until(stream: &mut UnixStream, text: &mut String, what: &str) {
    let mut bytes = [0; 4096];
    let reading = async {
        while !text.contains(what) {
            let n = stream.read(&mut bytes).await.unwrap();
            assert!(n > 0, "the stream ended: {text}");
            text.push_str(&String::from_utf8_lossy(&bytes[..n]));
        }
    };
    timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("{what} did not come"));
}

#[tokio::test]
async fn every_change_and_every_refusal_is_an_event() {
    let Some(mut bed) = Bed::start().await else { return };
    let answer = bed.post("volumes", json!({"name": "v", "size_bytes": 1 << 20})).await;
    let id = bed.done(&answer).await;
    bed.post("volumes", json!({"name": "v", "size_bytes": 1 << 20})).await;
    let answer = bed.delete(&format!("volumes/{id}")).await;
    bed.done(&answer).await;
    let events = bed.get("events").await;
    let has = |action: &str, result: &str| {
        events["items"].as_array().unwrap().iter().any(|e| e["action"] == action && e["result"] == result)
    };
    for (action, result) in [("volume.create", "ok"), ("volume.create", "refused"), ("volume.delete", "ok")] {
        assert!(has(action, result), "{action} {result} is missing in {events:#}");
    }
}
