//! What is on one host is made, seen and changed on another.

use crate::bed::{pointers, program, refused};
use crate::fleet::Hosts;
use hyper::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_one_host_is_worked_with_on_another() {
    let Some(mut hosts) = Hosts::joined(2).await else { return };
    let there = hosts.id(1).await;
    let mut here = hosts.admin(0);
    let volume = here.post("volumes", json!({"name": "far", "size_bytes": 8 << 20, "host": there})).await;
    let volume = here.done(&volume).await;
    let view = here.get(&format!("volumes/{volume}")).await;
    assert_eq!(view["spec"]["host"], there.as_str(), "{view:#}");
    assert!(view["allocated_bytes"].is_u64(), "what its host alone sees: {view:#}");
    let body = json!({"name": "lab", "mode": "nat", "subnet": "10.88.9.0/24", "host": there});
    let network = here.post("networks", body).await;
    let network = here.done(&network).await;
    assert_eq!(here.get(&format!("networks/{network}")).await["status"]["active"], true);
    let image = hosts.admin(1).boot_image("boot", "hello").await;
    assert_eq!(here.get(&format!("images/{image}")).await["spec"]["host"], there.as_str());

    let extra = json!({"host": there, "start": true, "disks": [{"from": "image", "image": image}],
                       "nics": [{"network": network}]});
    let vm = here.create_vm("far", extra).await;
    here.vm_is(&vm, "running").await;
    hosts.qemu(1, &vm);
    assert_eq!(here.get(&format!("vms/{vm}")).await["vm"]["spec"]["host"], there.as_str());
    assert_eq!(here.power(&vm, "force_off").await["state"], "succeeded");
    here.vm_is(&vm, "off").await;
    assert!(here.get(&format!("hosts/{there}")).await["facts"]["memory_bytes"].is_u64());
    assert!(here.get(&format!("hosts/{there}/samples")).await.is_array());
    let wrong = here.post("volumes", json!({"name": "b b", "size_bytes": 8 << 20, "host": there})).await;
    assert_eq!(pointers(&refused(&wrong, 422, "invalid")), ["/name"]);

    // A host that is gone is told of as the rows say.
    hosts.crash(1).unwrap();
    let view = here.get(&format!("volumes/{volume}")).await;
    assert_eq!((&view["spec"]["name"], &view["allocated_bytes"]), (&json!("far"), &json!(null)));
    assert_eq!(here.get(&format!("networks/{network}")).await["id"], network.as_str());
    let answer = here.ask(Method::GET, &format!("hosts/{there}"), json!(null)).await;
    refused(&answer, 503, "unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_come_together_by_command_line() {
    let Some(hosts) = Hosts::start(2).await else { return };
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("qx");
    std::os::unix::fs::symlink(program(), &link).unwrap();
    let qx = |i: usize, args: &[&str]| {
        let output = hosts.host(i).libvirt.command_inside(&link).args(args).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
    };
    let ok = |i: usize, args: &[&str]| {
        let (success, text) = qx(i, args);
        assert!(success, "{args:?}: {text}");
        text
    };
    let token = ok(0, &["cluster", "token", "create", "--valid", "10m"]);
    assert!(ok(0, &["cluster", "token", "list"]).contains("valid"));
    ok(0, &["cluster", "rename", "Rack 7"]);
    ok(0, &["cluster", "voters", "5"]);
    let preview = ok(1, &["cluster", "preview", token.trim()]);
    assert!(preview.contains("Rack 7") && preview.contains("default becomes default-h2"), "{preview}");
    let unsure = qx(1, &["cluster", "join", token.trim()]);
    assert!(!unsure.0 && unsure.1.contains("nothing was changed"), "{}", unsure.1);
    assert!(ok(1, &["cluster", "join", token.trim(), "--yes"]).contains("a member"));
    hosts.is_member(1, 0).await;
    for i in 0..2 {
        let listed = ok(i, &["host", "list"]);
        assert!(listed.contains("h1") && listed.contains("h2") && listed.contains("up"), "{listed}");
    }
    let shown = ok(1, &["cluster", "show"]);
    assert!(shown.contains("a member") && shown.contains("Rack 7"), "{shown}");
    assert!(ok(0, &["cluster", "token", "list"]).contains("used by h2"));
    ok(0, &["volume", "create", "far", "8M", "--host", "h2"]);
    assert!(!qx(0, &["cluster", "remove", "h2", "--yes", "h2"]).0, "it answers");
    assert!(!qx(1, &["cluster", "leave", "--yes", "h1"]).0, "another name");
    assert!(ok(1, &["cluster", "leave", "--yes", "h2"]).contains("a cluster of its own"));
    hosts.members_are(0, &[0]).await;
}
