//! Leases, fences and placements: what the rows allow, and what members of a group grant each other.

use crate::cluster_record::{founded, raise};
use crate::fixture::*;
use crate::lan::*;
use hostd_cluster::{Settings, Terms};
use hostd_types::command::*;
use hostd_types::*;
use std::time::Duration;

fn acknowledge(id: HostId, epoch: u64) -> Command {
    Command::Host(HostCommand::Acknowledge { id, epoch })
}

fn fence(id: HostId, epoch: u64, (leader, term): (NodeId, u64)) -> Command {
    Command::Host(HostCommand::Fence { id, epoch, leader, term })
}

/// Who leads the group of one.
fn leader(f: &Fixture) -> (NodeId, u64) {
    (f.cluster.node(), f.cluster.group().term)
}

fn place(id: VmId, host: HostId, placement_epoch: u64) -> Command {
    Command::Vm(VmCommand::Place { id, host, placement_epoch })
}

async fn stand(f: &Fixture, id: HostId) -> (HostState, u64) {
    let host = f.cluster.store().host(id).await.unwrap().expect("the host");
    (host.spec.state, host.spec.fence_epoch)
}

#[tokio::test]
async fn a_host_is_fenced_in_its_epoch_by_the_leader_that_waited() {
    let (f, _) = founded().await;
    let (host, _) = f.member("h2").await;
    let leads = leader(&f);
    assert_eq!(stand(&f, host).await, (HostState::New, 0));
    assert_eq!(f.refused(fence(host, 0, leads)).await.kind, ProblemKind::WrongState, "it never had a lease");
    assert_eq!(f.refused(acknowledge(host, 1)).await.kind, ProblemKind::Conflict);
    f.ok(acknowledge(host, 0)).await;
    f.ok(acknowledge(host, 0)).await;
    assert_eq!(stand(&f, host).await, (HostState::Active, 0));

    for other in [(leads.0, leads.1 + 1), (NodeId(1), leads.1)] {
        assert_eq!(f.refused(fence(host, 0, other)).await.kind, ProblemKind::WrongState, "another leader's");
    }
    assert_eq!(f.refused(fence(host, 1, leads)).await.kind, ProblemKind::Conflict, "another epoch");
    f.ok(fence(host, 0, leads)).await;
    assert_eq!(stand(&f, host).await, (HostState::Fenced, 1));
    assert_eq!(f.refused(fence(host, 0, leads)).await.kind, ProblemKind::Conflict, "once");
    assert_eq!(f.refused(acknowledge(host, 0)).await.kind, ProblemKind::Conflict, "it must know its epoch");
    f.ok(acknowledge(host, 1)).await;
    assert_eq!(stand(&f, host).await, (HostState::Active, 1));
    let told =
        ["host.acknowledge in epoch 0", "host.fence its epoch is 1 now", "host.acknowledge in epoch 1"];
    assert_eq!(f.events(host).await[1..], told);
}

#[tokio::test]
async fn a_machine_is_placed_elsewhere_only_when_its_host_was_fenced_or_hands_it_over() {
    let (f, _) = founded().await;
    let ((from, _), (to, _)) = (f.member("h2").await, f.member("h3").await);
    let (vm, leads) = (VmId::new(), leader(&f));
    f.ok(create(vm, from, blank_vm("web"))).await;
    f.ok(vm_report(vm, running(), None)).await;
    f.ok(acknowledge(from, 0)).await;
    assert_eq!(f.refused(place(vm, to, 0)).await.kind, ProblemKind::WrongState, "it runs on h2");
    f.ok(fence(from, 0, leads)).await;
    assert_eq!(f.refused(place(vm, to, 0)).await.kind, ProblemKind::WrongState, "h3 gets no leases");
    f.ok(acknowledge(to, 0)).await;
    assert_eq!(f.refused(place(vm, to, 1)).await.kind, ProblemKind::Conflict);
    f.ok(place(vm, to, 0)).await;
    let now = f.vm(vm).await;
    assert_eq!((now.spec.host, now.spec.placement_epoch, now.status.state), (to, 1, VmState::Off));
    assert_eq!(now.status.reason.as_deref(), Some("h2 ran it before"));
    assert_eq!(f.refused(place(vm, from, 0)).await.kind, ProblemKind::Conflict, "one of two takeovers");

    // Its host hands it over; nobody else can.
    f.ok(acknowledge(from, 1)).await;
    assert_eq!(f.refused(place(vm, from, 1)).await.kind, ProblemKind::WrongState);
    let by = Actor::Host { id: to };
    f.cluster.propose(Entry { by, ..f.entry(place(vm, from, 1)) }).await.unwrap();
    assert_eq!(f.vm(vm).await.spec.host, from);
    f.ok(place(vm, from, 2)).await;
    assert_eq!(f.vm(vm).await.spec.placement_epoch, 3, "the same host again is a new placement");
}

