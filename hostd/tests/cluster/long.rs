//! What takes minutes: `cargo xtask lab cluster` runs it.

use crate::fleet::{Hosts, Writer};
use serde_json::json;
use std::time::Duration;

/// Hosts that join one after the other.
const JOINS: usize = 20;
/// How long a daemon is stopped.
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes long: cargo xtask lab cluster"]
async fn twenty_hosts_join_in_a_row() {
    let Some(mut hosts) = Hosts::start(1).await else { return };
    let writer = hosts.write(0);
    for i in 1..=JOINS {
        hosts.add(1).await.unwrap();
        hosts.is_idle(i).await;
        hosts.admin(i).create_vm(&format!("on{i}"), json!({})).await;
        // Any member can take one in.
        hosts.join(i, i / 2).await;
        writer.goes_on(3).await;
    }
    let acknowledged = writer.end().await;
    let everybody: Vec<usize> = (0..=JOINS).collect();
    for i in [0, JOINS / 2, JOINS] {
        hosts.members_are(i, &everybody).await;
        assert_eq!(hosts.admin(i).list("vms?limit=500").await.len(), JOINS);
    }
    hosts.vote().await;
    hosts.kept(&everybody, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes long: cargo xtask lab cluster"]
async fn five_voters_go_on_without_two_of_them_whichever_these_are() {
    let Some(mut hosts) = Hosts::joined(5).await else { return };
    let all = [0, 1, 2, 3, 4];
    let mut writers: Vec<Writer> = all.iter().map(|i| hosts.write(*i)).collect();
    let leader = hosts.leader(&all).await;
    let (second, third) = ((leader + 1) % 5, (leader + 2) % 5);
    let rest = |gone: [usize; 2]| all.into_iter().filter(move |i| !gone.contains(i)).collect::<Vec<_>>();
    // Cut off, the leader among them.
    for i in [leader, second] {
        hosts.cut(i).unwrap();
    }
    let left = rest([leader, second]);
    let next = hosts.leader(&left).await;
    for i in &left {
        writers[*i].goes_on(5).await;
    }
    hosts.heal_all().unwrap();
    hosts.leader(&all).await;
    for writer in &writers {
        writer.goes_on(3).await;
    }
    // Dead and frozen.
    let frozen = if next == third { second } else { third };
    hosts.crash(next).unwrap();
    hosts.freeze(frozen).unwrap();
    for i in rest([next, frozen]) {
        writers[i].goes_on(5).await;
    }
    hosts.thaw(frozen).unwrap();
    hosts.restart(next).await.unwrap();
    hosts.leader(&all).await;
    let mut acknowledged = Vec::new();
    for writer in writers.drain(..) {
        writer.goes_on(3).await;
        acknowledged.extend(writer.end().await);
    }
    hosts.kept(&all, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes long: cargo xtask lab cluster"]
async fn a_minute_frozen_costs_a_leader_its_lead_and_nobody_a_write() {
    let Some(hosts) = Hosts::joined(3).await else { return };
    let leader = hosts.leader(&[0, 1, 2]).await;
    let rest = [(leader + 1) % 3, (leader + 2) % 3];
    let guest = hosts.admin(leader).create_vm("guest", json!({"start": true})).await;
    hosts.admin(leader).vm_is(&guest, "running").await;
    let (process, id) = (hosts.qemu(leader, &guest), hosts.id(leader).await);
    let writers = [leader, rest[0]].map(|i| hosts.write(i));
    writers[0].goes_on(5).await;
    hosts.freeze(leader).unwrap();
    // Long enough for every patience of the product to run out.
    tokio::time::sleep(MINUTE).await;
    let next = hosts.leader(&rest).await;
    let fenced = |view: &serde_json::Value| crate::fleet::member(view, &id).unwrap()["liveness"] == "fenced";
    hosts.admin(next).sees("the frozen host fenced", fenced).await;
    writers[1].goes_on(20).await;
    hosts.thaw(leader).unwrap();
    let up = |view: &serde_json::Value| crate::fleet::member(view, &id).unwrap()["liveness"] == "up";
    hosts.admin(next).sees("it back", up).await;
    let mut acknowledged = Vec::new();
    for writer in writers {
        writer.goes_on(5).await;
        acknowledged.extend(writer.end().await);
    }
    hosts.kept(&[0, 1, 2], &acknowledged).await;
    hosts.leader(&[0, 1, 2]).await;
    assert_eq!(hosts.qemu(leader, &guest), process, "the guest was touched");
}
