//! What a host does without the majority, and how a survivor goes on when it is lost for ever.

use crate::admin::PATIENCE;
use crate::bed::refused;
use crate::fleet::Hosts;
use lab::wait;
use serde_json::{Value, json};

fn held(view: &Value) -> bool {
    view["quorum"]["held"] == true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_cut_off_works_with_its_own_machines_and_tells_later() {
    let Some(hosts) = Hosts::joined(3).await else { return };
    let (cut, other) = (2, 0);
    let vm = hosts.admin(cut).create_vm("own", json!({})).await;
    let credentials = hosts.admin(other).credentials().await;
    hosts.cut(cut).unwrap();
    hosts.admin(cut).sees("no majority", |view| !held(view)).await;

    let started = hosts.admin(cut).power(&vm, "start").await;
    assert_eq!(started["state"], "succeeded", "{started:#}");
    hosts.admin(cut).vm_is(&vm, "running").await;
    let process = hosts.qemu(cut, &vm);
    let body = json!({"name": "new", "cpus": 1, "memory_mib": 32});
    let answer = hosts.admin(cut).post("vms", body).await;
    let problem = refused(&answer, 503, "no-quorum");
    let detail = problem["detail"].as_str().unwrap();
    for part in ["h1", "h2", "recover"] {
        assert!(detail.contains(part), "{detail}");
    }
    // Whoever is not logged in yet still gets in, to this host.
    let mut browser = hosts.network(cut);
    let login = browser.send(hyper::Method::POST, "/api/v1/session", Some(&credentials)).await.unwrap();
    assert_eq!(login.status, 200, "{}", login.text());

    hosts.heal(cut).unwrap();
    for i in [cut, other] {
        hosts.admin(i).sees("a majority", held).await;
        hosts.admin(i).vm_is(&vm, "running").await;
    }
    assert_eq!(hosts.qemu(cut, &vm), process, "the guest was touched");
    wait::until("the act in the audit trail", PATIENCE, || async {
        let events = hosts.admin(other).list("events?limit=100").await;
        let told = events.iter().any(|event| {
            let detail = event["detail"].as_str().unwrap_or_default();
            event["action"] == "vm.start" && detail.contains("cut off")
        });
        Ok(told.then_some(()))
    })
    .await
    .unwrap();
    // From here on it goes through the log again.
    let stopped = hosts.admin(other).power(&vm, "force_off").await;
    assert_eq!(stopped["state"], "succeeded", "{stopped:#}");
    hosts.admin(cut).vm_is(&vm, "off").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_survivor_goes_on_alone_and_the_others_are_refused_until_they_join_again() {
    let Some(mut hosts) = Hosts::joined(3).await else { return };
    let vm = hosts.admin(0).create_vm("kept", json!({"start": true})).await;
    let wrong = hosts.admin(0).post("cluster/recover", json!({"powered_off": ["h2", "h3"]})).await;
    refused(&wrong, 409, "wrong-state");
    for lost in [1, 2] {
        hosts.power_cut(lost).unwrap();
    }
    let alone = |view: &Value| {
        let up = |row: &&Value| row["liveness"] == "up";
        !held(view) && view["members"].as_array().unwrap().iter().filter(up).count() == 1
    };
    hosts.admin(0).sees("nobody else", alone).await;
    let half = hosts.admin(0).post("cluster/recover", json!({"powered_off": ["h2"]})).await;
    assert!(refused(&half, 422, "invalid").to_string().contains("h3"));
    let done = hosts.admin(0).post("cluster/recover", json!({"powered_off": ["h2", "h3"]})).await;
    assert_eq!(done.status, 200, "{}", done.text());
    hosts.admin(0).sees("a majority of one", held).await;
    hosts.admin(0).create_vm("new", json!({})).await;
    hosts.admin(0).vm_is(&vm, "running").await;

    // A lost one that comes back is told, becomes its own, and may join as any other.
    hosts.restart(1).await.unwrap();
    hosts.admin(1).sees("it was removed", |view| view["condition"] == "removed").await;
    let left = hosts.admin(1).post("cluster/leave", json!({"confirm": "h2"})).await;
    assert!(left.status.is_success(), "{}", left.text());
    hosts.admin(1).sees("it is alone", |view| view["condition"] == "alone").await;
    hosts.is_idle(1).await;
    hosts.join(1, 0).await;
    hosts.is_member(1, 0).await;
}
