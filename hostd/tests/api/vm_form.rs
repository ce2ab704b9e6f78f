//! The form of a new machine: whatever it asks for arrives. The list of fields is taken from the page, so that a new field
//! without a case here fails.

use super::page_form::{Form, encoded};
use crate::bed::Bed;
use hyper::Method;
use lab::http::Http;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const FORM: Option<&str> = Some("application/x-www-form-urlencoded");

/// What is typed into a field, and where in the API's answer it is found as what.
struct Case {
    typed: String,
    found: Vec<(&'static str, Value)>,
    /// The page of the machine's hardware shows the field with the same content.
    edits: bool,
}

/// Things the form chooses from.
struct Things {
    network: String,
    iso: String,
    image: String,
    volume: String,
    folder: String,
}

/// Fields that say nothing of a machine: how many rows there are, the buttons, and the proofs of the page.
const OTHERS: [&str; 9] = ["csrf", "request", "rows", "disks", "nics", "users", "at", "next", "theme"];
/// Fields of a disk's source: which of them count is decided by where the disk comes from.
const SOURCES: [&str; 6] = ["size", "unit", "format", "image", "grow", "volume"];

fn of(typed: &str, edits: bool, found: Vec<(&'static str, Value)>) -> Option<Case> {
    Some(Case { typed: typed.to_owned(), found, edits })
}

fn spec(typed: &str, at: &'static str, wanted: Value) -> Option<Case> {
    of(typed, true, vec![(at, wanted)])
}

fn new(typed: &str, at: &'static str, wanted: Value) -> Option<Case> {
    of(typed, false, vec![(at, wanted)])
}

fn unused() -> Option<Case> {
    of("", false, Vec::new())
}

fn case(name: &str, things: &Things) -> Option<Case> {
    machine_case(name, things).or_else(|| disk_case(name, things)).or_else(|| guest_case(name, things))
}

fn machine_case(name: &str, things: &Things) -> Option<Case> {
    match name {
        "name" => spec("all-of-it", "/vm/spec/name", json!("all-of-it")),
        "description" => spec("what for", "/vm/spec/description", json!("what for")),
        "guest_os" => spec("debian", "/vm/spec/guest_os", json!("debian")),
        "folder" => new(&things.folder, "/vm/spec/filing/folder", json!(things.folder)),
        "tags" => new("env=prod", "/vm/meta/labels/env", json!("prod")),
        "notes" => new("Call Ann.", "/vm/spec/filing/notes", json!("Call Ann.")),
        "cpus" => spec("2", "/vm/spec/cpus", json!(2)),
        "memory" => of("1.5", false, vec![("/vm/spec/memory_mib", json!(1536))]),
        "memory_unit" => of("gib", false, vec![("/vm/spec/memory_mib", json!(1536))]),
        "cpus_max" => spec("2", "/vm/spec/hardware/headroom/cpus_max", json!(2)),
        "memory_max" => spec("2048", "/vm/spec/hardware/headroom/memory_max_mib", json!(2048)),
        "memory_min" => spec("512", "/vm/spec/hardware/headroom/memory_min_mib", json!(512)),
        "sockets" => spec("2", "/vm/spec/topology/sockets", json!(2)),
        "threads" => spec("1", "/vm/spec/topology/threads", json!(1)),
        "cpu_mode" => spec("performance", "/vm/spec/cpu_mode", json!("performance")),
        "firmware" => spec("uefi_secure", "/vm/spec/firmware", json!("uefi_secure")),
        // Without control of processor time these are refused, which is a test of its own.
        "cpu_shares" | "cpu_limit" => unused(),
        "cpu_reservation" => spec("50", "/vm/spec/options/cpu_share/reservation_percent", json!(50)),
        // Without huge pages set aside they are refused, which is a test of its own.
        "huge_pages" => unused(),
        "numa_nodes" => spec("2", "/vm/spec/options/memory/numa_nodes", json!(2)),
        "tpm" => spec("on", "/vm/spec/options/tpm", json!(true)),
        "watchdog" => spec("dump", "/vm/spec/options/watchdog/action", json!("dump")),
        "watchdog_model" => spec("i6300esb", "/vm/spec/options/watchdog/model", json!("i6300esb")),
        "on_crash" => spec("restart", "/vm/spec/options/on_crash", json!("restart")),
        "video" => spec("qxl", "/vm/spec/options/video/model", json!("qxl")),
        "video_memory" => spec("32", "/vm/spec/options/video/memory_mib", json!(32)),
        "screens" => spec("2", "/vm/spec/options/video/heads", json!(2)),
        "rng" => spec("on", "/vm/spec/options/rng", json!({"bytes_per_second": 1024})),
        "rng_rate" => spec("1024", "/vm/spec/options/rng/bytes_per_second", json!(1024)),
        "serial_ports" => spec("2", "/vm/spec/options/serial_ports", json!(2)),
        "channels" => spec("com.example.0", "/vm/spec/options/channels", json!(["com.example.0"])),
        "share0_tag" => spec("docs", "/vm/spec/hardware/shares/0/tag", json!("docs")),
        "share0_folder" => spec("team-docs", "/vm/spec/hardware/shares/0/folder", json!("team-docs")),
        "share1_tag" => spec("b", "/vm/spec/hardware/shares/1/tag", json!("b")),
        "share1_folder" => spec(
            "other",
            "/vm/spec/hardware/shares/1",
            json!({"tag": "b", "pool": "local", "folder": "other"}),
        ),
        "cdrom" => spec(&things.iso, "/vm/spec/cdrom", json!(things.iso)),
        "cdrom1" => spec(&things.iso, "/vm/spec/more_cdroms/0", json!(things.iso)),
        "cdrom2" => spec("empty", "/vm/spec/more_cdroms/1", Value::Null),
        "cdrom3" => spec("empty", "/vm/spec/more_cdroms/2", Value::Null),
        "boot0" => spec("cdrom", "/vm/spec/boot/0", json!("cdrom")),
        "boot1" => spec("network", "/vm/spec/boot/1", json!("network")),
        "boot2" => spec("disk", "/vm/spec/boot/2", json!("disk")),
        "autostart" => spec("on", "/vm/spec/autostart", json!(true)),
        "start" => new("on", "/vm/spec/power/action", json!("start")),
        // Both devices of the host are ticked; the second one is followed otherwise than by itself.
        "host_device" => new(CARD, "/vm/spec/hardware/host_devices/0/id", json!(CARD)),
        "follow_usb-1-2" => new("port", "/vm/spec/hardware/host_devices/1/id", json!("usb-1-2")),
        _ => None,
    }
}

fn disk_case(name: &str, things: &Things) -> Option<Case> {
    match name {
        "disk0_from" => new("blank", "/disks/0/spec/size_bytes", json!(3 << 20)),
        "disk0_size" => new("3", "/disks/0/spec/size_bytes", json!(3 << 20)),
        "disk0_unit" => new("mib", "/disks/0/spec/size_bytes", json!(3 << 20)),
        "disk0_format" => new("raw", "/disks/0/spec/format", json!("raw")),
        "disk1_from" => new("image", "/disks/1/spec/image", json!(things.image)),
        "disk1_image" => new(&things.image, "/disks/1/spec/image", json!(things.image)),
        "disk1_grow" => new("2", "/disks/1/spec/size_bytes", json!(2_u64 << 30)),
        "disk2_from" => new("volume", "/disks/2/id", json!(things.volume)),
        "disk2_volume" => new(&things.volume, "/disks/2/id", json!(things.volume)),
        "disk0_bus" => new("scsi", "/vm/spec/disks/0/bus", json!("scsi")),
        "disk0_cache" => new("directsync", "/vm/spec/disks/0/options/cache", json!("directsync")),
        "disk0_io" => new("native", "/vm/spec/disks/0/options/io", json!("native")),
        "disk0_discard" => new("off", "/vm/spec/disks/0/options/discard", json!(false)),
        "disk0_boot" => new("3", "/vm/spec/disks/0/options/boot", json!(3)),
        "disk0_read_iops" => new("10", "/vm/spec/disks/0/options/limits/read_iops/per_second", json!(10)),
        "disk0_read_iops_burst" => new("20", "/vm/spec/disks/0/options/limits/read_iops/burst", json!(20)),
        "disk0_read_iops_seconds" => {
            new("5", "/vm/spec/disks/0/options/limits/read_iops/burst_seconds", json!(5))
        }
        "disk0_write_iops" => new("11", "/vm/spec/disks/0/options/limits/write_iops/per_second", json!(11)),
        "disk0_write_iops_burst" => new("21", "/vm/spec/disks/0/options/limits/write_iops/burst", json!(21)),
        "disk0_write_iops_seconds" => {
            new("6", "/vm/spec/disks/0/options/limits/write_iops/burst_seconds", json!(6))
        }
        "disk0_read_bytes" => {
            new("1.5", "/vm/spec/disks/0/options/limits/read_bytes/per_second", json!(3 << 19))
        }
        "disk0_read_bytes_burst" => {
            new("2", "/vm/spec/disks/0/options/limits/read_bytes/burst", json!(2 << 20))
        }
        "disk0_read_bytes_seconds" => {
            new("7", "/vm/spec/disks/0/options/limits/read_bytes/burst_seconds", json!(7))
        }
        "disk0_write_bytes" => {
            new("4", "/vm/spec/disks/0/options/limits/write_bytes/per_second", json!(4 << 20))
        }
        "disk0_write_bytes_burst" => {
            new("8", "/vm/spec/disks/0/options/limits/write_bytes/burst", json!(8 << 20))
        }
        "disk0_write_bytes_seconds" => {
            new("8", "/vm/spec/disks/0/options/limits/write_bytes/burst_seconds", json!(8))
        }
        "disk1_bus" | "disk2_bus" => new("sata", "/vm/spec/disks/1/bus", json!("sata")),
        other => {
            let (disk, field) = other.strip_prefix("disk")?.split_once('_')?;
            // The same fields of another disk, told by the first; and sources that are not chosen.
            let first = || disk_case(&format!("disk0_{field}"), things).is_some();
            if SOURCES.contains(&field) || (disk != "0" && first()) { unused() } else { None }
        }
    }
}

/// Cards, and what the guest is told at its first boot.
fn guest_case(name: &str, things: &Things) -> Option<Case> {
    match name {
        "nic0_network" => new(&things.network, "/vm/spec/nics/0/network", json!(things.network)),
        "nic0_model" => new("e1000e", "/vm/spec/nics/0/model", json!("e1000e")),
        "nic0_mac" => new("52:54:00:AA:00:09", "/vm/spec/nics/0/mac", json!("52:54:00:aa:00:09")),
        "nic0_boot" => new("1", "/vm/spec/nics/0/options/boot", json!(1)),
        "nic0_inbound_average" => new("100", "/vm/spec/nics/0/options/inbound/average_kib", json!(100)),
        "nic0_inbound_peak" => new("200", "/vm/spec/nics/0/options/inbound/peak_kib", json!(200)),
        "nic0_inbound_burst" => new("64", "/vm/spec/nics/0/options/inbound/burst_kib", json!(64)),
        "nic0_outbound_average" => new("50", "/vm/spec/nics/0/options/outbound/average_kib", json!(50)),
        "nic0_outbound_peak" => new("60", "/vm/spec/nics/0/options/outbound/peak_kib", json!(60)),
        "nic0_outbound_burst" => new("32", "/vm/spec/nics/0/options/outbound/burst_kib", json!(32)),
        "hostname" => new("{{vm.name}}", "/vm/spec/customization/hostname", json!("{{vm.name}}")),
        "timezone" => new("Europe/Berlin", "/vm/spec/customization/timezone", json!("Europe/Berlin")),
        "user0_name" => new("ada", "/vm/spec/customization/users/0/name", json!("ada")),
        "user0_sudo" => new("no_password", "/vm/spec/customization/users/0/sudo", json!("no_password")),
        "user0_shell" => new("/bin/sh", "/vm/spec/customization/users/0/shell", json!("/bin/sh")),
        "user0_keys" => new(KEY, "/vm/spec/customization/users/0/ssh_keys/0", json!(KEY)),
        // No page and no answer shows it: that there is one is what can be read.
        "user0_password" | "user0_confirm" => {
            new("correct horse battery", "/vm/spec/customization/users/0/password", json!("set"))
        }
        "ssh_pwauth" => new("on", "/vm/spec/customization/ssh_pwauth", json!(true)),
        "packages" => new("vim", "/vm/spec/customization/packages/0", json!("vim")),
        "run_commands" => new("touch /x", "/vm/spec/customization/run_commands/0", json!("touch /x")),
        "guest_agent" => new("on", "/vm/spec/customization/guest_agent", json!(true)),
        "card0_addresses" => {
            new("192.0.2.9/24", "/vm/spec/customization/cards/0/addresses/0", json!("192.0.2.9/24"))
        }
        "card0_gateways" => new("192.0.2.1", "/vm/spec/customization/cards/0/gateways/0", json!("192.0.2.1")),
        "card0_nameservers" => {
            new("192.0.2.2", "/vm/spec/customization/cards/0/nameservers/0", json!("192.0.2.2"))
        }
        "card0_search" => new("example.com", "/vm/spec/customization/cards/0/search/0", json!("example.com")),
        // They take the place of all that, so they are a test of their own (`api::customize`).
        "user_data" | "network_config" => unused(),
        // Windows' own take the place of what is for Linux, which is a test of its own, too.
        "family" | "reader" | "admin_password" | "admin_confirm" | "owner" | "organization" | "locale"
        | "keyboard" | "edition" | "product_key" | "erase_disk" | "driver_folders" => unused(),
        _ => None,
    }
}

const CARD: &str = "pci-0000:07:00.0";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDk8mUt4c2rQbq1qJ2XzJ5JrJj3p7R1b9wM5mD0hJz0T ada";

/// Sends a form; answers the status and what the page says.
async fn send(browser: &mut Http, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
    let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let answer = browser.send_bytes(Method::POST, path, FORM, body.join("&").into()).await.unwrap();
    (answer.status.as_u16(), answer.text())
}

async fn page(browser: &mut Http, method: Method, path: &str, fields: &[(String, String)]) -> Form {
    let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let kind = (method == Method::POST).then_some(FORM).flatten();
    let answer = browser.send_bytes(method, path, kind, body.join("&").into()).await.unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    Form::read(&answer.text())
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn every_field_of_the_form_arrives() {
    let Some(mut bed) = Bed::start().await else { return };
    if !std::path::Path::new("/usr/bin/swtpm").exists() {
        eprintln!("skipped: swtpm is not installed");
        return;
    }
    let mut iso = vec![0; 1 << 20];
    iso[32768..32774].copy_from_slice(b"\x01CD001");
    // One more in each list, so that what is shown as chosen is not what stands there last.
    assert_eq!(bed.upload("other-iso", iso.clone()).await.status, 201);
    let iso = bed.upload("iso", iso).await.json().unwrap()["id"].as_str().unwrap().to_owned();
    let image = bed.boot_image("disk", "hello").await;
    let volume = bed.post("volumes", json!({"name": "spare", "size_bytes": 1 << 20})).await;
    let volume = bed.done(&volume).await;
    let folder = bed.post("folders", json!({"name": "Here"})).await.json().unwrap();
    let network = bed.finds("networks", "the network", |row| row["status"]["phase"] == "ready").await;
    let things = Things {
        network: network["id"].as_str().unwrap().to_owned(),
        iso,
        image,
        volume,
        folder: folder["id"].as_str().unwrap().to_owned(),
    };

    let _buses = super::host_devices::Buses::over(&bed);
    let (mut browser, _) = bed.log_in().await;
    let two = [("disks", "2"), ("nics", "1"), ("users", "0"), ("rows", "disk+")];
    let three = [("disks", "3"), ("nics", "1"), ("users", "0"), ("rows", "user+")];
    page(&mut browser, Method::POST, "/vms", &pairs(&two)).await;
    let form = page(&mut browser, Method::POST, "/vms", &pairs(&three)).await;
    let names: BTreeSet<&str> = form.names().filter(|name| !OTHERS.contains(name)).collect();
    assert!(names.len() > 90, "the page has {} fields", names.len());
    // Made later, so that the machine is what was asked for and nothing else.
    let later = later();
    let mut sent = pairs(&[("disks", "3"), ("nics", "1"), ("users", "1"), ("at", later.as_str())]);
    let mut cases = Vec::new();
    for name in names {
        let case = case(name, &things).unwrap_or_else(|| panic!("the field {name} of the form has no case"));
        if !case.typed.is_empty() {
            sent.push((name.to_owned(), case.typed.clone()));
        }
        cases.push((name.to_owned(), case));
    }
    sent.extend(pairs(&[("host_device", "usb-1-2")]));
    let body: Vec<String> = sent.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let answer = browser.send_bytes(Method::POST, "/vms", FORM, body.join("&").into()).await.unwrap();
    let said = Form::read(&answer.text()).errors;
    assert_eq!(answer.status, 303, "{said:#?}");
    let path = answer.headers["location"].to_str().unwrap().to_owned();
    let id = path.rsplit('/').next().unwrap();

    let detail = bed.get(&format!("vms/{id}")).await;
    assert!(detail["vm"]["spec"]["scheduled_at"].as_str().unwrap().starts_with(&later), "{detail:#}");
    let shown = page(&mut browser, Method::GET, &format!("/vms/{id}/hardware"), &[]).await;
    let mut lost = Vec::new();
    for (name, case) in cases {
        for (at, wanted) in &case.found {
            let found = detail.pointer(at);
            let there = if *wanted == "set" { found.is_some() } else { found == Some(wanted) };
            assert!(there, "{name}: {at} is {found:?}, wanted {wanted}: {:#}", detail["vm"]["spec"]);
        }
        if case.edits && shown.value(&name) != Some(case.typed.as_str()) {
            lost.push(format!("{name}: {:?}, typed {}", shown.value(&name), case.typed));
        }
    }
    assert!(lost.is_empty(), "on the page of the hardware: {lost:#?}");
}

/// A moment in some months, as browsers write it.
fn later() -> String {
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let at = hostd_types::Timestamp::from_unix(i64::try_from(seconds).unwrap() + 90 * 24 * 3600);
    at.to_string()[..16].to_owned()
}

#[tokio::test]
async fn what_the_host_lacks_is_told_beside_its_field() {
    let Some(bed) = Bed::start().await else { return };
    let (mut browser, _) = bed.log_in().await;
    let fields = [
        ("name", "x"),
        ("cpus", "1"),
        ("memory", "64"),
        ("memory_unit", "mib"),
        ("sockets", "1"),
        ("threads", "1"),
        ("boot0", "disk"),
        ("disks", "1"),
        ("nics", "0"),
        ("disk0_from", "blank"),
        ("disk0_size", "1"),
        ("disk0_unit", "mib"),
        ("disk0_bus", "nvme"),
        ("disk0_io", "native"),
        ("cpu_shares", "200"),
        ("cpu_limit", "50"),
    ];
    let sent = pairs(&fields);
    let body: Vec<String> = sent.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let answer = browser.send_bytes(Method::POST, "/vms", FORM, body.join("&").into()).await.unwrap();
    assert_eq!(answer.status, 422, "{}", answer.text());
    let errors = Form::read(&answer.text()).errors.join("\n");
    // The lab's libvirt has no control groups; whether it has NVMe disks depends on its version.
    for said in ["no control group", "Native I/O"] {
        assert!(errors.contains(said), "{said}: {errors}");
    }
    let version = bed.host.libvirt.run_inside("libvirtd", &["--version"]).unwrap();
    let number = version.split_whitespace().last().unwrap().to_owned();
    let mut parts = number.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let older = (parts.next(), parts.next()) < (Some(11), Some(5));
    assert_eq!(errors.contains("NVMe disks"), older, "{number}: {errors}");
}

#[tokio::test]
async fn a_refused_dialog_stands_open_with_what_was_typed() {
    let Some(mut bed) = Bed::start().await else { return };
    let disks = json!([{"from": "blank", "size_bytes": 1 << 30}]);
    let vm = bed.create_vm("web", json!({"disks": disks})).await;
    let row = bed.get(&format!("vms/{vm}")).await["vm"].clone();
    let disk = row["spec"]["disks"][0]["volume"].as_str().unwrap().to_owned();
    let now = row["meta"]["generation"].to_string();
    let (mut browser, _) = bed.log_in().await;
    let path = |what: &str| format!("/vms/{vm}/{what}");
    let open = "id=\"grow-0\" class=\"dialog open\"";

    // At its field, with what was typed.
    let smaller = [("size", "0.5"), ("unit", "gib"), ("generation", now.as_str())];
    let (status, text) = send(&mut browser, &path(&format!("disks/{disk}/grow")), &smaller).await;
    assert_eq!(status, 422, "{text}");
    let dialog = text.split(open).nth(1).unwrap_or_else(|| panic!("it is open: {text}"));
    let dialog = dialog.split("</form>").next().unwrap();
    assert!(dialog.contains("value=\"0.5\"") && dialog.contains("id=\"grow-0-size-error\""), "{dialog}");
    let (status, text) =
        send(&mut browser, &path("nics"), &[("network", ""), ("mac", "zz"), ("model", "virtio")]).await;
    assert_eq!(status, 422, "{text}");
    let form = text.split("id=\"add-nic\" open").nth(1).unwrap_or_else(|| panic!("it is open: {text}"));
    assert!(form.contains("value=\"zz\"") && form.contains("id=\"new-network-error\""), "{form}");

    // Changed meanwhile: what is asked for was meant for another machine.
    let ask = [("disk0_read_iops", "7"), ("generation", "0")];
    let (status, text) = send(&mut browser, &path(&format!("disks/{disk}/options")), &ask).await;
    assert_eq!(status, 409, "{text}");
    let dialog = text.split("id=\"options-0\" class=\"dialog open\"").nth(1).expect("it is open");
    assert!(dialog.contains("Somebody changed web meanwhile"), "{dialog}");
    assert!(
        dialog.contains(&format!("name=\"generation\" value=\"{now}\"")),
        "it can be sent again: {dialog}"
    );
    let ask = [("volume", "delete"), ("generation", "0")];
    let (status, text) = send(&mut browser, &path(&format!("disks/{disk}/detach")), &ask).await;
    assert_eq!(status, 303, "{text}");
    assert_eq!(bed.get(&format!("vms/{vm}")).await["vm"]["spec"], row["spec"], "nothing was changed");

    // Before machines are deleted, the page tells what goes with those that are there.
    let gone = "0192c1d4-7b1e-7c3a-9d3e-2f6a1b0c4d5e";
    let ask = [("id", gone), ("id", vm.as_str()), ("action", "delete")];
    let (status, text) = send(&mut browser, "/vms/batch", &ask).await;
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("web") && text.contains("1 GiB") && !text.contains(gone), "{text}");
}
