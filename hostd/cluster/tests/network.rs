//! Networks.

use crate::fixture::*;
use hostd_types::command::*;
use hostd_types::*;

fn make(id: NetworkId, host: HostId, network: CreateNetwork) -> Command {
    Command::Network(NetworkCommand::Create { id, host, network })
}

fn bridged(name: &str, nic: &str) -> CreateNetwork {
    CreateNetwork {
        name: name.into(),
        description: String::new(),
        mode: NetworkMode::Bridged { nic: nic.into() },
    }
}

#[tokio::test]
async fn a_network_is_made_when_it_first_becomes_active() {
    let f = Fixture::new().await;
    let id = NetworkId::new();
    let created = f.ok(make(id, f.host, nat("lan", "10.200.0.0/24"))).await;
    let network = f.cluster.store().network(id).await.unwrap().unwrap();
    assert_eq!(network.spec.bridge, derived_bridge(id));
    assert_eq!(network.spec.mode, NetworkMode::Nat { subnet: "10.200.0.0/24".parse().unwrap() });
    let report = |active, fault: Option<&str>| {
        let status = NetworkStatus { phase: Phase::Creating, active, fault: fault.map(Into::into) };
        Command::Network(NetworkCommand::Report { id, status })
    };
    f.ok(report(false, Some("dnsmasq did not start"))).await;
    assert_eq!(f.task_state(created.task).await, "running");
    let delete = || Command::Network(NetworkCommand::Delete { id });
    assert_eq!(f.refused(delete()).await.kind, ProblemKind::WrongState);
    f.ok(report(true, None)).await;
    assert_eq!(f.task_state(created.task).await, "succeeded");
    let network = f.cluster.store().network(id).await.unwrap().unwrap();
    assert_eq!((network.status.phase, network.spec.task), (Phase::Ready, None));

    let nics =
        vec![NewNic { network: id, mac: None, model: NicModel::Virtio, options: NicOptions::default() }];
    let vm = VmId::new();
    f.ok(create(vm, f.host, CreateVm { nics, ..blank_vm("web") })).await;
    let plugged = f.refused(delete()).await;
    assert_eq!(plugged.kind, ProblemKind::Conflict);
    assert!(plugged.detail.contains("web"), "{plugged:?}");
    f.ok(Command::Vm(VmCommand::CreateFailed { id: vm, problem: failure() })).await;
    let deletion = f.ok(delete()).await;
    f.ok(Command::Network(NetworkCommand::Deleted { id })).await;
    assert_eq!(f.task_state(deletion.task).await, "succeeded");
    assert_eq!(f.cluster.store().networks_on(f.host).await.unwrap(), []);
}

#[tokio::test]
async fn names_subnets_and_cards_are_taken_once() {
    let f = Fixture::new().await;
    f.ready_network("lan", "10.200.0.0/24").await;
    f.ok(make(NetworkId::new(), f.host, bridged("wire", "eth0"))).await;
    let cases = [
        (nat("LAN", "10.9.0.0/24"), ProblemKind::Exists, "/name"),
        (nat("wide", "10.200.0.0/16"), ProblemKind::Conflict, "/subnet"),
        (nat("narrow", "10.200.0.128/25"), ProblemKind::Conflict, "/subnet"),
        (bridged("wire2", "eth0"), ProblemKind::Conflict, "/nic"),
    ];
    for (asked, kind, pointer) in cases {
        let problem = f.refused(make(NetworkId::new(), f.host, asked)).await;
        assert_eq!((problem.kind, problem.at(pointer).is_some()), (kind, true), "{problem:?}");
    }
    f.ok(make(NetworkId::new(), f.host, nat("beside", "10.200.1.0/24"))).await;
    let failing = NetworkId::new();
    let created = f.ok(make(failing, f.host, bridged("wire3", "eth1"))).await;
    f.ok(Command::Network(NetworkCommand::CreateFailed { id: failing, problem: failure() })).await;
    assert_eq!(f.task_state(created.task).await, "capacity: The disk is full.");
    f.ok(make(NetworkId::new(), f.host, bridged("wire3", "eth1"))).await;
}
