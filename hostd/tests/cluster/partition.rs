//! Hosts are cut off, killed and frozen. No acknowledged write is lost, and no page hangs.

use crate::fleet::{Hosts, Writer, member};
use serde_json::{Value, json};

/// Three hosts, the leader first, and a writer at each of the other two.
async fn busy() -> Option<(Hosts, usize, [usize; 2], Vec<Writer>)> {
    let hosts = Hosts::joined(3).await?;
    let leader = hosts.leader(&[0, 1, 2]).await;
    let rest = [(leader + 1) % 3, (leader + 2) % 3];
    let writers = rest.map(|i| hosts.write(i)).into();
    for writer in &writers {
        Writer::goes_on(writer, 5).await;
    }
    Some((hosts, leader, rest, writers))
}

/// All is well again: one leader, every acknowledged write everywhere, and new ones from everybody.
async fn all_well(hosts: &Hosts, writers: Vec<Writer>) {
    let mut acknowledged = Vec::new();
    for writer in writers {
        writer.goes_on(3).await;
        acknowledged.extend(writer.end().await);
    }
    hosts.leader(&[0, 1, 2]).await;
    for i in 0..3 {
        let writer = hosts.write(i);
        writer.goes_on(3).await;
        acknowledged.extend(writer.end().await);
    }
    eprintln!("{} writes were acknowledged", acknowledged.len());
    hosts.kept(&[0, 1, 2], &acknowledged).await;
}

/// Liveness and age of the host `id` in a view.
fn seen(view: &Value, id: &str) -> (String, Option<u64>) {
    let row = member(view, id).unwrap_or_else(|| panic!("no row of {id}: {view:#}"));
    (row["liveness"].as_str().unwrap().to_owned(), row["seen_s"].as_u64())
}

/// Reads on host `i` are answered, whoever is out of reach.
async fn reads(hosts: &Hosts, i: usize, machines: usize) {
    let mut admin = hosts.admin(i);
    assert_eq!(admin.list("vms").await.len(), machines);
    admin.get("overview").await;
    admin.view().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_is_cut_off() {
    let Some((mut hosts, leader, [cut, other], writers)) = busy().await else { return };
    for i in 0..3 {
        hosts.admin(i).create_vm(&format!("on{i}"), json!({"start": i == cut})).await;
    }
    let id = hosts.id(cut).await;
    let leader_id = hosts.id(leader).await;
    let own = hosts.admin(cut).list("vms?q=on").await;
    let own = own.iter().find(|vm| vm["spec"]["name"] == format!("on{cut}")).unwrap()["id"].clone();
    hosts.cut(cut).unwrap();
    writers[1].goes_on(20).await;
    for i in [leader, other] {
        let away = |view: &Value| matches!(seen(view, &id), (live, Some(age)) if live != "up" && age >= 2);
        hosts.admin(i).sees("the cut host's row with its age", away).await;
        reads(&hosts, i, 3).await;
    }
    let away = |view: &Value| matches!(seen(view, &leader_id), (live, Some(age)) if live != "up" && age >= 2);
    let view = hosts.admin(cut).sees("the others' rows with their age", away).await;
    assert_eq!(view["members"].as_array().unwrap().len(), 3);
    reads(&hosts, cut, 3).await;
    // Its own machine is its own to stop.
    let own = own.as_str().unwrap();
    let task = hosts.admin(cut).post(&format!("vms/{own}/power"), json!({"action": "force_off"})).await;
    assert!(task.status.is_success(), "{}", task.text());
    hosts.admin(cut).vm_is(own, "off").await;
    hosts.heal(cut).unwrap();
    hosts.admin(leader).sees("the host back", |view| seen(view, &id).0 == "up").await;
    hosts.admin(leader).vm_is(own, "off").await;
    all_well(&hosts, writers).await;
    hosts.heal_all().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_is_cut_off() {
    let Some((hosts, leader, rest, writers)) = busy().await else { return };
    let behind = hosts.write(leader);
    behind.goes_on(5).await;
    hosts.cut(leader).unwrap();
    let next = hosts.leader(&rest).await;
    assert_ne!(next, leader);
    for writer in &writers {
        writer.goes_on(10).await;
    }
    reads(&hosts, leader, 0).await;
    hosts.heal(leader).unwrap();
    let writers: Vec<Writer> = writers.into_iter().chain([behind]).collect();
    all_well(&hosts, writers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_leader_says_is_lost() {
    let Some((mut hosts, leader, [deaf, other], writers)) = busy().await else { return };
    hosts.cut_way(leader, deaf).unwrap();
    writers[1].goes_on(20).await;
    reads(&hosts, deaf, 0).await;
    hosts.heal_pair(leader, deaf).unwrap();
    hosts.leader(&[leader, deaf, other]).await;
    all_well(&hosts, writers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_leader_hears_is_lost() {
    let Some((mut hosts, leader, rest, writers)) = busy().await else { return };
    for i in rest {
        hosts.cut_way(i, leader).unwrap();
    }
    // A leader that hears nobody must not stay one.
    let next = hosts.leader(&rest).await;
    assert_ne!(next, leader);
    for writer in &writers {
        writer.goes_on(10).await;
    }
    hosts.heal_all().unwrap();
    all_well(&hosts, writers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_is_killed() {
    let Some((mut hosts, leader, rest, writers)) = busy().await else { return };
    hosts.crash(leader).unwrap();
    for writer in &writers {
        writer.goes_on(10).await;
    }
    hosts.leader(&rest).await;
    hosts.restart(leader).await.unwrap();
    all_well(&hosts, writers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_is_frozen_and_thaws_into_a_cluster_with_another_one() {
    let Some((hosts, leader, rest, writers)) = busy().await else { return };
    let behind = hosts.write(leader);
    behind.goes_on(5).await;
    hosts.freeze(leader).unwrap();
    let next = hosts.leader(&rest).await;
    assert_ne!(next, leader);
    for writer in &writers {
        writer.goes_on(20).await;
    }
    hosts.thaw(leader).unwrap();
    let writers: Vec<Writer> = writers.into_iter().chain([behind]).collect();
    all_well(&hosts, writers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_lose_power_at_once() {
    let Some((mut hosts, _, _, writers)) = busy().await else { return };
    let mut acknowledged = Vec::new();
    for i in 0..3 {
        hosts.power_cut(i).unwrap();
    }
    for writer in writers {
        acknowledged.extend(writer.end().await);
    }
    for i in 0..3 {
        hosts.restart(i).await.unwrap();
    }
    hosts.leader(&[0, 1, 2]).await;
    hosts.kept(&[0, 1, 2], &acknowledged).await;
}
