//! Hosts leave, are removed, and come back. Their guests run on.

use crate::admin::PATIENCE;
use crate::bed::refused;
use crate::fleet::Hosts;
use hyper::Method;
use lab::wait;
use serde_json::{Value, json};

/// A host that is no member of anything but itself.
fn alone(view: &Value) -> bool {
    view["condition"] == "alone" && view["members"].as_array().is_some_and(|m| m.len() == 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_leaves_with_what_it_has_and_may_come_back() {
    let Some(hosts) = Hosts::joined(3).await else { return };
    let guest = hosts.admin(1).create_vm("guest", json!({"start": true})).await;
    hosts.admin(1).vm_is(&guest, "running").await;
    let process = hosts.qemu(1, &guest);
    let other = hosts.admin(0).create_vm("other", json!({})).await;
    hosts.all_list(&[0, 1, 2], &[&guest, &other]).await;
    let cluster = hosts.view(0).await["cluster"]["id"].clone();
    let credentials = hosts.admin(0).credentials().await;

    let unsure = hosts.admin(1).post("cluster/leave", json!({"confirm": "h1"})).await;
    assert!(unsure.status.is_client_error(), "{}", unsure.text());
    let answer = hosts.admin(1).post("cluster/leave", json!({"confirm": "h2"})).await;
    assert!(answer.status.is_success(), "{}", answer.text());
    let view = hosts.admin(1).sees("h2 alone", alone).await;
    assert_ne!(view["cluster"]["id"], cluster, "it is a cluster of its own");
    hosts.members_are(0, &[0, 2]).await;
    hosts.members_are(2, &[0, 2]).await;
    assert_eq!(hosts.qemu(1, &guest), process, "the guest was touched");
    assert_eq!(hosts.admin(1).names("vms").await, ["guest"]);
    assert_eq!(hosts.admin(0).names("vms").await, ["other"]);
    hosts.admin(1).vm_is(&guest, "running").await;
    // It keeps the cluster's users, with the password that was generated on another host.
    let mut browser = hosts.network(1);
    let login = browser.send(Method::POST, "/api/v1/session", Some(&credentials)).await.unwrap();
    assert_eq!(login.status, 200, "{}", login.text());

    hosts.join(1, 2).await;
    hosts.all_list(&[0, 1, 2], &[&guest, &other]).await;
    assert_eq!(hosts.qemu(1, &guest), process, "the guest was touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_can_leave() {
    let Some(hosts) = Hosts::joined(3).await else { return };
    let leader = hosts.leader(&[0, 1, 2]).await;
    let rest: Vec<usize> = (0..3).filter(|i| *i != leader).collect();
    let writer = hosts.write(rest[0]);
    writer.goes_on(5).await;
    let answer = hosts.admin(leader).post("cluster/leave", json!({"confirm": hosts.name(leader)})).await;
    assert!(answer.status.is_success(), "{}", answer.text());
    hosts.admin(leader).sees("the leader alone", alone).await;
    writer.goes_on(20).await;
    let acknowledged = writer.end().await;
    hosts.leader(&rest).await;
    hosts.kept(&rest, &acknowledged).await;
    hosts.members_are(rest[0], &rest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_host_is_removed_and_told_so_when_it_wakes() {
    let Some(mut hosts) = Hosts::joined(3).await else { return };
    let guest = hosts.admin(2).create_vm("guest", json!({"start": true})).await;
    hosts.admin(2).vm_is(&guest, "running").await;
    let (process, id) = (hosts.qemu(2, &guest), hosts.id(2).await);
    hosts.crash(2).unwrap();

    let unsure = hosts.admin(0).delete(&format!("cluster/hosts/{id}?confirm=h1")).await;
    assert!(unsure.status.is_client_error(), "{}", unsure.text());
    // Until it has been silent for half a minute it may be slow and nothing worse.
    wait::until("h3 removed", PATIENCE, || async {
        let answer = hosts.admin(0).delete(&format!("cluster/hosts/{id}?confirm=h3")).await;
        assert!(answer.status == 204 || answer.status == 409, "{}", answer.text());
        Ok((answer.status == 204).then_some(()))
    })
    .await
    .unwrap();
    hosts.members_are(0, &[0, 1]).await;
    hosts.members_are(1, &[0, 1]).await;
    let view = hosts.view(0).await;
    assert!(view["removed"].as_array().unwrap().iter().any(|r| r["host"] == id.as_str()), "{view:#}");
    let again =
        hosts.admin(1).ask(Method::DELETE, &format!("cluster/hosts/{id}?confirm=h3"), Value::Null).await;
    assert!(!again.status.is_server_error(), "{}", again.text());

    hosts.restart(2).await.unwrap();
    hosts.admin(2).sees("h3 told that it was removed", |view| view["condition"] == "removed").await;
    assert_eq!(hosts.qemu(2, &guest), process, "the guest was touched");
    assert_eq!(hosts.admin(0).names("vms").await, Vec::<String>::new());

    let answer = hosts.admin(2).post("cluster/leave", json!({"confirm": "h3"})).await;
    assert!(answer.status.is_success(), "{}", answer.text());
    hosts.admin(2).sees("h3 alone", alone).await;
    hosts.admin(2).vm_is(&guest, "running").await;
    hosts.join(2, 1).await;
    hosts.all_list(&[0, 1, 2], &[&guest]).await;
    assert_eq!(hosts.qemu(2, &guest), process, "the guest was touched");
    assert_eq!(hosts.view(0).await["removed"], json!([]), "it is a member again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leave_that_was_refused_is_not_done_later() {
    let Some(hosts) = Hosts::joined(3).await else { return };
    let id = hosts.id(2).await;
    hosts.cut(2).unwrap();
    hosts.admin(2).sees("no majority", |view| view["quorum"]["held"] == false).await;
    let answer = hosts.admin(2).post("cluster/leave", json!({"confirm": "h3"})).await;
    refused(&answer, 503, "no-quorum");
    wait::until("h3 removed", PATIENCE, || async {
        let answer = hosts.admin(0).delete(&format!("cluster/hosts/{id}?confirm=h3")).await;
        Ok((answer.status == 204).then_some(()))
    })
    .await
    .unwrap();
    hosts.heal(2).unwrap();
    hosts.admin(2).sees("h3 told that it was removed", |view| view["condition"] == "removed").await;
    // What would go on with the leave has run by then.
    hosts.write(0).goes_on(50).await;
    assert_eq!(hosts.view(2).await["condition"], "removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_was_off_catches_up() {
    let Some(mut hosts) = Hosts::joined(3).await else { return };
    hosts.leader(&[0, 1, 2]).await;
    hosts.power_cut(2).unwrap();
    let writer = hosts.write(0);
    writer.goes_on(50).await;
    let acknowledged = writer.end().await;
    hosts.restart(2).await.unwrap();
    hosts.kept(&[2], &acknowledged).await;
    hosts.is_member(2, 0).await;
}
