//! `/api/v1/vms/{id}/disks` and `/nics`: devices of machines that run, proven from inside the guest.

use crate::bed::{Bed, PATIENCE, refused};
use hyper::Method;
use lab::{linux, wait};
use serde_json::{Value, json};

/// A running Linux guest with room to grow; none, and a line that says why, where there can be none.
pub async fn linux_guest(bed: &mut Bed, name: &str) -> Option<String> {
    linux_guest_with(bed, name, json!({})).await
}

/// The same with options.
pub async fn linux_guest_with(bed: &mut Bed, name: &str, options: Value) -> Option<String> {
    if let Some(why) = linux::missing() {
        eprintln!("skipped: {why}");
        return None;
    }
    let disk = std::fs::read(linux::disk().unwrap()).unwrap();
    let answer = bed.upload("linux", disk).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let image = answer.json().unwrap()["id"].clone();
    let memory = linux::MEMORY_MIB;
    let room = json!({"cpus_max": 2, "memory_min_mib": 64});
    let guest = json!({"memory_mib": memory, "headroom": room, "start": true, "options": options,
        "disks": [{"from": "image", "image": image}]});
    let vm = bed.create_vm(name, guest).await;
    sees(bed, &vm, "it starts", |line| line.contains("cpus=0 ")).await;
    Some(vm)
}

/// All that the guest has said on its first serial port.
pub fn said(bed: &Bed, vm: &str) -> String {
    let log = bed.host.libvirt.outside(format!("/run/quantix/vm/{vm}/serial.log").as_ref());
    String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned()
}

/// The newest whole line of the guest.
fn newest(bed: &Bed, vm: &str) -> Option<String> {
    let text = said(bed, vm);
    let lines: Vec<&str> = text.split(linux::SAYS).filter(|line| line.contains(" .")).collect();
    lines.last().map(|line| (*line).to_owned())
}

/// Waits until the guest tells of what is wanted; answers its line.
pub async fn sees(bed: &Bed, vm: &str, what: &str, wanted: impl Fn(&str) -> bool) -> String {
    let wanted = &wanted;
    let what = format!("the guest sees: {what}");
    let seen = wait::until(&what, PATIENCE * 2, || async move {
        let line = newest(bed, vm).unwrap_or_default();
        anyhow::ensure!(wanted(&line), "it sees {line:?}");
        Ok(Some(line))
    });
    seen.await.unwrap_or_else(|error| panic!("{error:#}\n{}", bed.host.log_tail()))
}

async fn pending(bed: &mut Bed, vm: &str) -> Value {
    bed.get(&format!("vms/{vm}")).await["pending"].clone()
}

async fn network(bed: &mut Bed) -> String {
    let row = bed.finds("networks", "the default network", |row| row["status"]["phase"] == "ready").await;
    row["id"].as_str().unwrap().to_owned()
}

