//! Versions side by side: what came with a level is not written below it, the level rises when all know it, and what a newer
//! version wrote stays.

use crate::cluster_record::{authority, found, raise};
use crate::fixture::*;
use crate::join_token::join;
use hostd_types::command::*;
use hostd_types::*;
use rusqlite::Connection;

/// A cluster of one at the level that knows clusters and no more.
async fn older() -> Fixture {
    let f = Fixture::new().await;
    f.ok(raise(FEDERATION)).await;
    f.ok(found(f.host, NodeId::random())).await;
    f
}

fn report(id: HostId, level: u16) -> Command {
    let status = HostStatus {
        version: format!("0.{level}.0"),
        level,
        public_key: Some("key".into()),
        authority: Some("signer".into()),
        trusts: vec!["signer".into()],
        ..HostStatus::default()
    };
    Command::Host(HostCommand::Report { id, name: String::new(), status })
}

/// How many entries the log has.
async fn entries(f: &Fixture) -> u64 {
    f.cluster.health().await.last_log
}

#[tokio::test]
async fn what_some_member_does_not_know_is_not_written() {
    let f = older().await;
    f.ok(report(f.host, FEDERATION)).await;
    let status = f.cluster.store().host(f.host).await.unwrap().expect("the host").status;
    let known = (status.version.as_str(), status.level, status.public_key, status.authority, status.trusts);
    assert_eq!(known, ("0.2.0", FEDERATION, None, None, Vec::new()));

    let before = entries(&f).await;
    let rotate = ClusterCommand::RotateAuthority { authority: authority(), fingerprint: "new".into() };
    for command in [
        Command::Cluster(rotate),
        Command::Cluster(ClusterCommand::StepRotation { from: RotationPhase::Trusting }),
        Command::Host(HostCommand::Acknowledge { id: f.host, epoch: 0 }),
        Command::Vm(VmCommand::Place { id: VmId::new(), host: f.host, placement_epoch: 0 }),
        create(VmId::new(), f.host, CreateVm { cpu_mode: CpuMode::Performance, ..blank_vm("bound") }),
    ] {
        let problem = f.refused(command).await;
        assert_eq!(problem.kind, ProblemKind::WrongState, "{problem:?}");
        assert!(problem.detail.contains("stays at level 2 because of h1 (version 0.2.0)"), "{problem:?}");
    }
    assert_eq!(entries(&f).await, before, "an older member would have stopped");

    f.ok(report(f.host, LEASES)).await;
    let problem = f.refused(Command::Host(HostCommand::Acknowledge { id: f.host, epoch: 0 })).await;
    assert!(problem.detail.contains("try again"), "{problem:?}");
    f.ok(raise(LEASES)).await;
    f.ok(report(f.host, LEASES)).await;
    f.ok(Command::Host(HostCommand::Acknowledge { id: f.host, epoch: 0 })).await;
    let status = f.cluster.store().host(f.host).await.unwrap().expect("the host").status;
    assert_eq!((status.public_key.as_deref(), status.trusts.len()), (Some("key"), 1));
}

#[tokio::test]
async fn the_level_rises_when_every_member_knows_it_and_then_lets_no_older_one_in() {
    let f = older().await;
    f.ok(report(f.host, LEASES)).await;
    let (host, _) = f.member("h2").await;
    f.ok(report(host, FEDERATION)).await;
    let early = f.refused(raise(LEASES)).await;
    assert!(
        early.kind == ProblemKind::WrongState && early.detail.contains("h2 (version 0.2.0)"),
        "{early:?}"
    );
    assert_eq!(f.cluster.store().level().await.unwrap(), FEDERATION);
    f.ok(report(host, LEASES)).await;
    f.ok(raise(LEASES)).await;
    assert_eq!(f.cluster.store().cluster().await.unwrap().expect("the record").status.level, LEASES);

    let token = f.join_token(60).await;
    let Command::Cluster(ClusterCommand::Join { token, secret, host, node, name, role, status }) =
        join(token, HostId::new(), NodeId::random(), "h3")
    else {
        panic!("another command")
    };
    let status = HostStatus { level: FEDERATION, ..status };
    let late = ClusterCommand::Join { token, secret, host, node, name, role, status };
    let refused = f.refused(Command::Cluster(late)).await;
    assert!(
        refused.kind == ProblemKind::Conflict && refused.detail.contains("Update it first"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn what_a_newer_version_wrote_into_a_row_stays_when_this_one_changes_it() {
    let f = Fixture::new().await;
    let id = f.ready_vm("web").await;
    let db = Connection::open(f.path().join("state.db")).unwrap();
    let newer = "UPDATE vm SET spec = json_set(spec, '$.tpm', json('{\"on\":true}')), \
                 status = json_set(status, '$.agent', 'up'), meta = json_set(meta, '$.folder', 'lab')";
    db.execute(newer, []).unwrap();
    let renamed = EditVm { name: Some("shop".into()), ..EditVm::default() };
    f.ok(edit(id, None, renamed)).await;
    f.ok(vm_report(id, running(), None)).await;
    let vm = f.vm(id).await;
    assert_eq!((vm.spec.name.as_str(), vm.status.state), ("shop", VmState::Running));
    let kept = "SELECT json_extract(spec, '$.tpm.on') || json_extract(status, '$.agent') \
                || json_extract(meta, '$.folder') || json_extract(spec, '$.name') FROM vm";
    let kept: String = db.query_row(kept, [], |r| r.get(0)).unwrap();
    assert_eq!(kept, "1uplabshop");
}
