//! Hosts come together, with everything they have, while their guests run on.

use crate::admin::PATIENCE;
use crate::fleet::Hosts;
use hyper::Method;
use lab::http::Answer;
use lab::wait;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn one_two_three_and_the_guests_run_on() {
    let Some(hosts) = Hosts::start(3).await else { return };
    let mut guests = Vec::new();
    for i in 0..3 {
        let vm = hosts.admin(i).create_vm(&format!("guest{i}"), json!({"start": true})).await;
        hosts.admin(i).vm_is(&vm, "running").await;
        guests.push((vm.clone(), hosts.qemu(i, &vm)));
    }
    hosts.join(1, 0).await;
    hosts.join(2, 1).await; // any member can take one in
    let vms: Vec<&str> = guests.iter().map(|(vm, _)| vm.as_str()).collect();
    hosts.all_list(&[0, 1, 2], &vms).await;
    for (i, (vm, process)) in guests.iter().enumerate() {
        hosts.members_are(i, &[0, 1, 2]).await;
        assert_eq!(hosts.qemu(i, vm), *process, "the guest of {} was touched", hosts.name(i));
        hosts.admin((i + 1) % 3).vm_is(vm, "running").await;
    }
    hosts.leader(&[0, 1, 2]).await;
    // What is written on one is there on the others.
    let late = hosts.admin(2).create_vm("late", json!({})).await;
    hosts.all_list(&[0, 1, 2], &[&late]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_tells_what_will_happen_and_changes_nothing() {
    let Some(hosts) = Hosts::start(2).await else { return };
    for i in 0..2 {
        hosts.admin(i).create_vm("web", json!({})).await;
    }
    hosts.admin(1).create_vm("only-here", json!({})).await;
    let before = [everything(&hosts, 0).await, everything(&hosts, 1).await];
    let token = hosts.invite(0).await;
    let answer = hosts.admin(1).post("cluster/preview", json!({"token": token})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let preview = answer.json().unwrap();
    assert_eq!(preview["cluster"], hosts.view(0).await["cluster"]["id"]);
    assert_eq!(preview["members"], json!(["h1"]));
    assert_eq!((&preview["host"]["name"], &preview["host"]["becomes"]), (&json!("h2"), &json!("h2")));
    let machines = preview["belongings"]["vms"].as_array().unwrap();
    let comes = |name: &str| machines.iter().any(|vm| vm["spec"]["name"] == name);
    assert!(comes("web") && comes("only-here"), "{preview:#}");
    let clashes = preview["clashes"].as_array().unwrap();
    let web = clashes.iter().find(|c| c["name"] == "web").unwrap_or_else(|| panic!("{preview:#}"));
    assert_eq!(web["becomes"], "web-h2");
    assert_eq!(preview["blockers"], json!([]));
    let own = hosts.admin(1).get(&format!("hosts/{}", hosts.id(1).await)).await;
    for fact in ["cpu", "memory_bytes", "disks", "versions"] {
        assert_eq!(preview["facts"][fact], own["facts"][fact], "{fact}");
    }
    assert!(preview["facts"]["memory_bytes"].as_u64() > Some(0), "{preview:#}");
    assert_eq!(preview["level"], own["status"]["level"]);
    assert!(!preview["notes"].to_string().contains("inside libvirt"), "none of them runs: {preview:#}");
    assert_eq!([everything(&hosts, 0).await, everything(&hosts, 1).await], before);

    // The token is as good as before, and what was foretold comes true.
    let answer = hosts.ask_to_join(1, &token).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    hosts.is_member(1, 0).await;
    assert_eq!(hosts.admin(0).names("vms").await, ["only-here", "web", "web-h2"]);
    assert_eq!(hosts.admin(1).names("vms").await, ["only-here", "web", "web-h2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_runs_gets_its_new_name_inside_libvirt_when_it_is_off() {
    let Some(hosts) = Hosts::start(2).await else { return };
    hosts.admin(0).create_vm("web", json!({})).await;
    let vm = hosts.admin(1).create_vm("web", json!({"start": true})).await;
    hosts.admin(1).vm_is(&vm, "running").await;
    let process = hosts.qemu(1, &vm);
    let token = hosts.invite(0).await;
    let preview = hosts.admin(1).post("cluster/preview", json!({"token": token})).await.json().unwrap();
    let told = "web runs: it keeps this name inside libvirt until it is next started.";
    assert!(preview["notes"].as_array().unwrap().contains(&json!(told)), "{preview:#}");
    assert_eq!(hosts.ask_to_join(1, &token).await.status, 202);
    hosts.is_member(1, 0).await;

    // It runs on, under the name it has there, and nothing is wrong with it.
    let domain = || hosts.host(1).libvirt.run_inside("virsh", &["-q", "domname", &vm]).unwrap();
    let taken =
        |detail: &Value| detail["vm"]["status"]["applied_generation"] == detail["vm"]["meta"]["generation"];
    for i in [1, 0] {
        let what = format!("the new name of the machine, seen from {}", hosts.name(i));
        let detail = wait::until(&what, PATIENCE, || async {
            let detail = hosts.admin(i).get(&format!("vms/{vm}")).await;
            Ok((detail["vm"]["spec"]["name"] == "web-h2" && taken(&detail)).then_some(detail))
        });
        let detail = detail.await.unwrap();
        assert_eq!(detail["vm"]["status"]["state"], "running");
        assert_eq!(detail["vm"]["status"]["drift"], Value::Null, "{detail:#}");
        assert_eq!(detail["pending"], json!(["its name inside libvirt, which is web until then"]));
    }
    assert_eq!((domain().trim(), hosts.qemu(1, &vm)), ("web", process));
    assert!(hosts.qx_ok(1, &["vm", "show", "web-h2"]).contains("which is web until then"));
    let log = std::fs::read_to_string(hosts.host(1).log()).unwrap();
    assert!(!log.contains("Defining web-h2 failed"), "{log}");

    // The next start gives it the new one.
    assert_eq!(hosts.admin(0).power(&vm, "force_off").await["state"], "succeeded");
    assert_eq!(hosts.admin(0).power(&vm, "start").await["state"], "succeeded");
    hosts.admin(1).vm_is(&vm, "running").await;
    assert_eq!(domain().trim(), "web-h2");
    let detail = hosts.admin(1).get(&format!("vms/{vm}")).await;
    assert_eq!((&detail["pending"], &detail["vm"]["status"]["drift"]), (&Value::Null, &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_no_good_lets_nobody_in() {
    let Some(hosts) = Hosts::start(3).await else { return };
    let used = hosts.invite(0).await;
    assert_eq!(hosts.ask_to_join(1, &used).await.status, 202);
    hosts.is_member(1, 0).await;
    stays_out(&hosts, "used twice", &used).await;

    let made = hosts.admin(0).post("cluster/tokens", json!({})).await.json().unwrap();
    let path = format!("cluster/tokens/{}", made["token"]["id"].as_str().unwrap());
    let answer = hosts.admin(1).delete(&path).await;
    assert!(answer.status.is_success(), "{}", answer.text());
    stays_out(&hosts, "revoked", made["text"].as_str().unwrap()).await;

    let brief = hosts.admin(0).post("cluster/tokens", json!({"valid_s": 1})).await.json().unwrap();
    // The end of its second is what is waited for.
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    stays_out(&hosts, "expired", brief["text"].as_str().unwrap()).await;

    let good = hosts.invite(0).await;
    let middle = good.len() / 2;
    let other = if good.as_bytes()[middle] == b'A' { "B" } else { "A" };
    let changed = format!("{}{other}{}", &good[..middle], &good[middle + 1..]);
    for (what, bad) in [
        ("changed", changed.as_str()),
        ("cut off", &good[..good.len() - 3]),
        ("empty", ""),
        ("words", "let me in"),
    ] {
        stays_out(&hosts, what, bad).await;
    }
    for valid_s in [0, 86_401] {
        let answer = hosts.admin(0).post("cluster/tokens", json!({"valid_s": valid_s})).await;
        assert_eq!(answer.status, 422, "{}", answer.text());
    }
    // None of it did any harm: the good one still works, a moment after so many wrong ones.
    wait::until("the good token taken", PATIENCE, || async {
        let answer = hosts.ask_to_join(2, &good).await;
        assert!(answer.status == 202 || answer.status == 429, "{}", answer.text());
        Ok((answer.status == 202).then_some(()))
    })
    .await
    .unwrap();
    hosts.is_member(2, 0).await;
}

/// Host 2 is refused with `token`, in the preview and at the door, and stays what it was.
async fn stays_out(hosts: &Hosts, what: &str, token: &str) {
    let before = hosts.view(2).await;
    let preview = hosts.admin(2).post("cluster/preview", json!({"token": token})).await;
    refused(what, &preview);
    refused(what, &hosts.ask_to_join(2, token).await);
    let now = hosts.view(2).await;
    assert_eq!(
        (&now["cluster"]["id"], &now["condition"]),
        (&before["cluster"]["id"], &json!("alone")),
        "{what}"
    );
    hosts.members_are(0, &[0, 1]).await;
}

fn refused(what: &str, answer: &Answer) {
    assert!(answer.status.is_client_error(), "{what}: {} {}", answer.status, answer.text());
    let problem = answer.json().unwrap();
    let told =
        problem["detail"].as_str().map(str::len).max(problem["errors"][0]["detail"].as_str().map(str::len));
    assert!(told.is_some_and(|length| length > 10), "{what}: {problem:#}");
}

/// What a host holds, to compare.
async fn everything(hosts: &Hosts, i: usize) -> Value {
    let mut admin = hosts.admin(i);
    let mut held = json!({"id": hosts.view(i).await["cluster"]["id"], "members": hosts.view(i).await["members"][0]["id"]});
    for kind in ["vms", "networks", "images", "volumes", "hosts"] {
        let mut rows = admin.list(kind).await;
        for row in &mut rows {
            // What is observed may change at any time.
            row.as_object_mut().unwrap().retain(|field, _| field == "id" || field == "spec");
        }
        held[kind] = json!(rows);
    }
    held
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_of_one_name_are_told_apart() {
    let Some(hosts) = Hosts::start(2).await else { return };
    let path = format!("hosts/{}", hosts.id(1).await);
    let renamed = hosts.admin(1).ask(Method::PATCH, &path, json!({"name": "h1"})).await;
    assert_eq!(renamed.status, 200, "{}", renamed.text());
    hosts.join(1, 0).await;
    let mut names = hosts.admin(0).names("hosts").await;
    names.dedup();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_writers_do_not_notice_a_join() {
    let Some(hosts) = Hosts::start(3).await else { return };
    let writers: Vec<_> = (0..20).map(|_| hosts.write(0)).collect();
    hosts.join(1, 0).await;
    hosts.join(2, 0).await;
    let mut acknowledged = Vec::new();
    for writer in writers {
        writer.goes_on(1).await;
        acknowledged.extend(writer.end().await);
    }
    eprintln!("{} writes", acknowledged.len());
    hosts.kept(&[0, 1, 2], &acknowledged).await;
}
