//! `/api/v1/vms`: a machine's life.

use crate::bed::{Bed, refused};
use hyper::Method;
use serde_json::json;

#[tokio::test]
async fn a_machine_s_life() {
    let Some(mut bed) = Bed::start().await else { return };
    let image = bed.boot_image("boot", "I live").await;
    let disks = json!([{"from": "image", "image": image}, {"from": "blank", "size_bytes": 8 << 20}]);
    let vm = bed.create_vm("life", json!({"disks": disks})).await;
    bed.vm_is(&vm, "off").await;
    for (action, state) in [
        ("start", "running"),
        ("pause", "paused"),
        ("resume", "running"),
        ("reset", "running"),
        ("force_off", "off"),
    ] {
        let task = bed.power(&vm, action).await;
        assert_eq!(task["state"], "succeeded", "{action}: {task:#}");
        bed.vm_is(&vm, state).await;
    }
    let shot = bed.ask(Method::GET, &format!("vms/{vm}/screenshot"), json!(null)).await;
    assert!(shot.status.is_client_error(), "an off machine has no screen");

    assert_eq!(bed.pool_files("volumes").len(), 2);
    let answer = bed.delete(&format!("vms/{vm}?disks=true")).await;
    bed.done(&answer).await;
    assert!(bed.pool_files("volumes").is_empty());
    assert_eq!(bed.host.libvirt.run_inside("virsh", &["-q", "list", "--all"]).unwrap().trim(), "");
}

#[tokio::test]
async fn a_machine_keeps_its_processor_and_its_mainboard() {
    let Some(mut bed) = Bed::start().await else { return };
    let cpus = json!({"cpus": 2, "cpu_mode": "performance", "topology": {"sockets": 2, "threads": 1}, "start": true});
    let vm = bed.create_vm("kept", cpus).await;
    let path = format!("vms/{vm}");
    let detail = bed.get(&path).await;
    let machine_type = detail["vm"]["spec"]["machine_type"].as_str().unwrap().to_owned();
    assert!(machine_type.starts_with("pc-q35-"), "{machine_type}");
    assert_eq!(detail["newest_machine_type"], *machine_type);
    assert_eq!(detail["vm"]["spec"]["cpu_mode"], "performance");
    let xml = bed.host.libvirt.run_inside("virsh", &["-q", "dumpxml", &vm]).unwrap();
    for part in
        ["<topology sockets='2' dies='1' cores='1' threads='1'/>", &format!("machine='{machine_type}'")]
    {
        assert!(xml.contains(part), "{part}: {xml}");
    }
    bed.power(&vm, "force_off").await;
    let older = bed.host.libvirt.run_inside("virsh", &["-q", "capabilities"]).unwrap();
    let older = older
        .split(['>', '<'])
        .find(|t| t.starts_with("pc-q35-") && **t != *machine_type)
        .unwrap()
        .to_owned();
    let edit =
        json!({"cpu_mode": "flexible", "topology": {"sockets": 1, "threads": 1}, "machine_type": older});
    let answer = bed.ask(Method::PATCH, &path, edit).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    bed.power(&vm, "start").await;
    let xml = bed.host.libvirt.run_inside("virsh", &["-q", "dumpxml", &vm]).unwrap();
    for part in ["<topology sockets='1' dies='1' cores='2' threads='1'/>", &format!("machine='{older}'")] {
        assert!(xml.contains(part), "{part}: {xml}");
    }
    assert_eq!(bed.get(&path).await["vm"]["spec"].get("cpu_mode"), None, "the default is left out");
}

#[tokio::test]
async fn the_screen_of_a_running_machine_is_a_picture() {
    let Some(mut bed) = Bed::start().await else { return };
    let vm = bed.create_vm("seen", json!({"start": true})).await;
    let shot = bed.ask(Method::GET, &format!("vms/{vm}/screenshot"), json!(null)).await;
    assert_eq!(shot.status, 200, "{}", shot.text());
    assert!(shot.body.starts_with(b"\x89PNG"));
}

#[tokio::test]
async fn a_guest_that_ignores_shutdown_keeps_running_and_its_task_says_so() {
    let Some(mut bed) = Bed::start().await else { return };
    let vm = bed.create_vm("deaf", json!({"start": true})).await;
    let task = bed.power(&vm, "shutdown").await;
    assert_eq!(task["state"], "failed", "{task:#}");
    assert!(task["problem"]["detail"].as_str().unwrap().len() > 10);
    bed.vm_is(&vm, "running").await;
}