#[tokio::test]
async fn a_machine_stays_where_its_parts_are() {
    let (f, _) = founded().await;
    let ((from, _), (to, _)) = (f.member("h2").await, f.member("h3").await);
    for host in [from, to] {
        f.ok(acknowledge(host, 0)).await;
    }
    let vm = VmId::new();
    let disk = NewDisk::Blank {
        size_bytes: GIB,
        format: DiskFormat::Raw,
        bus: DiskBus::Virtio,
        options: DiskOptions::default(),
    };
    f.ok(create(vm, from, CreateVm { disks: vec![disk], ..blank_vm("web") })).await;
    f.ok(fence(from, 0, leader(&f))).await;
    let refused = f.refused(place(vm, to, 0)).await;
    assert!(refused.detail.contains("web-disk0"), "{refused:?}");
}

#[tokio::test]
async fn older_levels_know_no_leases() {
    let f = Fixture::new().await;
    f.ok(raise(2)).await;
    for command in [acknowledge(f.host, 0), fence(f.host, 0, leader(&f))] {
        assert_eq!(f.refused(command).await.kind, ProblemKind::WrongState);
    }
}

/// Leases that last for a second.
fn short() -> Settings {
    let ms = Duration::from_millis;
    let terms = Terms { renew: ms(300), lease: ms(1500), watchdog: ms(500), fence: ms(3500) };
    assert!(terms.hold());
    Settings { terms, ..brisk() }
}

async fn has_lease(peer: &Peer, epoch: u64) {
    peer.until("it has a lease", |h| async move { h.cluster.lease().is_some_and(|l| l.epoch == epoch) })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_cut_off_loses_its_lease_is_fenced_and_comes_back() {
    let lan = Lan::new();
    let mut hosts = Vec::new();
    for n in 1..=3 {
        hosts.push(Peer::alone(&lan, &format!("h{n}"), short()).await);
    }
    for host in &hosts[1..] {
        host.join(&hosts[0]).await;
    }
    for host in &hosts {
        host.until("all vote", |h| async move { h.voters().len() == 3 && !h.cluster.group().changing }).await;
        assert_eq!(host.cluster.lease(), None, "{} asked for none", host.name);
        host.ok(acknowledge(host.cluster.host(), 0)).await;
    }
    for host in &hosts {
        has_lease(host, 0).await;
        assert!(host.cluster.lease().is_none_or(|lease| lease.caught_up && lease.left < short().terms.lease));
    }
    let lost = hosts.iter().position(|h| !h.cluster.group().leads).expect("a follower");
    let lost = hosts.remove(lost);
    for host in &hosts {
        let lost = lost.node();
        let leased = move |h: &Peer| h.cluster.group().members.get(&lost)?.known.as_ref()?.lease;
        host.until("it knows of the lease", |h| async move { leased(h).is_some() }).await;
    }

    lan.cut_off(&lost);
    lost.until("its lease ends", |h| async move { h.cluster.lease().is_none() }).await;
    let due = async |h: &Peer| h.cluster.to_fence().await.unwrap().first().copied();
    let leads = |h: &&Peer| h.cluster.group().leads;
    let leader = hosts.iter().find(leads).expect("a leader");
    leader.until("somebody is to be fenced", |h| async move { due(h).await.is_some() }).await;
    let due = leader.cluster.to_fence().await.unwrap();
    assert_eq!(due.iter().map(|due| due.host).collect::<Vec<_>>(), [lost.cluster.host()]);
    leader.ok(fence(due[0].host, due[0].epoch, (due[0].leader, due[0].term))).await;

    lan.heal();
    lost.until("it knows that it was fenced", |h| async move {
        let row = h.cluster.store().host(h.cluster.host()).await.unwrap();
        row.is_some_and(|host| host.spec.state == HostState::Fenced)
    })
    .await;
    assert_eq!(lost.cluster.lease(), None);
    lost.ok(acknowledge(lost.cluster.host(), 1)).await;
    has_lease(&lost, 1).await;
}