/// The last 20 digits of a volume's id: its serial number.
pub fn serial(volume: &str) -> String {
    volume.replace('-', "")[12..].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_guest_sees_devices_come_change_and_go() {
    let Some(mut bed) = Bed::start().await else { return };
    let Some(vm) = linux_guest(&mut bed, "live").await else { return };
    let (disks, nics) = (format!("vms/{vm}/disks"), format!("vms/{vm}/nics"));

    // Two disks; the first goes, the second keeps its name.
    for size in [8 << 20, 16 << 20] {
        let answer = bed.post(&disks, json!({"from": "blank", "size_bytes": size})).await;
        bed.done(&answer).await;
    }
    let detail = bed.get(&format!("vms/{vm}")).await;
    let id = |n: usize| detail["disks"][n]["id"].as_str().unwrap().to_owned();
    let second = format!("vdc={}:{}", (16 << 20) / 512, serial(&id(2)));
    let first = format!("vdb={}:{}", (8 << 20) / 512, serial(&id(1)));
    sees(&bed, &vm, "two disks", |line| line.contains(&first) && line.contains(&second)).await;
    let answer = bed.delete(&format!("{disks}/{}?delete=true", id(1))).await;
    bed.done(&answer).await;
    sees(&bed, &vm, "one disk less", |line| !line.contains("vdb=") && line.contains(&second)).await;
    assert!(!bed.pool_files("volumes").iter().any(|file| file.starts_with(&id(1))));

    // It grows under the guest, and not back.
    let grown = format!("{disks}/{}", id(2));
    let answer = bed.ask(Method::PATCH, &grown, json!({"size_bytes": 32 << 20})).await;
    bed.done(&answer).await;
    let larger = format!("vdc={}:", (32 << 20) / 512);
    sees(&bed, &vm, "a larger disk", |line| line.contains(&larger)).await;
    let smaller = bed.ask(Method::PATCH, &grown, json!({"size_bytes": 8 << 20})).await;
    refused(&smaller, 422, "invalid");

    // A card comes, loses its cable and goes.
    let network = network(&mut bed).await;
    let answer = bed.post(&nics, json!({"network": network})).await;
    bed.done(&answer).await;
    let mac = bed.get(&format!("vms/{vm}")).await["nics"][0]["nic"]["mac"].as_str().unwrap().to_owned();
    sees(&bed, &vm, "a card", |line| line.contains(&format!("{mac}=1"))).await;
    for (plugged, carrier) in [(false, 0), (true, 1)] {
        let answer = bed.ask(Method::PATCH, &format!("{nics}/{mac}"), json!({"plugged": plugged})).await;
        bed.done(&answer).await;
        sees(&bed, &vm, "the cable", |line| line.contains(&format!("{mac}={carrier}"))).await;
    }
    let answer = bed.delete(&format!("{nics}/{mac}")).await;
    bed.done(&answer).await;
    sees(&bed, &vm, "no card", |line| !line.contains(&mac)).await;

    // A CPU comes at once, memory goes by the balloon, and nothing waits.
    let edit = json!({"cpus": 2, "memory_mib": linux::MEMORY_MIB - 64});
    let answer = bed.ask(Method::PATCH, &format!("vms/{vm}"), edit).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    sees(&bed, &vm, "a second CPU", |line| line.contains("cpus=0-1 ")).await;
    let less = |line: &str| {
        let memory =
            line.split("memory=").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
        memory.is_some_and(|mib| mib < linux::MEMORY_MIB - 64)
    };
    sees(&bed, &vm, "less memory", less).await;

    // A CPU goes at the next power-off, and so does what can't change now.
    let edit = json!({"cpus": 1, "firmware": "uefi", "name": "renamed"});
    let answer = bed.ask(Method::PATCH, &format!("vms/{vm}"), edit).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let told =
        bed.finds("vms", "what waits", |row| row["status"]["pending"].as_array().map_or(0, Vec::len) >= 2);
    let told = told.await["status"]["pending"].to_string();
    assert!(told.contains("CPUs: 1 (now 2)") && told.contains("firmware: UEFI (now BIOS)"), "{told}");
    let all = pending(&mut bed, &vm).await.to_string();
    assert!(all.contains("its name inside libvirt, which is live until then"), "{all}");
    let answer = bed.ask(Method::PATCH, &format!("vms/{vm}"), json!({"firmware": "bios"})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    bed.power(&vm, "force_off").await;
    bed.finds("vms", "nothing waits", |row| row["status"].get("pending").is_none()).await;
    bed.power(&vm, "start").await;
    // Linux counts its names anew at each boot; the place on the bus and the serial number stay.
    let kept = format!("={}:{}", (32 << 20) / 512, serial(&id(2)));
    sees(&bed, &vm, "one CPU, and the disk", |line| line.contains("cpus=0 ") && line.contains(&kept)).await;
    let places = bed.host.libvirt.run_inside("virsh", &["-q", "domblklist", &vm]).unwrap();
    assert!(places.contains("vdc") && !places.contains("vdb"), "{places}");
    assert_eq!(bed.get(&format!("vms/{vm}")).await["vm"]["status"].get("drift"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_keeps_a_device_is_told_of_and_it_goes_at_the_power_off() {
    let Some(mut bed) = Bed::start().await else { return };
    let image = bed.boot_image("boot", "deaf to plugs").await;
    let vm =
        bed.create_vm("deaf", json!({"start": true, "disks": [{"from": "image", "image": image}]})).await;
    let disks = format!("vms/{vm}/disks");
    let answer = bed.post(&disks, json!({"from": "blank", "size_bytes": 8 << 20})).await;
    bed.done(&answer).await;
    let volume = bed.get(&format!("vms/{vm}")).await["disks"][1]["id"].as_str().unwrap().to_owned();
    let answer = bed.delete(&format!("{disks}/{volume}")).await;
    let task = bed.ended(&answer).await;
    assert_eq!(task["state"], "failed", "{task:#}");
    let why = task["problem"]["detail"].as_str().unwrap();
    assert!(why.contains("did not let go") && why.contains("next power-off"), "{why}");
    let told = bed.finds("vms", "what waits", |row| !row["status"]["pending"].is_null()).await;
    assert!(told["status"]["pending"].to_string().contains("disk vdb is detached"), "{told:#}");
    assert_eq!(bed.get(&format!("volumes/{volume}")).await["spec"]["vm"], *vm, "it is not free yet");
    bed.power(&vm, "force_off").await;
    let free = |row: &Value| row["id"] == *volume && row["spec"]["vm"].is_null();
    bed.finds("volumes", "the volume is free", free).await;
    let live = bed.host.libvirt.run_inside("virsh", &["-q", "domblklist", &vm]).unwrap();
    assert!(!live.contains("vdb"), "{live}");
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_of_a_machine_that_is_off_change_and_sata_waits() {
    let Some(mut bed) = Bed::start().await else { return };
    let vm = bed.create_vm("cold", json!({"disks": [{"from": "blank", "size_bytes": 1 << 20}]})).await;
    let (path, disks) = (format!("vms/{vm}"), format!("vms/{vm}/disks"));
    let first = bed.get(&path).await["disks"][0]["id"].as_str().unwrap().to_owned();
    let answer = bed.ask(Method::PATCH, &format!("{disks}/{first}"), json!({"size_bytes": 4 << 20})).await;
    bed.done(&answer).await;
    assert_eq!(bed.get(&path).await["disks"][0]["spec"]["size_bytes"], 4 << 20);
    let file = bed.host.pool().join("volumes").join(format!("{first}.qcow2"));
    let info =
        std::process::Command::new("qemu-img").args(["info", "--output=json"]).arg(&file).output().unwrap();
    let info: Value = serde_json::from_slice(&info.stdout).unwrap();
    assert_eq!(info["virtual-size"], 4 << 20);
    let answer = bed.delete(&format!("{disks}/{first}")).await;
    bed.done(&answer).await;
    let answer = bed.post(&disks, json!({"from": "volume", "volume": first})).await;
    bed.done(&answer).await;
    let network = network(&mut bed).await;
    let answer = bed.post(&format!("vms/{vm}/nics"), json!({"network": network})).await;
    bed.done(&answer).await;

    bed.power(&vm, "start").await;
    let sata = json!({"from": "blank", "size_bytes": 1 << 20, "bus": "sata"});
    let answer = bed.post(&disks, sata).await;
    bed.done(&answer).await;
    let told = bed.finds("vms", "what waits", |row| !row["status"]["pending"].is_null()).await;
    assert!(told["status"]["pending"].to_string().contains("disk sdb is attached"), "{told:#}");
    let attached = |bed: &Bed| bed.host.libvirt.run_inside("virsh", &["-q", "domblklist", &vm]).unwrap();
    assert!(!attached(&bed).contains("sdb"));
    bed.power(&vm, "force_off").await;
    bed.power(&vm, "start").await;
    assert!(attached(&bed).contains("sdb"), "{}", attached(&bed));
    bed.finds("vms", "nothing waits", |row| row["status"].get("pending").is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_do_to_devices_is_told_and_not_undone() {
    let Some(mut bed) = Bed::start().await else { return };
    let disks = json!([{"from": "blank", "size_bytes": 1 << 20}, {"from": "blank", "size_bytes": 1 << 20}]);
    let vm = bed.create_vm("theirs", json!({"disks": disks, "start": true})).await;
    let file = bed.scratch().join("scratch.raw");
    std::fs::write(&file, vec![0; 1 << 20]).unwrap();
    let file = file.to_str().unwrap();
    let attach = ["-q", "attach-disk", &vm, file, "vdz", "--live", "--driver", "qemu", "--subdriver", "raw"];
    bed.host.libvirt.run_inside("virsh", &attach).unwrap();
    let told = bed.finds("vms", "the strange disk", |row| !row["status"]["drift"].is_null()).await;
    assert!(told["status"]["drift"].to_string().contains("scratch.raw is attached, not wanted"), "{told:#}");
    assert_eq!(told["status"].get("pending"), None, "{told:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_goes_on_where_a_crash_cut_it_off() {
    let Some(mut bed) = Bed::start().await else { return };
    let vm = bed.create_vm("cut", json!({"start": true})).await;
    let (disks, mut volumes) = (format!("vms/{vm}/disks"), Vec::new());
    for pause in [0, 20, 60, 150] {
        let answer = bed.post(&disks, json!({"from": "blank", "size_bytes": 1 << 20})).await;
        // The point of the kill is what this test varies: it waits for a moment, not for a state.
        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        bed.crash().await;
        bed.done(&answer).await;
        let detail = bed.get(&format!("vms/{vm}")).await;
        volumes.push(detail["disks"].as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_owned());
    }
    for (index, volume) in volumes.iter().enumerate() {
        let grown = json!({"size_bytes": 2 << 20});
        let answer = bed.ask(Method::PATCH, &format!("{disks}/{volume}"), grown).await;
        tokio::time::sleep(std::time::Duration::from_millis(40 * index as u64)).await;
        bed.crash().await;
        bed.done(&answer).await;
    }
    let live = bed.host.libvirt.run_inside("virsh", &["-q", "domblklist", &vm]).unwrap();
    for (volume, target) in volumes.iter().zip(["vda", "vdb", "vdc", "vdd"]) {
        assert!(live.lines().any(|l| l.contains(target) && l.contains(volume.as_str())), "{live}");
        let row = bed.get(&format!("volumes/{volume}")).await;
        assert_eq!(row["spec"]["size_bytes"], 2 << 20);
    }
    // libvirt's daemon goes away in the middle of one.
    let answer = bed.post(&disks, json!({"from": "blank", "size_bytes": 1 << 20})).await;
    bed.host.libvirt.kill().unwrap();
    bed.host.libvirt.restart().unwrap();
    let task = bed.ended(&answer).await;
    let rows = bed.get("volumes").await;
    let count = rows["items"].as_array().unwrap().len();
    assert_eq!(count, if task["state"] == "succeeded" { 5 } else { 4 }, "{task:#} {rows:#}");
    crate::bed::pool_is_consistent(&mut bed).await;
}