#[tokio::test]
async fn edits_are_guarded_by_generation_and_by_power() {
    let Some(mut bed) = Bed::start().await else { return };
    let vm = bed.create_vm("edited", json!({})).await;
    let path = format!("vms/{vm}");
    let seen = bed.ask(Method::GET, &path, json!(null)).await;
    let tag = seen.headers["etag"].to_str().unwrap().to_owned();

    bed.console.fields = vec![("if-match", tag.clone())];
    let answer = bed.ask(Method::PATCH, &path, json!({"memory_mib": 48, "description": "more"})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_ne!(answer.headers["etag"], tag);
    assert_eq!(answer.json().unwrap()["spec"]["memory_mib"], 48);
    let late = bed.ask(Method::PATCH, &path, json!({"memory_mib": 64})).await;
    refused(&late, 412, "conflict");
    let late = bed.delete(&format!("{path}?disks=true")).await;
    refused(&late, 412, "conflict");
    bed.console.fields.clear();

    bed.power(&vm, "start").await;
    let answer = bed.ask(Method::PATCH, &path, json!({"memory_mib": 64})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let waits = bed.finds("vms", "what waits", |row| !row["status"]["pending"].is_null()).await;
    assert_eq!(waits["status"]["pending"], json!(["memory: 64 MiB (now 48 MiB)"]));
    let answer =
        bed.ask(Method::PATCH, &path, json!({"description": "while running", "autostart": true})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    refused(&bed.post(&format!("{path}/power"), json!({"action": "start"})).await, 409, "wrong-state");
}

#[tokio::test]
async fn deleting_says_what_happens_to_the_disks() {
    let Some(mut bed) = Bed::start().await else { return };
    let disks = json!([{"from": "blank", "size_bytes": 1 << 20}]);
    let vm = bed.create_vm("gone", json!({"disks": disks})).await;
    refused(&bed.delete(&format!("vms/{vm}")).await, 400, "bad-request");
    let answer = bed.delete(&format!("vms/{vm}?disks=false")).await;
    bed.done(&answer).await;
    let volumes = bed.get("volumes").await;
    assert_eq!(volumes["total"], 1);
    let volume = &volumes["items"][0];
    assert!(volume["spec"]["vm"].is_null(), "{volume:#}");
    // The disk is a volume like any other: it can be attached again.
    let disks = json!([{"from": "volume", "volume": volume["id"]}]);
    let vm = bed.create_vm("heir", json!({"disks": disks})).await;
    assert_eq!(bed.get(&format!("vms/{vm}")).await["disks"][0]["id"], volume["id"]);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let Some(mut bed) = Bed::start().await else { return };
    for name in ["a1", "a2", "a3", "b1"] {
        bed.create_vm(name, json!({})).await;
    }
    let mut seen = Vec::new();
    let mut path = "vms?q=A&limit=2&sort=name".to_owned();
    loop {
        let page = bed.get(&path).await;
        assert_eq!(page["total"], 3);
        seen.extend(page["items"].as_array().unwrap().iter().map(|v| v["spec"]["name"].to_string()));
        match page["next"].as_str() {
            Some(next) => path = format!("vms?q=A&limit=2&sort=name&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["\"a1\"", "\"a2\"", "\"a3\""]);
    assert_eq!(bed.get("vms?state=running").await["total"], 0);
}

#[tokio::test]
async fn what_others_do_to_a_domain_is_seen() {
    let Some(mut bed) = Bed::start().await else { return };
    let vm = bed.create_vm("watched", json!({"start": true})).await;
    bed.vm_is(&vm, "running").await;
    let domains = bed.host.libvirt.run_inside("virsh", &["-q", "list", "--uuid"]).unwrap();
    assert_eq!(domains.trim(), vm, "the domain has the machine's id");
    bed.host.libvirt.run_inside("virsh", &["suspend", &vm]).unwrap();
    bed.vm_is(&vm, "paused").await;
    bed.host.libvirt.run_inside("virsh", &["destroy", &vm]).unwrap();
    bed.vm_is(&vm, "off").await;
    let event = bed.get(&format!("events?subject={vm}")).await;
    assert!(event["items"].as_array().unwrap().iter().any(|e| e["result"] == "observed"), "{event:#}");
}
