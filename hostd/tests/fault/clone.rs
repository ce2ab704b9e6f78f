//! kill -9 of the daemon, a change of mind and a full disk in the middle of a copy: it ends, or nothing is left of it.

use super::space::{fill, small_pool};
use crate::api::snapshots::{active, content, merged};
use crate::bed::{Bed, PATIENCE, pool_is_consistent};
use serde_json::{Value, json};

/// What is copied, MiB: enough to be in the middle of it.
const COPIED: usize = 600;

/// Begins a copy of a machine and waits until bytes are on their way; answers what the request was answered.
async fn begin(bed: &mut Bed, vm: &str, name: &str) -> lab::http::Answer {
    let answer = bed.post(&format!("vms/{vm}/clone"), json!({"name": name})).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let dir = bed.host.pool().join("volumes");
    let part = lab::wait::until("bytes of the copy", PATIENCE, || {
        let files = crate::bed::files(&dir);
        let begun = files.iter().filter(|file| file.ends_with(".part"));
        let sizes = begun.map(|file| std::fs::metadata(dir.join(file)).map_or(0, |m| m.len()));
        let begun = sizes.max().is_some_and(|bytes| bytes > 1 << 20);
        async move { Ok(begun.then_some(())) }
    });
    part.await.unwrap_or_else(|error| panic!("{error:#}\n{}", bed.host.log_tail()));
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_survives_its_daemon_and_leaves_nothing_when_it_is_called_off() {
    let Some(mut bed) = Bed::start().await else { return };
    let vm = bed.create_vm("large", json!({"disks": [{"from": "blank", "size_bytes": COPIED << 20}]})).await;
    let (path, format) = active(&mut bed, &vm, 0).await;
    let order = format!("write -P 17 0 {COPIED}M");
    bed.host.libvirt.run_inside("qemu-io", &["-f", format, "-c", &order, path.to_str().unwrap()]).unwrap();

    let answer = begin(&mut bed, &vm, "survives").await;
    let (task, clone) = named(&answer);
    bed.crash().await;
    let ended = bed.task_ended(&task).await;
    assert_eq!(ended["state"], "succeeded", "{ended:#}");
    let now = content(&mut bed, &clone, 0).await;
    assert!(now.len() == COPIED << 20 && now.iter().all(|byte| *byte == 17));
    merged(&mut bed, &vm).await;
    let answer = bed.delete(&format!("vms/{clone}?disks=true")).await;
    bed.done(&answer).await;

    let answer = begin(&mut bed, &vm, "called-off").await;
    let (task, _) = named(&answer);
    let running = bed.get(&format!("tasks/{task}")).await;
    assert_eq!(running["progress"]["total"], COPIED << 20, "{running:#}");
    let asked = bed.post(&format!("tasks/{task}/cancel"), Value::Null).await;
    assert!(asked.status.is_success(), "{}", asked.text());
    let ended = bed.task_ended(&task).await;
    assert_eq!(ended["problem"]["kind"], "cancelled", "{ended:#}");
    merged(&mut bed, &vm).await;
    assert_eq!(bed.names("vms").await, ["large"]);
    pool_is_consistent(&mut bed).await;
}

fn named(answer: &lab::http::Answer) -> (String, String) {
    let accepted = answer.json().unwrap();
    (accepted["task"].as_str().unwrap().to_owned(), accepted["id"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_copy_that_finds_no_room_leaves_nothing() {
    let Some(mut bed) = small_pool().await else { return };
    let vm = bed.create_vm("tight", json!({"disks": [{"from": "blank", "size_bytes": 16 << 20}]})).await;
    let (path, _) = active(&mut bed, &vm, 0).await;
    let order = ["-f", "qcow2", "-c", "write -P 7 0 13M", path.to_str().unwrap()];
    bed.host.libvirt.run_inside("qemu-io", &order).unwrap();
    let copy = json!({"name": "copy"});
    let answer = bed.post(&format!("vms/{vm}/clone"), copy.clone()).await;
    let task = bed.ended(&answer).await;
    let said = task["problem"]["detail"].as_str().unwrap();
    assert!(said.contains("the copy takes up to 13") && said.contains("linked clone"), "{task:#}");
    nothing_left(&mut bed, &vm).await;

    // Not even room for a layer: its snapshot can't be taken.
    fill(&bed);
    let linked = json!({"name": "copy", "mode": "linked"});
    let answer = bed.post(&format!("vms/{vm}/clone"), linked.clone()).await;
    let task = bed.ended(&answer).await;
    assert!(task["problem"]["detail"].as_str().unwrap().contains("pool is full"), "{task:#}");
    nothing_left(&mut bed, &vm).await;
    let filler = bed.host.pool().join("filler");
    bed.host.libvirt.run_inside("rm", &[filler.to_str().unwrap()]).unwrap();
    let answer = bed.post(&format!("vms/{vm}/clone"), linked).await;
    bed.done(&answer).await;
}

async fn nothing_left(bed: &mut Bed, vm: &str) {
    merged(bed, vm).await;
    assert_eq!(bed.names("vms").await, ["tight"]);
    assert_eq!(bed.get("volumes").await["total"], 1);
    let dir = bed.host.pool().join("volumes").display().to_string();
    let files = bed.host.libvirt.run_inside("ls", &[&dir]).unwrap();
    assert_eq!(files.lines().count(), 1, "{files}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_deleted_in_mid_copy_leaves_nothing() {
    let Some(mut bed) = Bed::start().await else { return };
    let vm = bed.create_vm("large", json!({"disks": [{"from": "blank", "size_bytes": COPIED << 20}]})).await;
    let (path, format) = active(&mut bed, &vm, 0).await;
    let order = format!("write -P 17 0 {COPIED}M");
    bed.host.libvirt.run_inside("qemu-io", &["-f", format, "-c", &order, path.to_str().unwrap()]).unwrap();
    let answer = begin(&mut bed, &vm, "deleted").await;
    let (task, clone) = named(&answer);
    let deletion = bed.delete(&format!("vms/{clone}?disks=true")).await;
    bed.done(&deletion).await;
    assert_eq!(bed.task_ended(&task).await["state"], "failed");
    merged(&mut bed, &vm).await;
    assert_eq!(bed.names("vms").await, ["large"]);
    pool_is_consistent(&mut bed).await;
    // What it was copied from is free.
    let answer = bed.delete(&format!("vms/{vm}?disks=true")).await;
    bed.done(&answer).await;
    assert!(bed.pool_files("volumes").is_empty(), "{:?}", bed.pool_files("volumes"));
}
