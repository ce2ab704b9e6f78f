//! `/api/v1/vms/{id}/snapshots`: disks of machines that are off, and of one that writes all the time.

use crate::bed::{Bed, pointers, pool_is_consistent, refused};
use hyper::Method;
use lab::http::{Http, Target};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Takes a snapshot and waits; answers its id.
pub async fn take(bed: &mut Bed, vm: &str, name: &str) -> String {
    let answer = bed.post(&format!("vms/{vm}/snapshots"), json!({"name": name})).await;
    bed.done(&answer).await
}

/// Everything about the snapshots of a machine.
pub async fn view(bed: &mut Bed, vm: &str) -> Value {
    bed.get(&format!("vms/{vm}/snapshots")).await
}

/// The file that the machine's disk `index` is written to, and its format.
pub async fn active(bed: &mut Bed, vm: &str, index: usize) -> (PathBuf, &'static str) {
    let volume = bed.get(&format!("vms/{vm}")).await["disks"][index].clone();
    let id = volume["id"].as_str().unwrap();
    let layer = volume["spec"]["layers"]["active"].as_str().unwrap_or("0000");
    let dir = bed.host.pool().join("volumes");
    match (layer.starts_with("0000"), volume["spec"]["format"].as_str()) {
        (true, Some("raw")) => (dir.join(format!("{id}.raw")), "raw"),
        (true, _) => (dir.join(format!("{id}.qcow2")), "qcow2"),
        (false, _) => (dir.join(format!("{id}.{layer}.qcow2")), "qcow2"),
    }
}

/// What a machine that is off has on its disk.
pub async fn content(bed: &mut Bed, vm: &str, index: usize) -> Vec<u8> {
    let (path, format) = active(bed, vm, index).await;
    let out = bed.scratch().join("content");
    let args = ["convert", "-U", "-f", format, "-O", "raw", path.to_str().unwrap(), out.to_str().unwrap()];
    bed.host.libvirt.run_inside("qemu-img", &args).unwrap();
    std::fs::read(out).unwrap()
}

/// Writes a MiB of `byte` at `mib` of a machine that is off.
pub async fn write(bed: &mut Bed, vm: &str, index: usize, mib: usize, byte: u8) {
    let (path, format) = active(bed, vm, index).await;
    let order = format!("write -P {byte} {mib}M 1M");
    bed.host.libvirt.run_inside("qemu-io", &["-f", format, "-c", &order, path.to_str().unwrap()]).unwrap();
}

async fn snapshot(bed: &mut Bed, method: Method, vm: &str, rest: &str, body: Value) -> String {
    let answer = bed.ask(method, &format!("vms/{vm}/snapshots/{rest}"), body).await;
    bed.done(&answer).await
}

#[tokio::test]
async fn disks_go_back_and_forth_while_the_machine_is_off() {
    let Some(mut bed) = Bed::start().await else { return };
    let disks = json!([{"from": "blank", "size_bytes": 8 << 20}, {"from": "blank", "size_bytes": 8 << 20, "format": "raw"}]);
    let vm = bed.create_vm("kept", json!({"disks": disks})).await;
    for disk in 0..2 {
        write(&mut bed, &vm, disk, 1, 0x11).await;
    }
    let first = take(&mut bed, &vm, "first").await;
    let again = bed.post(&format!("vms/{vm}/snapshots"), json!({"name": "FIRST"})).await;
    assert_eq!(pointers(&refused(&again, 409, "exists")), ["/name"]);
    for disk in 0..2 {
        write(&mut bed, &vm, disk, 2, 0x22).await;
    }
    let seen = view(&mut bed, &vm).await;
    assert_eq!((&seen["current"], &seen["chain"]), (&json!(first), &json!(2)), "{seen:#}");
    assert_eq!(seen["snapshots"][0]["spec"]["machine"]["name"], "kept");

    let body = json!({"snapshot_first": "second", "start": false});
    snapshot(&mut bed, Method::POST, &vm, &format!("{first}/revert"), body).await;
    for disk in 0..2 {
        let now = content(&mut bed, &vm, disk).await;
        assert_eq!((now[1 << 20], now[2 << 20]), (0x11, 0), "disk {disk}");
        write(&mut bed, &vm, disk, 3, 0x33).await;
    }
    let seen = view(&mut bed, &vm).await;
    let names: Vec<&str> =
        seen["snapshots"].as_array().unwrap().iter().map(|s| s["spec"]["name"].as_str().unwrap()).collect();
    assert_eq!((names, &seen["current"]), (vec!["first", "second"], &json!(first)), "{seen:#}");

    // Two branches start from it: it is kept without a name until one is left.
    snapshot(&mut bed, Method::DELETE, &vm, &first, json!(null)).await;
    let seen = view(&mut bed, &vm).await;
    assert_eq!(seen["debt"].as_array().unwrap().len(), 2, "{seen:#}");
    assert!(seen["debt"][0]["reason"].as_str().unwrap().contains("2 branches"), "{seen:#}");
    assert!(seen["current"].is_null());
    let second = seen["snapshots"][0]["id"].as_str().unwrap().to_owned();
    snapshot(&mut bed, Method::POST, &vm, &format!("{second}/revert"), json!({})).await;
    for disk in 0..2 {
        let now = content(&mut bed, &vm, disk).await;
        assert_eq!((now[1 << 20], now[2 << 20], now[3 << 20]), (0x11, 0x22, 0), "disk {disk}");
    }
    snapshot(&mut bed, Method::DELETE, &vm, &second, json!(null)).await;
    merged(&mut bed, &vm).await;
    for disk in 0..2 {
        let now = content(&mut bed, &vm, disk).await;
        assert_eq!((now[1 << 20], now[2 << 20], now[3 << 20]), (0x11, 0x22, 0), "disk {disk}");
    }
    pool_is_consistent(&mut bed).await;
    let events = bed.get(&format!("events?subject={vm}")).await.to_string();
    for action in
        ["snapshot.create", "snapshot.taken", "snapshot.revert", "snapshot.reverted", "snapshot.deleted"]
    {
        assert!(events.contains(action), "{action}");
    }
}

