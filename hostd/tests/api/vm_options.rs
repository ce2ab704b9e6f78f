//! Options of a machine's hardware: a real QEMU has them, its guest sees them, and they change when they can.

use super::vm_devices::sees;
use super::vm_shares;
use crate::bed::{Bed, pointers, refused};
use hyper::Method;
use lab::linux;
use serde_json::{Value, json};
use std::path::Path;

/// A disk whose boot sector tells QEMU that the guest's kernel panicked (pvpanic's port).
fn panicking() -> Vec<u8> {
    let code = [0xba, 0x05, 0x05, 0xb0, 0x01, 0xee, 0xf4, 0xeb, 0xfd];
    let mut disk = vec![0; 1 << 20];
    disk[..code.len()].copy_from_slice(&code);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

/// A disk whose boot sector starts the 6300ESB watchdog, about 1 s twice, and never touches it again.
fn hanging() -> Vec<u8> {
    let code = [
        // The firmware's interrupt 0x1a, function 0xb102, finds the device by its ids.
        0xb8, 0x02, 0xb1, 0xb9, 0xab, 0x25, 0xba, 0x86, 0x80, 0x31, 0xf6, 0xcd, 0x1a,
        // 0xb10c writes the word at 0x60: count microseconds.
        0xb8, 0x0c, 0xb1, 0xb9, 0x04, 0x00, 0xbf, 0x60, 0x00, 0xcd, 0x1a,
        // 0xb10b writes the byte at 0x68: begin.
        0xb8, 0x0b, 0xb1, 0xb9, 0x02, 0x00, 0xbf, 0x68, 0x00, 0xcd, 0x1a, 0xf4, 0xeb, 0xfd,
    ];
    let mut disk = vec![0; 1 << 20];
    disk[..code.len()].copy_from_slice(&code);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

fn xml(bed: &Bed, vm: &str, more: &[&str]) -> String {
    bed.host.libvirt.run_inside("virsh", &[&["-q", "dumpxml", vm], more].concat()).unwrap()
}

fn lacks_swtpm() -> bool {
    let missing = !Path::new("/usr/bin/swtpm").exists();
    if missing {
        eprintln!("skipped: swtpm is not installed");
    }
    missing
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_sees_what_its_machine_was_given() {
    let Some(mut bed) = Bed::start().await else { return };
    if let Some(why) = linux::missing() {
        eprintln!("skipped: {why}");
        return;
    }
    if lacks_swtpm() {
        return;
    }
    let answer = bed.upload("linux", std::fs::read(linux::disk().unwrap()).unwrap()).await;
    let image = answer.json().unwrap()["id"].clone();
    let network = bed.finds("networks", "the network", |row| row["status"]["phase"] == "ready").await;
    let limits = json!({"read_iops": {"per_second": 500, "burst": 900, "burst_seconds": 3}});
    let disks = json!([
        {"from": "image", "image": image, "options": {"boot": 1, "cache": "none", "io": "native"}},
        {"from": "blank", "size_bytes": 8 << 20, "bus": "scsi", "options": {"limits": limits}},
    ]);
    let nics = json!([{"network": network["id"], "model": "e1000e", "mac": "52:54:00:AB:00:01"}]);
    let options = json!({
        "tpm": true, "serial_ports": 2, "channels": ["com.example.0"],
        "watchdog": {"model": "i6300esb", "action": "pause"},
        "video": {"model": "virtio", "heads": 2},
        "rng": {"bytes_per_second": 4096},
        "cpu_share": {"reservation_percent": 50},
    });
    let machine = json!({"memory_mib": linux::MEMORY_MIB, "disks": disks, "nics": nics,
        "boot": ["cdrom", "network"], "options": options, "shares": vm_shares::wanted(), "start": true});
    let vm = bed.create_vm("all", machine).await;
    let line = sees(&bed, &vm, "its devices", |line| line.contains("tpm=2")).await;
    for part in ["sda=16384:", "ports=com.example.0,org.qemu.guest_agent.0", "8086:10d3", "8086:25ab"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let live = xml(&bed, &vm, &[]);
    for part in
        ["<read_iops_sec_max_length>3<", "heads='2'", "<rate bytes='4096' period='1000'/>", "io='native'"]
    {
        assert!(live.contains(part), "{part}: {live}");
    }
    let state = bed.host.libvirt.outside(Path::new(&format!("/var/lib/libvirt/swtpm/{vm}/tpm2")));
    assert!(state.exists(), "the TPM keeps its state");
    let detail = bed.get(&format!("vms/{vm}")).await;
    assert_eq!(detail["vm"]["status"].get("drift"), None, "{detail:#}");
    assert_eq!(detail["vm"]["status"].get("pending"), None, "{detail:#}");

    vm_shares::both_see_it(&mut bed, &vm).await;

    // Another SCSI disk and another e1000e card come while it runs; limits change at once.
    let path = format!("vms/{vm}");
    let scsi = json!({"from": "blank", "size_bytes": 4 << 20, "bus": "scsi"});
    let answer = bed.post(&format!("{path}/disks"), scsi).await;
    bed.done(&answer).await;
    sees(&bed, &vm, "a second SCSI disk", |line| line.contains("sdb=8192:")).await;
    let disk = detail["disks"][1]["id"].as_str().unwrap().to_owned();
    let tuned =
        json!({"options": {"limits": {"write_bytes": {"per_second": 1 << 20}}, "cache": "writeback"}});
    let answer = bed.ask(Method::PATCH, &format!("{path}/disks/{disk}"), tuned).await;
    bed.done(&answer).await;
    let live = xml(&bed, &vm, &[]);
    assert!(live.contains("<write_bytes_sec>1048576<") && !live.contains("read_iops_sec"), "{live}");
    let told = bed.finds("vms", "what waits", |row| !row["status"]["pending"].is_null()).await;
    let told = told["status"]["pending"].to_string();
    assert!(told.contains("cache of disk sdaa: writeback (now none)"), "{told}");
    assert!(!told.contains("limits"), "they are there already: {told}");

    at_the_power_off(&mut bed, &vm, &state).await;
}

/// What can't change now is taken and applies at the power-off.
async fn at_the_power_off(bed: &mut Bed, vm: &str, state: &Path) {
    let path = format!("vms/{vm}");
    let edit = json!({"options": {"watchdog": {"action": "reset"}}, "firmware": "uefi_secure", "shares": []});
    let answer = bed.ask(Method::PATCH, &path, edit).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let waits = |row: &Value| row["status"]["pending"].to_string().contains("Secure Boot");
    let told = bed.finds("vms", "what waits", waits).await["status"]["pending"].to_string();
    for part in ["TPM: none (now 2.0)", "watchdog: i6300esb, reset (now i6300esb, pause)"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    vm_shares::waits(bed, vm, &told).await;
    bed.power(vm, "force_off").await;
    bed.power(vm, "start").await;
    let live = xml(bed, vm, &[]);
    for part in ["<feature enabled='yes' name='enrolled-keys'/>", "secure='yes'", "<smm state='on'/>"] {
        assert!(live.contains(part), "{part}: {live}");
    }
    assert!(!live.contains("<tpm") && !live.contains("<filesystem"), "{live}");
    bed.finds("vms", "nothing waits", |row| row["status"].get("pending").is_none()).await;
    let vars =
        bed.host.libvirt.outside(Path::new(&format!("/var/lib/libvirt/qemu/nvram/{vm}_SECURE_VARS.fd")));
    assert!(vars.exists());
    bed.power(vm, "force_off").await;
    assert!(state.exists(), "that of the TPM it had is kept while it is there");
    let answer = bed.delete(&format!("{path}?disks=true")).await;
    bed.done(&answer).await;
    assert!(!vars.exists() && !state.exists(), "variables and TPM go with the machine");
    vm_shares::stays(bed);
}

#[tokio::test]
async fn others_limits_are_told_and_not_undone() {
    let Some(mut bed) = Bed::start().await else { return };
    let disks = json!([{"from": "blank", "size_bytes": 1 << 20}]);
    let vm = bed.create_vm("theirs", json!({"disks": disks, "start": true})).await;
    let limit = ["-q", "blkdeviotune", &vm, "vda", "--write-iops-sec", "7", "--live"];
    bed.host.libvirt.run_inside("virsh", &limit).unwrap();
    let told = bed.finds("vms", "the strange limit", |row| !row["status"]["drift"].is_null()).await;
    assert!(
        told["status"]["drift"].to_string().contains("limits of disk vda: write_iops 7, wanted none"),
        "{told:#}"
    );
}

#[tokio::test]
async fn a_panic_does_what_was_chosen() {
    let Some(mut bed) = Bed::start().await else { return };
    let answer = bed.upload("panic", panicking()).await;
    let image = answer.json().unwrap()["id"].clone();
    let machine = |on_crash: &str| json!({"disks": [{"from": "image", "image": image}], "options": {"on_crash": on_crash}});
    let off = bed.create_vm("off", machine("off")).await;
    bed.power(&off, "start").await;
    bed.vm_is(&off, "crashed").await;

    let kept = bed.create_vm("kept", machine("keep")).await;
    bed.power(&kept, "start").await;
    bed.vm_is(&kept, "paused").await;
    let status = bed.get(&format!("vms/{kept}")).await["vm"]["status"].clone();
    assert_eq!(status["reason"], "the guest panicked", "{status:#}");
    bed.host.libvirt.qemu("kept").expect("its QEMU is there");
    let task = bed.power(&kept, "reset").await;
    assert_eq!(task["state"], "succeeded", "it runs into the same panic again: {task:#}");
    bed.vm_is(&kept, "paused").await;
    bed.power(&kept, "force_off").await;
    bed.vm_is(&kept, "off").await;

    let dumped = bed.create_vm("dumped-under-a-long-name", machine("dump")).await;
    bed.power(&dumped, "start").await;
    bed.vm_is(&dumped, "crashed").await;
    let dir = bed.host.libvirt.outside(Path::new("/var/lib/libvirt/qemu/dump"));
    let dumps = crate::bed::files(&dir);
    assert_eq!(dumps.len(), 1, "{dumps:?}");
    // What old dumps are known by: number, twenty characters of the name, time.
    let (id, rest) = dumps[0].split_once('-').unwrap();
    let time = rest.strip_prefix("dumped-under-a-long--").unwrap_or_else(|| panic!("{dumps:?}"));
    let form: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert!(id.parse::<u32>().is_ok() && form == "0000-00-00-00:00:00", "{dumps:?}");
    assert!(std::fs::metadata(dir.join(&dumps[0])).unwrap().len() > 1 << 20, "its memory");
    let said = |part: &'static str| move |row: &Value| row["detail"].as_str().unwrap_or("").contains(part);
    bed.finds("events", "the event of the dump", said("its memory is written to")).await;

    let again = bed.create_vm("again", machine("restart")).await;
    bed.power(&again, "start").await;
    bed.finds("events", "the event of the start", said("the machine was started again")).await;
    let task = bed.power(&again, "force_off").await;
    assert_eq!(task["state"], "succeeded", "{task:#}");

    // A watchdog has the memory written out, too, and the guest goes on.
    let answer = bed.upload("hang", hanging()).await;
    let image = answer.json().unwrap()["id"].clone();
    let dog = json!({"watchdog": {"model": "i6300esb", "action": "dump"}});
    let asked = json!({"name": "hangs", "cpus": 1, "memory_mib": 32, "options": dog,
        "disks": [{"from": "image", "image": image}], "start": true});
    let answer = bed.post("vms", asked).await;
    bed.done(&answer).await;
    let told = bed.finds("events", "the event of the watchdog", said("the guest's watchdog fired")).await;
    assert!(told["detail"].as_str().unwrap().contains("then it goes on"), "{told:#}");
    let goes_on = |row: &Value| {
        let dumped = crate::bed::files(&dir).iter().any(|file| file.contains("-hangs-"));
        dumped && row["spec"]["name"] == "hangs" && row["status"]["state"] == "running"
    };
    bed.finds("vms", "it goes on", goes_on).await;
}

#[tokio::test]
async fn bad_input_names_its_field_and_makes_nothing() {
    let Some(mut bed) = Bed::start().await else { return };
    let of = |options: Value| json!({"options": options});
    let disk = |disk: Value| {
        let mut whole = json!({"from": "blank", "size_bytes": 1 << 20});
        whole.as_object_mut().unwrap().extend(disk.as_object().cloned().unwrap());
        json!({"disks": [whole]})
    };
    for (body, at) in [
        (of(json!({"video": {"model": "cga"}})), "/options/video/model"),
        (of(json!({"video": {"model": "none", "heads": 2}})), "/options/video/heads"),
        (of(json!({"tmp": true})), "/options/tmp"),
        (of(json!({"channels": ["org.qemu.guest_agent.0"]})), "/options/channels/0"),
        (
            of(json!({"cpu_share": {"reservation_percent": 1_000_000}})),
            "/options/cpu_share/reservation_percent",
        ),
        (of(json!({"cpu_share": {"shares": 100}})), "/options/cpu_share/shares"),
        (of(json!({"watchdog": {"action": "bark"}})), "/options/watchdog/action"),
        (json!({"shares": [{"tag": "a b", "pool": "local", "folder": "x"}]}), "/shares/0/tag"),
        (json!({"shares": [{"tag": "a", "pool": "other", "folder": "x"}]}), "/shares/0/pool"),
        (json!({"shares": [{"tag": "a", "pool": "local", "folder": "../x"}]}), "/shares/0/folder"),
        (disk(json!({"options": {"cache": "unsafe"}})), "/disks/0"),
        (disk(json!({"options": {"io": "native"}})), "/disks/0/options/io"),
        (
            disk(json!({"options": {"limits": {"read_iops": {"per_second": 0}}}})),
            "/disks/0/options/limits/read_iops/per_second",
        ),
    ] {
        let mut machine = json!({"name": "bad", "cpus": 1, "memory_mib": 32});
        machine.as_object_mut().unwrap().extend(body.as_object().cloned().unwrap());
        let answer = bed.post("vms", machine).await;
        let problem = refused(&answer, 422, "invalid");
        assert_eq!(pointers(&problem), [at], "{body} {problem:#}");
    }
    assert!(bed.list("vms").await.is_empty());
    assert!(bed.pool_files("volumes").is_empty());
    vm_shares::no_link_is_followed(&mut bed).await;
}

#[test]
fn every_verb_about_options_is_there() {
    let help = crate::bed::hostd(&["ctl", "vm", "edit", "--help"]);
    for option in
        ["--tpm", "--watchdog", "--video", "--on-crash", "--cpu-reservation", "--serial-ports", "--share"]
    {
        assert!(help.contains(option), "{option}: {help}");
    }
}
