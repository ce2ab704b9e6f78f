//! Snapshots with memory: the guest goes on where it was, whatever happened since.

use super::snapshots::{content, merged, take, view};
use super::vm_devices::linux_guest;
use crate::bed::{Bed, PATIENCE, files, pointers, pool_is_consistent, refused};
use hyper::Method;
use lab::{linux, wait};
use serde_json::{Value, json};

/// How far the guest has counted since it was started, as it told last.
pub fn counted(bed: &Bed, vm: &str) -> Option<u64> {
    let log = bed.host.libvirt.outside(format!("/run/quantix/vm/{vm}/serial.log").as_ref());
    let text = String::from_utf8_lossy(&std::fs::read(log).ok()?).into_owned();
    let whole = text.split(linux::COUNTS).filter_map(|line| line.split_once(" .")?.0.trim().parse().ok());
    whole.last()
}

/// Waits until the guest has counted to what is wanted; answers how far.
pub async fn counts(bed: &Bed, vm: &str, what: &str, wanted: impl Fn(u64) -> bool) -> u64 {
    let wanted = &wanted;
    let seen = wait::until(what, PATIENCE * 2, || async move {
        let now = counted(bed, vm).unwrap_or_default();
        anyhow::ensure!(wanted(now), "it has counted to {now}");
        Ok(Some(now))
    });
    seen.await.unwrap_or_else(|error| panic!("{error:#}\n{}", bed.host.log_tail()))
}

async fn take_with_memory(bed: &mut Bed, vm: &str, name: &str) -> String {
    let answer =
        bed.post(&format!("vms/{vm}/snapshots"), json!({"name": name, "include_memory": true})).await;
    bed.done(&answer).await
}

async fn revert(bed: &mut Bed, vm: &str, snapshot: &str, body: Value) {
    let answer = bed.post(&format!("vms/{vm}/snapshots/{snapshot}/revert"), body).await;
    bed.done(&answer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_goes_on_from_its_memory() {
    let Some(mut bed) = Bed::start().await else { return };
    let Some(vm) = linux_guest(&mut bed, "counter").await else { return };
    counts(&bed, &vm, "the guest to count", |n| n >= 20).await;
    let kept = take_with_memory(&mut bed, &vm, "kept").await;
    bed.vm_is(&vm, "running").await;
    let seen = view(&mut bed, &vm).await;
    let status = &seen["snapshots"][0]["status"];
    assert!(status["memory_bytes"].as_u64().unwrap() > 1 << 20, "{seen:#}");
    assert_eq!(status["running"], true);
    let memory = bed.host.pool().join("memory");
    assert_eq!(files(&memory), [format!("{kept}.memory")]);
    let listed = bed.qx(&["vm", "snapshot", "list", "counter"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("of memory"), "{listed:?}");

    // It counts on after the snapshot, and from there when it goes back, while it runs and from off.
    let at = counts(&bed, &vm, "the guest to count on", |n| n >= 25).await;
    let later = counts(&bed, &vm, "the guest to run far ahead", |n| n >= at + 60).await;
    revert(&mut bed, &vm, &kept, json!({})).await;
    bed.vm_is(&vm, "running").await;
    let went_back = counts(&bed, &vm, "the guest to be where it was", |n| n < later - 20).await;
    assert!(went_back >= 20, "{went_back}: it was not started anew");
    counts(&bed, &vm, "the guest to go on", |n| n > went_back).await;
    let detail = bed.get(&format!("vms/{vm}")).await;
    assert!(detail["vm"]["status"].get("drift").is_none(), "{detail:#}");
    assert_eq!(view(&mut bed, &vm).await["current"], json!(kept));

    bed.power(&vm, "force_off").await;
    bed.crash().await;
    revert(&mut bed, &vm, &kept, json!({"resume": true})).await;
    bed.vm_is(&vm, "running").await;
    counts(&bed, &vm, "the guest to go on from off", |n| n > 20).await;
    bed.power(&vm, "force_off").await;
    // Under a new name, too.
    let answer = bed.ask(Method::PATCH, &format!("vms/{vm}"), json!({"name": "renamed"})).await;
    assert!(answer.status.is_success(), "{}", answer.text());
    revert(&mut bed, &vm, &kept, json!({})).await;
    bed.vm_is(&vm, "running").await;

    // The disks alone.
    revert(&mut bed, &vm, &kept, json!({"resume": false})).await;
    bed.vm_is(&vm, "off").await;
    let path = format!("vms/{vm}/snapshots/{kept}/revert");
    let both = refused(&bed.post(&path, json!({"resume": true, "start": true})).await, 422, "invalid");
    assert_eq!(pointers(&both), ["/start"]);
    // Memory that is not whole is not tried.
    let file = memory.join(format!("{kept}.memory")).display().to_string();
    let marked = format!("printf LibvirtQemudPart | dd conv=notrunc of={file}");
    bed.host.libvirt.run_inside("sh", &["-c", &marked]).unwrap();
    let answer = bed.post(&path, json!({})).await;
    let task = bed.ended(&answer).await;
    assert!(task["problem"]["detail"].as_str().unwrap().contains("can't be read whole"), "{task:#}");
    bed.vm_is(&vm, "off").await;
    // Another machine around it.
    let answer =
        bed.ask(Method::PATCH, &format!("vms/{vm}"), json!({"memory_mib": linux::MEMORY_MIB + 64})).await;
    assert!(answer.status.is_success(), "{}", answer.text());
    let other = refused(&bed.post(&path, json!({})).await, 422, "invalid");
    assert_eq!(pointers(&other), ["/resume"]);
    assert!(other.to_string().contains("the size of the memory"), "{other:#}");

    let disk = content(&mut bed, &vm, 0).await;
    let answer = bed.delete(&format!("vms/{vm}/snapshots/{kept}")).await;
    bed.done(&answer).await;
    merged(&mut bed, &vm).await;
    assert!(content(&mut bed, &vm, 0).await == disk, "a merge changes nothing");
    assert_eq!(files(&memory), Vec::<String>::new());
    pool_is_consistent(&mut bed).await;
}

#[tokio::test]
async fn memory_has_its_conditions() {
    let Some(mut bed) = Bed::start().await else { return };
    let disks = json!([{"from": "blank", "size_bytes": 1 << 20}]);
    let vm = bed.create_vm("fast", json!({"disks": disks, "cpu_mode": "performance", "start": true})).await;
    bed.vm_is(&vm, "running").await;
    let path = format!("vms/{vm}/snapshots");
    let ask = json!({"name": "a", "include_memory": true});
    let problem = refused(&bed.post(&path, ask.clone()).await, 422, "invalid");
    assert_eq!(pointers(&problem), ["/include_memory"]);
    let detail = problem["errors"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("disks alone") && detail.contains("Flexible"), "{detail}");
    let plain = take(&mut bed, &vm, "plain").await;
    let problem =
        refused(&bed.post(&format!("{path}/{plain}/revert"), json!({"resume": true})).await, 422, "invalid");
    assert_eq!(pointers(&problem), ["/resume"]);
    bed.power(&vm, "force_off").await;
    let answer = bed.ask(Method::PATCH, &format!("vms/{vm}"), json!({"cpu_mode": "flexible"})).await;
    assert!(answer.status.is_success(), "{}", answer.text());
    let problem = refused(&bed.post(&path, ask).await, 422, "invalid");
    assert!(problem.to_string().contains("only a guest that runs"), "{problem:#}");
}
