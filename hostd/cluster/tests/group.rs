//! Members together: joining, leaving, losing each other.

use crate::fixture::*;
use crate::lan::*;
use hostd_cluster::{Destination, Settings};
use hostd_types::command::*;
use hostd_types::*;
use std::collections::BTreeSet;
use std::sync::Arc;

/// `count` hosts in one cluster, all voting that may.
async fn cluster(lan: &Arc<Lan>, count: usize, settings: &Settings) -> Vec<Peer> {
    let mut hosts = Vec::new();
    for n in 1..=count {
        hosts.push(Peer::alone(lan, &format!("h{n}"), settings.clone()).await);
    }
    for host in &hosts[1..] {
        host.join(&hosts[0]).await;
    }
    let voters = match count {
        0..3 => 1,
        3..5 => 3,
        _ => 5,
    };
    for host in &hosts {
        // While who votes is changing, both the old and the new voters must agree.
        let settled = |h: &Peer| h.voters().len() == voters && !h.cluster.group().changing;
        host.until("everybody votes", |h| async move { settled(h) }).await;
    }
    hosts
}

fn leader(hosts: &[Peer]) -> usize {
    hosts.iter().position(|h| h.cluster.group().leads).expect("a leader")
}

async fn all_see(hosts: &[Peer], names: &[&str]) {
    let wanted: BTreeSet<String> = names.iter().map(|n| n.to_string()).collect();
    for host in hosts {
        let wanted = &wanted;
        host.until(&format!("it sees {wanted:?}"), |h| async move {
            h.vms().await.into_iter().collect::<BTreeSet<_>>() == *wanted
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_join_with_what_they_have_and_every_one_takes_writes() {
    let lan = Lan::new();
    let first = Peer::alone(&lan, "h1", brisk()).await;
    let second = Peer::alone(&lan, "h2", brisk()).await;
    let third = Peer::alone(&lan, "h3", brisk()).await;
    for host in [&first, &second, &third] {
        host.vm(&format!("on-{}", host.name)).await;
    }
    second.vm("ON-h1").await;
    second.join(&first).await;
    all_see(&[first, second], &["on-h1", "on-h2", "ON-h1-h2"]).await;
    drop(third);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hosts_vote_and_reads_follow_writes_on_each() {
    let lan = Lan::new();
    let hosts = cluster(&lan, 3, &brisk()).await;
    for (n, host) in hosts.iter().enumerate() {
        let name = format!("vm{n}");
        host.vm(&name).await;
        assert!(host.vms().await.contains(&name), "{} does not see what it wrote", host.name);
    }
    all_see(&hosts, &["vm0", "vm1", "vm2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_majority_goes_on_without_its_leader_and_the_leader_catches_up() {
    let lan = Lan::new();
    let hosts = cluster(&lan, 3, &brisk()).await;
    let lost = leader(&hosts);
    lan.cut_off(&hosts[lost]);
    let alone = hosts[lost].propose(create(VmId::new(), hosts[lost].cluster.host(), blank_vm("lost"))).await;
    assert_eq!(alone.expect_err("no majority").kind, ProblemKind::NoQuorum);
    let rest: Vec<&Peer> = hosts.iter().filter(|h| h.node() != hosts[lost].node()).collect();
    for (n, host) in rest.iter().enumerate() {
        host.vm(&format!("vm{n}")).await;
    }
    lan.heal();
    hosts[lost].until("it follows again", |h| async move { h.vms().await.len() >= 2 }).await;
    // What was refused may have acted or not, but everybody agrees.
    let names = hosts[lost].vms().await;
    for host in rest {
        let names = &names;
        host.until("all agree", |h| async move { h.vms().await == *names }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_leaves_with_what_it_has() {
    let lan = Lan::new();
    let hosts = cluster(&lan, 3, &brisk()).await;
    for host in &hosts {
        host.vm(&format!("on-{}", host.name)).await;
    }
    let leaver = leader(&hosts);
    hosts[leaver].leave().await;
    assert_eq!(hosts[leaver].vms().await, [format!("on-{}", hosts[leaver].name)]);
    assert!(hosts[leaver].cluster.group().leads);
    for host in hosts.iter().filter(|h| h.node() != hosts[leaver].node()) {
        host.until("two are left", |h| async move { h.cluster.group().members.len() == 2 }).await;
        host.vm(&format!("more-{}", host.name)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_when_a_host_moves_is_not_done_where_it_goes() {
    let lan = Lan::new();
    let hosts = cluster(&lan, 3, &brisk()).await;
    let host = &hosts[(leader(&hosts) + 1) % 3];
    lan.cut_off(host);
    // Any group could do this, also an empty one.
    let waits = host.propose(Command::Cluster(ClusterCommand::Raise { level: LEVEL }));
    let moves = host.switch_with(NodeId::random(), Destination::Alone, Belongings::default());
    let (told, ()) = tokio::join!(waits, moves);
    assert_eq!(told.expect_err("it was meant for the old group").kind, ProblemKind::Unavailable);
    assert!(host.cluster.group().leads, "it moved");
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_change_nothing() {
    let lan = Lan::new();
    let mut hosts = cluster(&lan, 3, &brisk()).await;
    hosts[0].vm("web").await;
    for n in 0..3 {
        let host = hosts.remove(0).restart().await;
        host.until("it has it all", |h| async move { h.vms().await.len() == n + 1 }).await;
        host.vm(&format!("vm{n}")).await;
        hosts.push(host);
    }
    all_see(&hosts, &["web", "vm0", "vm1", "vm2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_far_behind_gets_a_snapshot() {
    let lan = Lan::new();
    let settings = Settings { snapshot_entries: 20, keep_entries: 5, ..brisk() };
    let first = Peer::alone(&lan, "h1", settings.clone()).await;
    let mut ids = Vec::new();
    for n in 0..60 {
        ids.push(first.vm(&format!("vm{n}")).await);
    }
    first.until("the log was cut", |h| async move { h.cluster.health().await.snapshot > 30 }).await;
    let second = Peer::alone(&lan, "h2", settings).await;
    second.join(&first).await;
    assert_eq!(second.vms().await.len(), 60);
    first.ok(delete_vm(ids[0], true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_survivor_goes_on_alone_and_others_join_again() {
    let lan = Lan::new();
    let mut hosts = cluster(&lan, 3, &brisk()).await;
    hosts[0].vm("before").await;
    hosts[2].until("it has it", |h| async move { h.vms().await == ["before"] }).await;
    let survivor = hosts.pop().expect("three");
    for lost in hosts {
        lost.off().await;
    }
    let refused = survivor.propose(create(VmId::new(), survivor.cluster.host(), blank_vm("early"))).await;
    assert_eq!(refused.expect_err("no majority").kind, ProblemKind::NoQuorum);
    // What can't begin changes nothing, then or later.
    let journal = survivor.dir.path().join("recover.part");
    std::fs::create_dir(&journal).unwrap();
    let failed = survivor.cluster.recover("me").await.expect_err("no journal can be written");
    assert!(failed.detail.contains("nothing was changed"), "{failed:?}");
    std::fs::remove_dir(&journal).unwrap();
    let survivor = survivor.restart().await;
    assert_eq!((survivor.cluster.group().members.len(), survivor.cluster.recovered().await), (3, Ok(None)));
    survivor.cluster.recover("me").await.expect("recovered");
    let survivor = survivor.restart().await;
    assert_eq!(survivor.cluster.recovered().await.unwrap().as_deref(), Some("me"));
    survivor.cluster.recovery_told().await.unwrap();
    assert_eq!(survivor.cluster.recovered().await.unwrap(), None);
    let recover = ClusterCommand::Recover { host: survivor.cluster.host(), generation: 1 };
    survivor.ok(Command::Cluster(recover)).await;
    survivor.vm("after").await;
    let record = survivor.cluster.store().cluster().await.unwrap().expect("a cluster");
    assert_eq!(record.status.generation, 1);
    assert_eq!(survivor.cluster.store().hosts().await.unwrap().len(), 1);
    let survivor = survivor.restart().await;
    assert!(survivor.vms().await.contains(&"after".to_owned()));
    let fresh = Peer::alone(&lan, "h4", brisk()).await;
    fresh.join(&survivor).await;
    fresh.vm("mine").await;
    assert!(fresh.cluster.group().followed, "who did what was asked is followed by a majority");
    all_see(&[survivor, fresh], &["after", "mine"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deciding_one_of_two_leaves_and_the_other_goes_on() {
    let lan = Lan::new();
    let hosts = cluster(&lan, 2, &brisk()).await;
    hosts[leader(&hosts)].leave().await;
    for host in &hosts {
        host.until("each is alone", |h| async move { h.cluster.group().members.len() == 1 }).await;
        host.vm(&format!("on-{}", host.name)).await;
    }
}
