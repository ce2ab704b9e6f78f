//! Snapshots with memory: the guest goes on where it was, whatever happened since.

use super::snapshots::{content, merged, take, view};
use super::vm_devices::linux_guest;
use crate::bed::{Bed, PATIENCE, files, pointers, pool_is_consistent, refused};
use hyper::Method;
use lab::{linux, wait};
use serde_json::{Value, json};

/// One run of a guest: the first number that it told since it was started or went back, and the last.
#[derive(Debug, Clone, Copy)]
struct Run {
    first: u64,
    last: u64,
}

/// The runs of the guest since its machine was made.
fn runs(bed: &Bed, vm: &str) -> Vec<Run> {
    let log = bed.host.libvirt.outside(format!("/run/quantix/vm/{vm}/serial.log").as_ref());
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned();
    let mut runs: Vec<Run> = Vec::new();
    for told in text.split(linux::COUNTS).filter_map(|line| line.split_once(" .")?.0.trim().parse().ok()) {
        match runs.last_mut() {
            Some(run) if run.last < told => run.last = told,
            _ => runs.push(Run { first: told, last: told }),
        }
    }
    runs
}

async fn runs_until(bed: &Bed, vm: &str, what: &str, wanted: impl Fn(&[Run]) -> bool) {
    let wanted = &wanted;
    let seen = wait::until(what, PATIENCE * 2, || async move {
        let runs = runs(bed, vm);
        anyhow::ensure!(wanted(&runs), "it has counted {runs:?}");
        Ok(Some(()))
    });
    seen.await.unwrap_or_else(|error| panic!("{error:#}\n{}", bed.host.log_tail()))
}

/// Waits until the guest has counted to what is wanted.
pub async fn counts(bed: &Bed, vm: &str, what: &str, wanted: impl Fn(u64) -> bool) {
    runs_until(bed, vm, what, |runs| runs.last().is_some_and(|run| wanted(run.last))).await;
}

/// Goes back and waits until the guest counts on from where it was then, which was after `at`.
async fn goes_back(bed: &mut Bed, vm: &str, snapshot: &str, body: Value, at: u64) {
    let before = runs(bed, vm).len();
    revert(bed, vm, snapshot, body).await;
    bed.vm_is(vm, "running").await;
    // One that was started anew would begin with its first number.
    let goes_on = |run: &Run| run.first > at && run.last > run.first;
    runs_until(bed, vm, "the guest to go on", |runs| runs.iter().skip(before).any(goes_on)).await;
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
    counts(&bed, &vm, "the guest to count on", |n| n >= 50).await;
    goes_back(&mut bed, &vm, &kept, json!({}), 20).await;
    let detail = bed.get(&format!("vms/{vm}")).await;
    assert!(detail["vm"]["status"].get("drift").is_none(), "{detail:#}");
    assert_eq!(view(&mut bed, &vm).await["current"], json!(kept));

    bed.power(&vm, "force_off").await;
    bed.crash().await;
    goes_back(&mut bed, &vm, &kept, json!({"resume": true}), 20).await;
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
    let file = std::fs::OpenOptions::new().write(true).open(memory.join(format!("{kept}.memory")));
    std::io::Write::write_all(&mut file.unwrap(), b"LibvirtQemudPart").unwrap();
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