/// Waits until nothing is left to merge or to remove.
pub async fn merged(bed: &mut Bed, vm: &str) {
    let socket = bed.host.socket();
    let single = lab::wait::until("one layer for each disk", crate::bed::PATIENCE, || {
        let mut http = Http::new(Target::Unix(socket.clone()));
        let path = format!("/api/v1/vms/{vm}");
        async move {
            let detail = http.get(&path).await?;
            let layered = |disk: &Value| disk["spec"].get("layers").is_some();
            anyhow::ensure!(
                !detail["disks"].as_array().unwrap().iter().any(layered),
                "{:#}",
                detail["disks"]
            );
            Ok(Some(()))
        }
    });
    single.await.unwrap_or_else(|error| panic!("{error:#}\n{}", bed.host.log_tail()));
}

#[tokio::test]
async fn what_can_t_be_is_refused_at_its_field() {
    let Some(mut bed) = Bed::start().await else { return };
    let bare = bed.create_vm("bare", json!({})).await;
    let path = format!("vms/{bare}/snapshots");
    refused(&bed.post(&path, json!({"name": "x"})).await, 409, "conflict");
    let body = json!({"name": "a b", "include_memory": true, "quiesce": true});
    let problem = refused(&bed.post(&path, body).await, 422, "invalid");
    assert_eq!(pointers(&problem), ["/name", "/include_memory", "/quiesce"]);
    let none = "0192c1d4-7b1e-7c3a-9d3e-2f6a1b0c4d5e";
    refused(&bed.delete(&format!("{path}/{none}")).await, 404, "not-found");
    refused(&bed.post(&format!("{path}/{none}/revert"), json!({})).await, 404, "not-found");
    let disks = json!([{"from": "blank", "size_bytes": 1 << 20}]);
    let vm = bed.create_vm("long", json!({"disks": disks})).await;
    for n in 1..32 {
        take(&mut bed, &vm, &format!("s{n}")).await;
    }
    let full = bed.post(&format!("vms/{vm}/snapshots"), json!({"name": "s32"})).await;
    let problem = refused(&full, 507, "capacity");
    assert!(problem["detail"].as_str().unwrap().contains("Delete a snapshot first"), "{problem:#}");
    let answer = bed.delete(&format!("vms/{vm}?disks=true")).await;
    bed.done(&answer).await;
    assert!(bed.pool_files("volumes").is_empty(), "{:?}", bed.pool_files("volumes"));
}

