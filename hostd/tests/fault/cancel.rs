//! Merges that somebody cancels, and merges that are left over: what the disks hold stays, byte by byte.

use crate::api::snapshots::{active, content, merged, take, view, wrote_more};
use crate::bed::{Bed, PATIENCE, pool_is_consistent, refused};
use hyper::Method;
use lab::wait;
use serde_json::{Value, json};

/// Size of the disk and of what is merged, MiB.
const DISK: usize = 300;
const MERGED: usize = 280;

/// A running guest that writes, with a snapshot under a layer that takes a while to merge.
async fn writer(bed: &mut Bed) -> (String, String) {
    let image = bed.upload("writer", lab::writer::image(DISK << 20)).await.json().unwrap();
    let disks = json!([{"from": "image", "image": image["id"]}]);
    let vm = bed.create_vm("writer", json!({"disks": disks})).await;
    let snapshot = take(bed, &vm, "kept").await;
    let (path, format) = active(bed, &vm, 0).await;
    let order = format!("write -P 0x5a 2M {}M", MERGED - 2);
    bed.host.libvirt.run_inside("qemu-io", &["-f", format, "-c", &order, path.to_str().unwrap()]).unwrap();
    bed.power(&vm, "start").await;
    wrote_more(bed, &vm).await;
    (vm, snapshot)
}

/// Waits until QEMU merges, and slows it down so much that it does not end by itself.
async fn slowed(bed: &Bed) {
    let merging = wait::until("QEMU to merge", PATIENCE, || {
        let slow = bed.host.libvirt.run_inside("virsh", &["blockjob", "writer", "vda", "--bandwidth", "1"]);
        async move { Ok(slow.ok()) }
    });
    merging.await.unwrap_or_else(|error| panic!("{error:#}\n{}", bed.host.log_tail()));
}

fn job(bed: &Bed) -> String {
    bed.host.libvirt.run_inside("virsh", &["-q", "blockjob", "writer", "vda"]).unwrap_or_default()
}

fn is_filled(content: &[u8]) -> bool {
    content[2 << 20..MERGED << 20].iter().all(|byte| *byte == 0x5a)
}

fn task_of(answer: &Value) -> String {
    answer["task"].as_str().or_else(|| answer["task"]["id"].as_str()).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_merge_stops_at_once_and_goes_on_when_asked() {
    let Some(mut bed) = Bed::start().await else { return };
    let (vm, snapshot) = writer(&mut bed).await;
    let path = format!("vms/{vm}/snapshots/{snapshot}");
    let answer = bed.delete(&path).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    slowed(&bed).await;
    let task = task_of(&answer.json().unwrap());
    let cancelled = bed.qx(&["task", "cancel", &task]);
    assert!(cancelled.status.success(), "{cancelled:?}");
    let task = bed.task_ended(&task).await;
    assert_eq!(task["state"], "failed", "{task:#}");
    assert_eq!(task["problem"]["kind"], "cancelled", "{task:#}");
    assert!(task["problem"]["detail"].as_str().unwrap().contains("Delete it again"), "{task:#}");
    assert!(job(&bed).is_empty(), "{}", job(&bed));
    let seen = view(&mut bed, &vm).await;
    assert_eq!(seen["snapshots"][0]["status"]["stopped"], true, "{seen:#}");
    assert!(seen["debt"][0]["reason"].as_str().unwrap().contains("delete kept again"), "{seen:#}");
    refused(&bed.post(&format!("{path}/revert"), json!({})).await, 409, "wrong-state");
    // It rests, also over a restart, and whatever else is done with the disk.
    bed.crash().await;
    bed.vm_is(&vm, "running").await;
    wrote_more(&mut bed, &vm).await;
    let other = take(&mut bed, &vm, "other").await;
    wrote_more(&mut bed, &vm).await;
    assert!(job(&bed).is_empty(), "{}", job(&bed));
    bed.power(&vm, "force_off").await;
    assert!(is_filled(&content(&mut bed, &vm, 0).await));
    assert_eq!(view(&mut bed, &vm).await["snapshots"].as_array().unwrap().len(), 2);

    for id in [&snapshot, &other] {
        let answer = bed.ask(Method::DELETE, &format!("vms/{vm}/snapshots/{id}"), json!(null)).await;
        bed.done(&answer).await;
    }
    merged(&mut bed, &vm).await;
    let now = content(&mut bed, &vm, 0).await;
    assert!(is_filled(&now) && lab::writer::written(&now).unwrap() > 0);
    pool_is_consistent(&mut bed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_an_earlier_daemon_began_fails_no_snapshot() {
    let Some(mut bed) = Bed::start().await else { return };
    let (vm, snapshot) = writer(&mut bed).await;
    let answer = bed.delete(&format!("vms/{vm}/snapshots/{snapshot}")).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    slowed(&bed).await;
    bed.crash().await;
    let after = take(&mut bed, &vm, "after").await;
    wrote_more(&mut bed, &vm).await;
    bed.ended(&answer).await;
    let answer = bed.delete(&format!("vms/{vm}/snapshots/{after}")).await;
    bed.done(&answer).await;
    merged(&mut bed, &vm).await;
    bed.power(&vm, "force_off").await;
    let now = content(&mut bed, &vm, 0).await;
    assert!(is_filled(&now) && lab::writer::written(&now).unwrap() > 0);
    pool_is_consistent(&mut bed).await;
}
