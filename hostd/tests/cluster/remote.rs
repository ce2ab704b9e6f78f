//! What is on one host is made, seen and changed on another.

use crate::admin::Admin;
use crate::bed::{pointers, refused};
use crate::fleet::Hosts;
use lab::bootsector;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

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
    let image = upload(&mut here, &format!("boot&host={there}"), 201).await["id"].clone();
    let image = image.as_str().unwrap();
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
    let row = here.get(&format!("hosts/{there}")).await;
    assert_eq!((&row["spec"]["name"], &row["facts"]), (&json!("h2"), &json!(null)));
    let problem = upload(&mut here, &format!("late&host={there}"), 503).await;
    assert!(problem["detail"].as_str().unwrap().contains("h2 can't be reached"), "{problem:#}");
}

/// Uploads three megabytes with this query; answers what came with `status`.
async fn upload(admin: &mut Admin, query: &str, status: u16) -> Value {
    let answer = admin.upload(query, bootsector::image("hello", 3 << 20)).await;
    assert_eq!(answer.status, status, "{}", answer.text());
    answer.json().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_to_another_host_ends_there_as_it_would_here() {
    let Some(hosts) = Hosts::joined(2).await else { return };
    let there = hosts.id(1).await;
    let mut here = hosts.admin(0);
    let kept = upload(&mut here, &format!("kept&host={there}"), 201).await;
    assert_eq!((&kept["spec"]["host"], &kept["status"]["phase"]), (&json!(there), &json!("ready")));
    let sum = "0".repeat(64);
    let wrong = upload(&mut here, &format!("wrong&host={there}&sha256={sum}"), 422).await;
    assert_eq!(wrong["errors"][0]["pointer"], "/expected_sha256");
    upload(&mut here, &format!("KEPT&host={there}"), 409).await;
    let nobody = upload(&mut here, &format!("lost&host={}", uuid::Uuid::new_v4()), 422).await;
    assert_eq!(nobody["errors"][0]["pointer"], "/host");

    // Its client goes away in the middle.
    let mut cut = UnixStream::connect(hosts.host(0).socket()).await.unwrap();
    let head = format!(
        "POST /api/v1/images?name=half&host={there} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n"
    );
    cut.write_all(head.as_bytes()).await.unwrap();
    cut.write_all(&vec![7; 2_000_000]).await.unwrap();
    let task = task_about(&here, "half", "running").await;
    assert_eq!(task["host"], there.as_str());
    drop(cut);
    let task = task_about(&here, "half", "failed").await;
    assert!(task["problem"]["detail"].as_str().unwrap().contains("cut off after"), "{task:#}");
    for i in 0..2 {
        assert_eq!(hosts.admin(i).names("images").await, ["kept"]);
    }
}

/// Waits until the newest task about `name` is in `state`; answers it.
async fn task_about(admin: &Admin, name: &str, state: &str) -> Value {
    admin
        .finds("tasks", &format!("task about {name} {state}"), |task| {
            task["subject"]["name"] == name && task["state"] == state
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_come_together_by_command_line() {
    let Some(hosts) = Hosts::start(2).await else { return };
    let qx = |i: usize, args: &[&str]| hosts.qx(i, args);
    let ok = |i: usize, args: &[&str]| hosts.qx_ok(i, args);
    let token = ok(0, &["cluster", "token", "create", "--valid", "10m"]);
    assert!(ok(0, &["cluster", "token", "list"]).contains("valid"));
    ok(0, &["cluster", "rename", "Rack 7"]);
    ok(0, &["cluster", "voters", "5"]);
    let given = qx(1, &["cluster", "preview", token.trim()]);
    assert!(!given.0 && given.1.contains("must not be an argument"), "{}", given.1);
    assert!(!given.1.contains(token.trim()), "{}", given.1);
    let (done, preview) = hosts.qx_told(1, &["cluster", "preview", "-"], &token);
    assert!(done, "{preview}");
    assert!(preview.contains("Rack 7") && preview.contains("default becomes default-h2"), "{preview}");
    for fact in ["CPU:", " threads", "Memory:", "Disk:", "Version:", ", level "] {
        assert!(preview.contains(fact), "{fact}: {preview}");
    }
    let unsure = hosts.qx_told(1, &["cluster", "join"], &token);
    assert!(!unsure.0 && unsure.1.contains("nothing was changed"), "{}", unsure.1);
    let joined = hosts.qx_told(1, &["cluster", "join", "-", "--yes"], &token);
    assert!(joined.0 && joined.1.contains("a member"), "{}", joined.1);
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
