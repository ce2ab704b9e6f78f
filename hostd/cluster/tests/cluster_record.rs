//! The cluster's record: raising the level, founding, editing, and how it survives.

use crate::fixture::*;
use hostd_cluster::Settings;
use hostd_types::command::*;
use hostd_types::*;
use rusqlite::Connection;
use std::time::Duration;

pub fn raise(level: u16) -> Command {
    Command::Cluster(ClusterCommand::Raise { level })
}

pub fn authority() -> Authority {
    Authority {
        certificate: "-----BEGIN CERTIFICATE-----".into(),
        sealed_key: "c2VhbGVk".into(),
        ends: Timestamp::from_unix(2_000_000_000),
    }
}

pub fn found(host: HostId, node: NodeId) -> Command {
    let (id, name) = (ClusterId::new(), "rack".into());
    Command::Cluster(ClusterCommand::Found { id, name, authority: authority(), host, node })
}

/// A cluster of one, and the founder's identity.
pub async fn founded() -> (Fixture, NodeId) {
    let f = Fixture::new().await;
    let node = NodeId::random();
    f.ok(raise(LEVEL)).await;
    f.ok(found(f.host, node)).await;
    (f, node)
}

#[tokio::test]
async fn before_the_level_is_raised_there_is_no_cluster_and_nothing_fails() {
    let f = Fixture::new().await;
    let store = f.cluster.store();
    assert_eq!(store.level().await.unwrap(), 1);
    assert_eq!(store.cluster().await.unwrap(), None);
    assert_eq!(store.join_tokens().await.unwrap(), []);
    assert_eq!(store.join_token(JoinTokenId::new()).await.unwrap(), None);
    assert_eq!(store.removed().await.unwrap(), []);
    assert_eq!(store.removed_node(NodeId::random()).await.unwrap(), None);
    assert_eq!(store.host_of_node(NodeId::random()).await.unwrap(), None);
    let token = ClusterCommand::CreateToken {
        id: JoinTokenId::new(),
        secret: SecretHash("s".into()),
        expires_at: f.now(),
    };
    for command in [
        found(f.host, NodeId::random()),
        Command::Cluster(token),
        Command::Cluster(ClusterCommand::RevokeToken { id: JoinTokenId::new() }),
        Command::Cluster(ClusterCommand::Edit { name: Some("x".into()), voters: None }),
        Command::Cluster(ClusterCommand::Remove { host: f.host }),
    ] {
        assert_eq!(f.refused(command).await.kind, ProblemKind::WrongState);
    }
}

#[tokio::test]
async fn raising_adds_what_the_level_needs_once_and_founding_makes_the_record() {
    let f = Fixture::new().await;
    // The reader's statements were prepared before the tables were there.
    assert_eq!(f.cluster.store().cluster().await.unwrap(), None);
    f.ok(raise(LEVEL)).await;
    for level in [LEVEL, 1, 0] {
        f.ok(raise(level)).await;
    }
    assert_eq!(f.cluster.store().level().await.unwrap(), LEVEL);
    assert_eq!(f.cluster.store().cluster().await.unwrap(), None);

    let node = NodeId::random();
    f.ok(found(f.host, node)).await;
    let record = f.cluster.store().cluster().await.unwrap().expect("the record");
    assert_eq!(record.spec, ClusterSpec { name: "rack".into(), voters: 5, cpu_model: None });
    let status =
        ClusterStatus { level: LEVEL, generation: 0, authorities: vec![authority()], rotation: None };
    assert_eq!(record.status, status);
    let host = f.cluster.store().host_of_node(node).await.unwrap().expect("the founder");
    assert_eq!((host.id, host.spec.name.as_str(), host.meta.generation), (f.host, "h1", 2));
    assert_eq!(f.events(record.id).await, ["cluster.found"]);
    let again = f.refused(found(f.host, NodeId::random())).await;
    assert_eq!(again.kind, ProblemKind::WrongState, "{again:?}");

    let id = record.id;
    let edit = |name: Option<&str>, voters| {
        Command::Cluster(ClusterCommand::Edit { name: name.map(Into::into), voters })
    };
    f.ok(edit(Some("lab"), None)).await;
    f.ok(edit(None, Some(3))).await;
    f.ok(edit(Some("lab"), Some(3))).await;
    let f = f.reopen(Settings::default()).await;
    let record = f.cluster.store().cluster().await.unwrap().expect("the record");
    assert_eq!((record.spec.name.as_str(), record.spec.voters, record.meta.generation), ("lab", 3, 3));
    let events = [
        "cluster.found",
        "cluster.edit name: rack to lab",
        "cluster.edit voters: 5 to 3",
        "cluster.edit nothing changed",
    ];
    assert_eq!(f.events(id).await, events);
}

#[tokio::test]
async fn founding_without_a_report_makes_the_hosts_row() {
    let f = Fixture::new().await;
    f.ok(raise(LEVEL)).await;
    let (host, node) = (HostId::new(), NodeId::random());
    f.ok(found(host, node)).await;
    let row = f.cluster.store().host(host).await.unwrap().expect("the founder");
    assert_eq!((row.spec.node, row.spec.name.as_str()), (Some(node), "rack"));
}

#[tokio::test]
async fn a_level_of_a_newer_version_stops_consensus_instead_of_being_skipped() {
    let f = Fixture::new().await;
    let problem = f.refused(raise(LEVEL + 1)).await;
    assert_eq!(problem.kind, ProblemKind::Internal, "{problem:?}");
    assert!(f.cluster.health().await.stopped.is_some());
    assert_eq!(f.cluster.store().level().await.unwrap(), 1, "a part of it stayed");
}

#[tokio::test]
async fn a_stranger_does_not_become_a_member_by_reporting() {
    let (f, _) = founded().await;
    let report = |id| {
        Command::Host(HostCommand::Report { id, name: "stranger".into(), status: HostStatus::default() })
    };
    assert_eq!(f.refused(report(HostId::new())).await.kind, ProblemKind::NotFound);
    f.ok(report(f.host)).await;
    assert_eq!(f.cluster.store().hosts().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_lost_state_of_a_cluster_comes_back_with_its_level() {
    let eager = || Settings { snapshot_entries: 20, keep_entries: 5, ..Settings::default() };
    let f = Fixture::with(eager()).await;
    f.ok(raise(LEVEL)).await;
    let node = NodeId::random();
    f.ok(found(f.host, node)).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    let begin = || -> Option<i64> {
        let db = Connection::open(f.path().join("log.db")).unwrap();
        db.query_row("SELECT min(idx) FROM log", [], |r| r.get(0)).unwrap()
    };
    let mut machines = 0;
    while begin().is_none_or(|begin| begin < 10) {
        assert!(tokio::time::Instant::now() < deadline, "no purge after {machines} machines");
        f.ready_vm(&format!("vm{machines}")).await;
        machines += 1;
    }
    let before = f.cluster.store().cluster().await.unwrap().expect("the record");
    f.cluster.shutdown().await;
    std::fs::remove_file(f.path().join("state.db")).unwrap();
    let f = f.reopen(eager()).await;
    assert_eq!(f.cluster.store().cluster().await.unwrap(), Some(before));
    assert_eq!(f.cluster.store().host_of_node(node).await.unwrap().map(|host| host.id), Some(f.host));
    let db = Connection::open(f.path().join("state.db")).unwrap();
    let version: u16 = db.query_row("PRAGMA user_version", [], |r| r.get(0)).unwrap();
    assert_eq!(version, LEVEL);
}
