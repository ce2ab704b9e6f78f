//! Hosts that leave or are removed.

use crate::cluster_record::{found, founded, raise};
use crate::fixture::*;
use crate::join_token::join;
use hostd_types::command::*;
use hostd_types::*;

fn remove(host: HostId) -> Command {
    Command::Cluster(ClusterCommand::Remove { host })
}

/// One of everything on `host`, with a running task of each.
async fn furnish(f: &Fixture, host: HostId, tail: &str) -> (VmId, NetworkId, Vec<Option<TaskId>>) {
    let network = NetworkId::new();
    let asked = nat(&format!("lan{tail}"), "10.200.0.0/24");
    f.ok(Command::Network(NetworkCommand::Create { id: network, host, network: asked })).await;
    let status = NetworkStatus { phase: Phase::Ready, active: true, fault: None };
    f.ok(Command::Network(NetworkCommand::Report { id: network, status })).await;
    let volume = CreateVolume { name: format!("v{tail}"), size_bytes: GIB, format: DiskFormat::Raw };
    let volume = f.ok(Command::Volume(VolumeCommand::Create { id: VolumeId::new(), host, volume })).await;
    let image = f.ok(Command::Image(image_create(ImageId::new(), host, &format!("i{tail}")))).await;
    let id = VmId::new();
    let asked = CreateVm {
        disks: vec![NewDisk::Blank {
            size_bytes: GIB,
            format: DiskFormat::Raw,
            bus: DiskBus::Virtio,
            options: DiskOptions::default(),
        }],
        nics: vec![NewNic { network, mac: None, model: NicModel::Virtio, options: NicOptions::default() }],
        ..blank_vm(&format!("web{tail}"))
    };
    let vm = f.ok(create(id, host, asked)).await;
    (id, network, vec![volume.task, image.task, vm.task])
}

#[tokio::test]
async fn a_host_goes_with_everything_on_it_and_its_tasks_end() {
    let (f, _) = founded().await;
    let (host, node) = f.member("h2").await;
    let (stays, here, ours) = furnish(&f, f.host, "1").await;
    let (goes, there, theirs) = furnish(&f, host, "2").await;
    let kept = f.cluster.store().belongings(f.host).await.unwrap();
    let mut changes = f.cluster.changes();
    f.ok(remove(host)).await;

    let store = f.cluster.store();
    assert_eq!(store.host(host).await.unwrap(), None);
    assert_eq!(store.belongings(host).await.unwrap(), Belongings::default());
    assert_eq!(store.vms_on_network(there).await.unwrap(), []);
    assert_eq!(store.vm(goes).await.unwrap(), None);
    assert_eq!(store.belongings(f.host).await.unwrap(), kept);
    assert_eq!(store.vms_on_network(here).await.unwrap().first().map(|vm| vm.id), Some(stays));
    for task in theirs {
        let state = f.task_state(task).await;
        assert!(state.starts_with("cancelled: The host h2 left the cluster"), "{state}");
    }
    for task in ours {
        assert_eq!(f.task_state(task).await, "running");
    }
    let mut touched = Vec::new();
    while let Ok(change) = changes.try_recv() {
        touched.push(change);
    }
    for (kind, id) in [(Kind::Host, host.to_string()), (Kind::Vm, goes.to_string())] {
        assert!(touched.iter().any(|c| (c.kind, &c.id) == (kind, &id)), "{kind:?}: {touched:?}");
    }
    let detail = "cluster.remove with it went machines: 1, volumes: 2, images: 1, networks: 1; \
                  running tasks that ended: 3";
    assert_eq!(f.events(host).await, ["cluster.join as a host", detail]);

    // Its cards are gone, too: the same machine can come again with its addresses.
    let nics: i64 = rusqlite::Connection::open(f.path().join("state.db"))
        .unwrap()
        .query_row("SELECT count(*) FROM nic", [], |r| r.get(0))
        .unwrap();
    assert_eq!(nics, 1);
    let removed = store.removed_node(node).await.unwrap().expect("the removal");
    let at = f.now();
    let expected = RemovedHost { node, host, name: "h2".into(), at, by: Actor::Console };
    assert_eq!(removed, expected);
    assert_eq!(store.removed().await.unwrap(), [expected]);
}

#[tokio::test]
async fn a_removed_host_is_told_so_and_comes_back_only_as_new() {
    let (f, _) = founded().await;
    let first = f.join_token(1000).await;
    let (host, node) = (HostId::new(), NodeId::random());
    f.ok(join(first, host, node, "h2")).await;
    f.ok(remove(host)).await;
    assert_eq!(f.refused(remove(host)).await.kind, ProblemKind::NotFound);

    let report = HostCommand::Report { id: host, name: "h2".into(), status: HostStatus::default() };
    let told = f.refused(Command::Host(report)).await;
    assert_eq!(told.kind, ProblemKind::Removed);
    assert!(told.detail.starts_with("h2 was removed from this cluster at"), "{told:?}");
    let second = f.join_token(1000).await;
    for token in [first, second] {
        assert_eq!(f.refused(join(token, host, node, "h2")).await.kind, ProblemKind::Removed);
    }
    // The same machine, with a new identity.
    let fresh = NodeId::random();
    f.ok(join(second, host, fresh, "h2")).await;
    let store = f.cluster.store();
    assert_eq!(store.host_of_node(fresh).await.unwrap().map(|h| h.id), Some(host));
    assert_eq!(store.host_of_node(node).await.unwrap(), None);
    f.ok(remove(host)).await;
    let nodes: Vec<NodeId> = store.removed().await.unwrap().into_iter().map(|r| r.node).collect();
    assert_eq!(nodes, [fresh, node], "the latest first");
}

#[tokio::test]
async fn who_leads_is_not_removed_by_a_request_that_waited_for_it() {
    let f = Fixture::new().await;
    f.ok(raise(LEVEL)).await;
    f.ok(found(f.host, f.cluster.node())).await;
    f.member("h2").await;
    let refused = f.refused(remove(f.host)).await;
    assert_eq!(refused.kind, ProblemKind::WrongState, "{refused:?}");
    assert!(refused.detail.contains("leads the cluster"), "{refused:?}");
    assert!(f.cluster.store().host(f.host).await.unwrap().is_some());
}

#[tokio::test]
async fn the_last_host_stays() {
    let (f, founder) = founded().await;
    let (host, _) = f.member("h2").await;
    f.ok(remove(f.host)).await;
    assert!(f.cluster.store().removed_node(founder).await.unwrap().is_some());
    let last = f.refused(remove(host)).await;
    assert_eq!(last.kind, ProblemKind::WrongState, "{last:?}");
    assert!(f.cluster.store().host(host).await.unwrap().is_some());
}
