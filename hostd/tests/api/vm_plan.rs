//! Machines that are made later, and what is known of their guests.

use crate::bed::{Bed, pointers, refused};
use hostd_types::Timestamp;
use hyper::Method;
use serde_json::json;

#[tokio::test]
async fn a_planned_machine_is_made_when_its_moment_comes_over_a_crash_too() {
    let Some(mut bed) = Bed::start().await else { return };
    let image = bed.boot_image("debian-12-boot", "made later").await;
    let at = Timestamp::now().plus_seconds(8);
    let body = json!({"name": "later", "cpus": 1, "memory_mib": 32, "scheduled_at": at, "start": true,
        "disks": [{"from": "image", "image": image}]});
    let answer = bed.post("vms", body.clone()).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let vm = answer.json().unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(bed.get(&format!("vms/{vm}")).await["vm"]["status"]["phase"], "creating");
    assert!(bed.pool_files("volumes").is_empty(), "its disk takes no room yet");
    let taken = bed.delete(&format!("images/{image}")).await;
    assert_eq!(taken.status, 409, "its image is reserved: {}", taken.text());
    let early = bed.post(&format!("vms/{vm}/power"), json!({"action": "start"})).await;
    assert!(early.text().contains("is planned for"), "{}", early.text());
    bed.crash().await;
    bed.vm_is(&vm, "running").await;
    assert!(Timestamp::now() >= at, "not before its moment");
    assert_eq!(bed.get(&format!("vms/{vm}")).await["vm"]["spec"]["guest_os"], "debian");
    bed.power(&vm, "force_off").await;

    let never = json!({"name": "never", "cpus": 1, "memory_mib": 32,
        "scheduled_at": Timestamp::now().plus_seconds(3600), "disks": [{"from": "blank", "size_bytes": 1 << 20}]});
    let answer = bed.post("vms", never).await;
    let planned = answer.json().unwrap()["id"].as_str().unwrap().to_owned();
    let answer = bed.delete(&format!("vms/{planned}?disks=true")).await;
    bed.done(&answer).await;
    assert_eq!(bed.names("vms").await, ["later"]);
    let mut past = body;
    past["name"] = json!("past");
    past["scheduled_at"] = json!("2020-01-01T00:00:00Z");
    let answer = bed.post("vms", past).await;
    assert_eq!(pointers(&refused(&answer, 422, "invalid")), ["/scheduled_at"]);
}

#[tokio::test]
async fn the_guest_is_told_chosen_and_listed() {
    let Some(mut bed) = Bed::start().await else { return };
    let small = json!({"guest_os": "windows11", "disks": [{"from": "blank", "size_bytes": 1 << 30}]});
    let vm = bed.create_vm("office", small).await;
    let detail = bed.get(&format!("vms/{vm}")).await;
    assert_eq!(detail["vm"]["spec"]["guest_os"], "windows11");
    assert_eq!(detail["advice"].as_array().unwrap().len(), 3, "{detail:#}");
    let xml = bed.host.libvirt.run_inside("virsh", &["-q", "dumpxml", &vm]).unwrap();
    assert!(xml.contains("<clock offset='localtime'"), "{xml}");
    let answer = bed.ask(Method::PATCH, &format!("vms/{vm}"), json!({"guest_os": "alpine"})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(bed.get(&format!("vms/{vm}")).await["vm"]["spec"]["guest_os"], "alpine");
    let profiles = bed.get("guest-profiles").await;
    let alpine = profiles.as_array().unwrap().iter().find(|p| p["os"] == "alpine").unwrap();
    assert_eq!((&alpine["disk_bus"], &alpine["min_memory_mib"]), (&json!("virtio"), &json!(128)));
    let listed = bed.qx(&["vm", "guests"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("windows11"));
    let made = bed.qx(&["vm", "create", "desk", "--os", "windows10", "--memory", "64", "--disk", "1M"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let desk = bed.qx(&["--json", "vm", "show", "desk"]);
    let desk: serde_json::Value = serde_json::from_slice(&desk.stdout).unwrap();
    assert_eq!(desk["vm"]["spec"]["disks"][0]["bus"], "sata");
    assert_eq!(desk["vm"]["spec"]["firmware"], "uefi");
}