#[tokio::test]
async fn a_guest_writes_on_through_snapshots_and_merges() {
    let Some(mut bed) = Bed::start().await else { return };
    let image = bed.upload("writer", lab::writer::image(4 << 20)).await.json().unwrap();
    let disks = json!([{"from": "image", "image": image["id"]}]);
    let vm = bed.create_vm("writer", json!({"disks": disks, "start": true})).await;
    bed.vm_is(&vm, "running").await;
    wrote_more(&mut bed, &vm).await;
    let first = take(&mut bed, &vm, "first").await;
    wrote_more(&mut bed, &vm).await;
    let second = take(&mut bed, &vm, "second").await;
    wrote_more(&mut bed, &vm).await;
    let no_agent = bed.post(&format!("vms/{vm}/snapshots"), json!({"name": "quiet", "quiesce": true})).await;
    let task = bed.ended(&no_agent).await;
    assert_eq!(task["state"], "failed", "{task:#}");
    assert!(task["problem"]["detail"].as_str().unwrap().contains("agent"), "{task:#}");
    let seen = view(&mut bed, &vm).await;
    assert_eq!(
        (seen["chain"].as_u64(), seen["snapshots"].as_array().unwrap().len()),
        (Some(3), 2),
        "{seen:#}"
    );

    // The middle, then the newest: the active layer goes.
    snapshot(&mut bed, Method::DELETE, &vm, &first, json!(null)).await;
    bed.vm_is(&vm, "running").await;
    wrote_more(&mut bed, &vm).await;
    snapshot(&mut bed, Method::DELETE, &vm, &second, json!(null)).await;
    merged(&mut bed, &vm).await;
    bed.vm_is(&vm, "running").await;
    let detail = bed.get(&format!("vms/{vm}")).await;
    assert!(detail["vm"]["status"].get("drift").is_none(), "{detail:#}");
    wrote_more(&mut bed, &vm).await;
    let states = bed.get(&format!("events?subject={vm}&limit=500")).await.to_string();
    assert!(!states.contains("paused"), "the moment of the switch is nobody's business: {states}");

    let third = take(&mut bed, &vm, "third").await;
    wrote_more(&mut bed, &vm).await;
    bed.power(&vm, "force_off").await;
    let last = lab::writer::written(&content(&mut bed, &vm, 0).await).unwrap();
    snapshot(&mut bed, Method::POST, &vm, &format!("{third}/revert"), json!({})).await;
    let then = lab::writer::written(&content(&mut bed, &vm, 0).await).unwrap();
    assert!(0 < then && then < last, "{then} {last}");
    snapshot(&mut bed, Method::POST, &vm, &format!("{third}/revert"), json!({"start": true})).await;
    bed.vm_is(&vm, "running").await;
    // Going back switches off what runs.
    snapshot(&mut bed, Method::POST, &vm, &format!("{third}/revert"), json!({})).await;
    bed.vm_is(&vm, "off").await;
    assert_eq!(lab::writer::written(&content(&mut bed, &vm, 0).await), Ok(then));
    snapshot(&mut bed, Method::DELETE, &vm, &third, json!(null)).await;
    merged(&mut bed, &vm).await;
    assert_eq!(lab::writer::written(&content(&mut bed, &vm, 0).await), Ok(then));
    pool_is_consistent(&mut bed).await;
}

/// Waits until the guest has written something since now.
pub async fn wrote_more(bed: &mut Bed, vm: &str) {
    let bytes = |bed: &Bed| {
        let stats =
            bed.host.libvirt.run_inside("virsh", &["-q", "domblkstat", vm, "vda"]).unwrap_or_default();
        let number = stats.lines().find_map(|line| line.split(" wr_req ").nth(1)?.trim().parse::<u64>().ok());
        number.unwrap_or(0)
    };
    let before = bytes(bed);
    let more = lab::wait::until("the guest to write", crate::bed::PATIENCE, || {
        let more = bytes(bed) > before + 3;
        async move { Ok(more.then_some(())) }
    });
    more.await.unwrap();
}

#[tokio::test]
async fn qx_takes_lists_reverts_and_deletes() {
    let Some(mut bed) = Bed::start().await else { return };
    let disks = json!([{"from": "blank", "size_bytes": 1 << 20}]);
    bed.create_vm("kept", json!({"disks": disks})).await;
    let qx = |args: &[&str]| {
        let output = bed.qx(&[&["vm", "snapshot"], args].concat());
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{args:?}: {out}{err}");
        out.into_owned()
    };
    assert!(qx(&["list", "kept"]).contains("no snapshots"));
    qx(&["create", "kept", "one", "--description", "the first"]);
    assert!(qx(&["list", "kept"]).contains("you are here"));
    qx(&["revert", "kept", "one", "--first", "two"]);
    let listed = qx(&["list", "kept"]);
    assert!(listed.contains("one") && listed.contains("two"), "{listed}");
    qx(&["delete", "kept", "one"]);
    assert!(qx(&["list", "kept"]).contains("two"));
}
