//! A machine's day: kept in minutes, over a crash, and removed with it.

use crate::bed::{Bed, files, refused};
use hyper::Method;
use lab::http::{Http, Target};
use lab::wait;
use serde_json::{Value, json};
use std::time::Duration;

/// A minute, with what a loaded machine takes longer.
const MINUTES: Duration = Duration::from_secs(170);

async fn history(bed: &Bed, vm: &str) -> Vec<Value> {
    let (path, socket) = (format!("/api/v1/vms/{vm}/history"), bed.host.socket());
    let found = wait::until("a minute of history", MINUTES, || {
        let (path, mut http) = (path.clone(), Http::new(Target::Unix(socket.clone())));
        async move {
            let minutes = http.get(&path).await?.as_array().cloned().unwrap_or_default();
            Ok((!minutes.is_empty()).then_some(minutes))
        }
    });
    found.await.unwrap_or_else(|error| panic!("{error:#}\n{}", bed.host.log_tail()))
}

#[tokio::test]
async fn a_minute_survives_a_crash_of_the_daemon_and_goes_with_its_machine() {
    let Some(mut bed) = Bed::start().await else { return };
    let image = bed.boot_image("boot", "measured").await;
    let vm = bed.create_vm("web", json!({"disks": [{"from": "image", "image": image}], "start": true})).await;
    assert_eq!(bed.get(&format!("vms/{vm}/history")).await, json!([]), "nothing was measured yet");
    let before = history(&bed, &vm).await;
    assert_eq!(before[0]["at"].as_i64().unwrap() % 60, 0);
    assert!(before[0]["memory_rss"].as_u64().unwrap() > 1 << 20, "{before:?}");
    let folder = bed.state().join("history");
    assert_eq!(files(&folder), [vm.as_str()]);
    bed.crash().await;
    assert_eq!(history(&bed, &vm).await[0], before[0]);
    bed.power(&vm, "force_off").await;
    let answer = bed.delete(&format!("vms/{vm}?disks=true")).await;
    bed.done(&answer).await;
    let gone = wait::until("the file gone", MINUTES, || {
        let there = files(&folder);
        async move { Ok(there.is_empty().then_some(())) }
    });
    gone.await.unwrap();
}

#[tokio::test]
async fn a_machine_is_measured_every_second_while_somebody_looks() {
    let Some(mut bed) = Bed::start().await else { return };
    let image = bed.boot_image("boot", "looked at").await;
    let vm = bed.create_vm("web", json!({"disks": [{"from": "image", "image": image}], "start": true})).await;
    let (path, socket) = (format!("/api/v1/vms/{vm}/seconds"), bed.host.socket());
    let found = wait::until("points a second apart", MINUTES, || {
        let (path, mut http) = (path.clone(), Http::new(Target::Unix(socket.clone())));
        async move {
            let points = http.get(&path).await?.as_array().cloned().unwrap_or_default();
            let at: Vec<i64> = points.iter().filter_map(|point| point["at"].as_i64()).collect();
            assert!(at.is_sorted_by(|a, b| a < b), "each moment once: {at:?}");
            Ok(at.windows(4).any(|four| four[3] - four[0] < 5).then_some(points))
        }
    });
    let points = found.await.unwrap_or_else(|error| panic!("{error:#}\n{}", bed.host.log_tail()));
    assert!(points.last().unwrap()["memory_rss"].as_u64().unwrap() > 1 << 20, "{points:?}");
    let nobody = "vms/01900000-0000-7000-8000-000000000000/seconds";
    refused(&bed.ask(Method::GET, nobody, Value::Null).await, 404, "not-found");
}
