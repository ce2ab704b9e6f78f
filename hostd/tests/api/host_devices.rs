//! `/api/v1/hosts/{id}/devices` and `/api/v1/vms/{id}/host-devices`: what the host's buses have, and machines that have a
//! part of it. No device of the machine that runs the tests is touched: a test that gives some away puts buses of its own
//! over the host's.

use crate::bed::{Bed, pointers, refused};
use hyper::Method;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

async fn devices(bed: &mut Bed) -> Value {
    let host = bed.get("overview").await["host"]["id"].as_str().unwrap().to_owned();
    bed.get(&format!("hosts/{host}/devices")).await
}

#[tokio::test]
async fn what_is_on_the_host_s_buses_is_told_and_what_it_needs_is_refused() {
    let Some(mut bed) = Bed::start().await else { return };
    let told = devices(&mut bed).await;
    let there = bed.host.libvirt.run_inside("ls", &["/sys/bus/pci/devices"]).unwrap_or_default();
    let addresses: Vec<&str> =
        told["pci"].as_array().unwrap().iter().map(|d| d["address"].as_str().unwrap()).collect();
    assert_eq!(addresses, there.split_whitespace().collect::<Vec<_>>());

    let vm = bed.create_vm("web", json!({})).await;
    let path = format!("vms/{vm}/host-devices");
    for device in told["pci"].as_array().unwrap().iter().filter(|d| !d["refusal"].is_null()) {
        let answer = bed.post(&path, json!({"device": device["id"]})).await;
        let problem = refused(&answer, 422, "invalid");
        assert_eq!(pointers(&problem), ["/device"], "{problem:#}");
        assert_eq!(problem["detail"], device["refusal"], "it says why");
    }
    for bad in
        [json!(""), json!("pci-ffff:ff:1f.7"), json!("usb-99-1"), json!("<b>"), json!("x".repeat(10_240))]
    {
        let problem = refused(&bed.post(&path, json!({"device": bad})).await, 422, "invalid");
        assert_eq!(pointers(&problem), ["/device"], "{bad}");
    }
    for bad in [json!({}), json!({"device": 7}), json!({"device": "usb-1-1", "follow": "smell"})] {
        assert!([400, 422].contains(&bed.post(&path, bad.clone()).await.status.as_u16()), "{bad}");
    }
    refused(&bed.delete(&format!("{path}/usb-1-1")).await, 404, "not-found");
    let host = bed.get("overview").await["host"]["spec"]["name"].as_str().unwrap().to_owned();
    let listed = bed.qx(&["host", "devices", "--all", "--host", &host]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(addresses.iter().all(|address| listed.contains(address)), "{listed}");
}

/// Buses with a card that is free and a USB stick, put over those of the host.
pub struct Buses(PathBuf);

impl Buses {
    pub fn over(bed: &Bed) -> Self {
        let buses = Self(bed.scratch().join("buses"));
        buses.device(
            "pci/devices/0000:07:00.0",
            &[("vendor", "0x8086"), ("device", "0x10d3"), ("class", "0x020000")],
        );
        symlink("/groups/7", buses.0.join("pci/devices/0000:07:00.0/iommu_group")).unwrap();
        buses.plug();
        let from = buses.0.to_str().unwrap();
        bed.host.libvirt.run_inside("mount", &["--bind", from, "/sys/bus"]).unwrap();
        buses
    }
    fn device(&self, path: &str, files: &[(&str, &str)]) {
        let dir = self.0.join(path);
        fs::create_dir_all(&dir).unwrap();
        for (name, text) in files {
            fs::write(dir.join(name), text).unwrap();
        }
    }
    fn plug(&self) {
        let files = [
            ("idVendor", "0781"),
            ("idProduct", "5581"),
            ("busnum", "1"),
            ("devnum", "9"),
            ("product", "Ultra <b>"),
            ("serial", "4C53"),
        ];
        self.device("usb/devices/1-2", &files);
    }
    fn pull(&self) {
        fs::remove_dir_all(self.0.join("usb/devices/1-2")).unwrap();
    }
}

async fn detail(bed: &mut Bed, vm: &str) -> Value {
    bed.get(&format!("vms/{vm}")).await
}

fn aliases(bed: &Bed, vm: &str) -> Vec<String> {
    let xml = bed.host.libvirt.run_inside("virsh", &["dumpxml", "--inactive", vm]).unwrap();
    let parts = xml.split("<alias name='ua-").skip(1);
    parts.map(|part| part.split('\'').next().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_has_devices_of_its_host_and_does_not_start_without_them() {
    let Some(mut bed) = Bed::start().await else { return };
    let buses = Buses::over(&bed);
    let told = devices(&mut bed).await;
    assert_eq!(told["iommu"], true, "{told:#}");
    assert_eq!(told["pci"][0]["product"], "82574L Gigabit Network Connection");
    assert_eq!(told["usb"][0]["product"], "Ultra <b>");
    let (vm, other) = (bed.create_vm("web", json!({})).await, bed.create_vm("db", json!({})).await);
    let path = format!("vms/{vm}/host-devices");

    let answer = bed.post(&path, json!({"device": "pci-0000:07:00.0"})).await;
    bed.done(&answer).await;
    assert!(bed.qx(&["vm", "device", "attach", "web", "usb-1-2"]).status.success());
    assert_eq!(aliases(&bed, &vm), ["pci-0000-07-00-0", "usb-0781-5581-4C53"]);
    let spec = detail(&mut bed, &vm).await["vm"]["spec"]["hardware"]["host_devices"].clone();
    assert_eq!((&spec[0]["id"], &spec[1]["id"]), (&json!("pci-0000:07:00.0"), &json!("usb-0781:5581-4C53")));
    for device in ["pci-0000:07:00.0", "usb-1-2"] {
        let taken = bed.post(&format!("vms/{other}/host-devices"), json!({"device": device})).await;
        let problem = refused(&taken, 422, "invalid");
        assert!(problem["detail"].as_str().unwrap().contains("web has it"), "{problem:#}");
        let again = refused(&bed.post(&path, json!({"device": device})).await, 422, "invalid");
        assert!(again["detail"].as_str().unwrap().contains("has it already"), "{again:#}");
    }
    assert_eq!(devices(&mut bed).await["usb"][0]["machine"], "web");
    let mut browser = bed.browser().await;
    let mut page = async |path: &str| browser.send(Method::GET, path, None).await.unwrap().text().to_owned();
    let host = page("/host").await;
    assert!(
        host.contains("In web") && host.contains("Ultra &#60;b&#62;") && !host.contains("<b>Ultra <b>"),
        "{host}"
    );
    assert!(page(&format!("/vms/{vm}/hardware")).await.contains("serial number 4C53"));

    // It is pulled out: the start names it, and nothing else is taken in its place.
    buses.pull();
    let missing = detail(&mut bed, &vm).await["missing"][0].as_str().unwrap_or_default().to_owned();
    assert!(missing.contains("Ultra <b> (0781:5581)"), "{missing}");
    let task = bed.power(&vm, "start").await;
    let why = task["problem"]["detail"].as_str().unwrap_or_default();
    assert!(why.contains("web can't start") && why.contains("4C53") && why.contains("detach it"), "{task:#}");
    bed.vm_is(&vm, "off").await;
    let answer = bed.delete(&format!("{path}/usb-0781:5581-4C53")).await;
    bed.done(&answer).await;
    assert_eq!(aliases(&bed, &vm), ["pci-0000-07-00-0"]);

    // Another card in its place is another device.
    fs::write(buses.0.join("pci/devices/0000:07:00.0/device"), "0x1533").unwrap();
    let task = bed.power(&vm, "start").await;
    let why = task["problem"]["detail"].as_str().unwrap_or_default();
    assert!(why.contains("no PCI device 0000:07:00.0") && why.contains("8086:10d3"), "{task:#}");
    bed.vm_is(&vm, "off").await;
    assert!(bed.qx(&["vm", "device", "detach", "web", "pci-0000:07:00.0"]).status.success());
    assert_eq!(aliases(&bed, &vm), Vec::<String>::new());

    // Of a machine that runs: what QEMU can't have is the host's again; a card waits for the next start.
    buses.plug();
    assert_eq!(bed.power(&vm, "start").await["state"], "succeeded");
    let answer = bed_post(&mut bed, &path, "usb-1-2").await;
    let task = bed.ended(&answer).await;
    assert_eq!(task["state"], "failed", "the stick is not real: {task:#}");
    let free = |told: &Value| told["machine"].is_null() && told["refusal"].is_null();
    assert!(free(&devices(&mut bed).await["usb"][0]));
    let answer = bed_post(&mut bed, &path, "pci-0000:07:00.0").await;
    bed.done(&answer).await;
    let waits = bed.finds("vms", "what waits", |row| !row["status"]["pending"].is_null()).await;
    let waits = waits["status"]["pending"].to_string();
    assert!(waits.contains("PCI device 0000:07:00.0") && waits.contains("is attached"), "{waits}");
    let answer = bed.delete(&format!("{path}/pci-0000:07:00.0")).await;
    bed.done(&answer).await;
    bed.finds("vms", "nothing waits", |row| row["id"] == *vm && row["status"]["pending"].is_null()).await;

    a_new_machine_gets_them(&mut bed).await;
}

/// It has them from its first moment on; what it can't have is told at its place in the list.
async fn a_new_machine_gets_them(bed: &mut Bed) {
    let asked = json!([{"device": "pci-0000:07:00.0"}, {"device": "usb-1-2", "follow": "port"}]);
    let born = bed.create_vm("born", json!({"host_devices": asked})).await;
    assert_eq!(aliases(bed, &born), ["pci-0000-07-00-0", "usb-1-2"]);
    let asked = json!([{"device": "usb-7-7"}, {"device": "usb-1-2"}, {"device": "pci-0000:07:00.0", "follow": "port"}]);
    let late = json!({"name": "late", "cpus": 1, "memory_mib": 32, "host_devices": asked});
    let problem = refused(&bed.post("vms", late).await, 422, "invalid");
    let wrong = ["0/device", "1/device", "2/device", "2/follow"].map(|at| format!("/host_devices/{at}"));
    assert_eq!(pointers(&problem), wrong, "{problem:#}");
    let page = bed.browser().await.send(Method::GET, "/vms/new", None).await.unwrap().text().to_owned();
    assert!(page.contains("born has it. Detach it there first."), "{page}");
    let answer = bed.delete(&format!("vms/{born}?disks=true")).await;
    bed.done(&answer).await;
    let made = ["vm", "create", "typed", "--host-device", "usb-1-2", "--follow", "port"];
    assert!(bed.qx(&made).status.success());
    assert_eq!(devices(bed).await["usb"][0]["machine"], "typed");
}

async fn bed_post(bed: &mut Bed, path: &str, device: &str) -> lab::http::Answer {
    bed.post(path, json!({"device": device})).await
}
