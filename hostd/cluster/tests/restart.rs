//! What a restart finds: the state, the host's own facts, snapshots, files that must not be touched.

use crate::fixture::*;
use hostd_cluster::{Cluster, ClusterError, Settings};
use hostd_types::*;
use rusqlite::Connection;
use std::path::Path;
use std::time::Duration;

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let f = Fixture::new().await;
    let (host, id) = (f.host, f.ready_vm("web").await);
    f.cluster.local().put("boot", "first").await.unwrap();
    f.cluster.local().put("boot", "second").await.unwrap();
    let (vm, before) = (f.vm(id).await, f.cluster.health().await);
    let f = f.reopen(Settings::default()).await;
    assert_eq!(f.cluster.host(), host);
    assert_eq!(f.vm(id).await, vm);
    assert_eq!(f.cluster.local().get("boot").await.unwrap().as_deref(), Some("second"));
    assert_eq!(f.cluster.local().get("other").await.unwrap(), None);
    assert!(f.cluster.health().await.last_applied >= before.last_applied);
    assert!(*f.cluster.revision().borrow() >= before.last_applied);
    f.ready_vm("db").await;
}

/// Small enough that a few dozen commands snapshot and purge.
fn eager() -> Settings {
    Settings { snapshot_entries: 20, keep_entries: 5, ..Settings::default() }
}

/// Proposes until a snapshot was made and the log purged; tells how many machines there are then.
async fn until_purged(f: &Fixture) -> u64 {
    let mut machines = 0;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while log_begin(f.path()).is_none_or(|begin| begin < 30) {
        assert!(tokio::time::Instant::now() < deadline, "no purge after {machines} machines");
        f.ready_vm(&format!("vm{machines}")).await;
        machines += 1;
    }
    machines
}

fn log_begin(dir: &Path) -> Option<i64> {
    let db = Connection::open(dir.join("log.db")).unwrap();
    db.query_row("SELECT min(idx) FROM log", [], |r| r.get(0)).unwrap()
}

async fn count(f: &Fixture) -> u64 {
    f.cluster.store().vms(&ListParams::default()).await.unwrap().total
}

#[tokio::test]
async fn snapshots_bound_the_log_and_a_purged_log_reopens() {
    let f = Fixture::with(eager()).await;
    let machines = until_purged(&f).await;
    assert!(f.cluster.health().await.snapshot >= 30);
    let f = f.reopen(eager()).await;
    assert_eq!(count(&f).await, machines);
    f.ready_vm("after").await;
    let f = f.reopen(eager()).await;
    assert_eq!(count(&f).await, machines + 1);
}

#[tokio::test]
async fn the_log_snapshots_by_its_bytes_too() {
    let f = Fixture::with(Settings { snapshot_bytes: 10_000, ..Settings::default() }).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    let mut n = 0;
    while f.cluster.health().await.snapshot == 0 {
        assert!(tokio::time::Instant::now() < deadline, "no snapshot after {n} machines");
        f.ready_vm(&format!("vm{n}")).await;
        n += 1;
    }
}

#[tokio::test]
async fn a_lost_state_comes_back_from_snapshot_and_log() {
    let f = Fixture::with(eager()).await;
    let machines = until_purged(&f).await;
    f.cluster.shutdown().await;
    std::fs::remove_file(f.path().join("state.db")).unwrap();
    let f = f.reopen(eager()).await;
    assert_eq!(count(&f).await, machines);
    let integrity: String = Connection::open(f.path().join("state.db"))
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |r| r.get(0))
        .unwrap();
    assert_eq!(integrity, "ok");
}

#[tokio::test]
async fn a_state_that_nothing_can_bring_back_is_an_error_with_the_way_out() {
    let f = Fixture::with(eager()).await;
    until_purged(&f).await;
    f.cluster.shutdown().await;
    std::fs::remove_file(f.path().join("state.db")).unwrap();
    std::fs::remove_dir_all(f.path().join("snapshot")).unwrap();
    let error = Cluster::open(f.path(), Settings::default(), alone()).await.err().expect("an error");
    assert!(matches!(error, ClusterError::Inconsistent { .. }), "{error}");
    assert!(error.to_string().contains("backup"), "{error}");
}

#[tokio::test]
async fn a_new_log_beside_an_old_state_is_refused() {
    let f = Fixture::new().await;
    f.ready_vm("web").await;
    f.cluster.shutdown().await;
    std::fs::remove_file(f.path().join("log.db")).unwrap();
    let error = Cluster::open(f.path(), Settings::default(), alone()).await.err().expect("an error");
    assert!(matches!(error, ClusterError::Inconsistent { .. }), "{error}");
}

#[tokio::test]
async fn a_log_with_a_gap_is_refused_and_named() {
    let f = Fixture::new().await;
    f.ready_vm("web").await;
    f.cluster.shutdown().await;
    let path = f.path().join("log.db");
    let log = rusqlite::Connection::open(&path).unwrap();
    log.execute("DELETE FROM log WHERE idx = 2", []).unwrap();
    drop(log);
    let error =
        Cluster::open(f.path(), Settings::default(), alone()).await.err().expect("an error").to_string();
    assert!(error.contains("log.db") && error.contains("entries are missing"), "{error}");
}

#[tokio::test]
async fn a_second_process_is_kept_out() {
    let f = Fixture::new().await;
    let error = Cluster::open(f.path(), Settings::default(), alone()).await.err().expect("an error");
    assert!(matches!(error, ClusterError::InUse { .. }), "{error}");
    f.ready_vm("web").await;
}

/// Every file of the directory with its content.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .filter(|(name, _)| name != "lock" && !name.ends_with("-shm") && !name.ends_with("-wal"))
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn databases_of_a_newer_version_are_refused_and_left_untouched() {
    let changes = [
        ("state.db", "UPDATE raft_meta SET schema = 99", i64::from(LEVEL)),
        ("state.db", "PRAGMA user_version = 99", i64::from(LEVEL)),
        ("log.db", "PRAGMA user_version = 99", 1),
        ("local.db", "PRAGMA user_version = 99", 1),
    ];
    for (file, change, newest) in changes {
        let f = Fixture::new().await;
        let id = f.ready_vm("web").await;
        f.cluster.shutdown().await;
        Connection::open(f.path().join(file)).unwrap().execute_batch(change).unwrap();
        let before = files(f.path());
        assert_eq!(before.len(), 4, "three databases and the reserve");
        let error = Cluster::open(f.path(), Settings::default(), alone()).await.err().expect("an error");
        let ClusterError::TooNew { found: 99, known, .. } = &error else { panic!("{error}") };
        assert_eq!(*known, newest, "{file}");
        let words = error.to_string();
        for part in [file, "99", "newer version", "Nothing was changed"] {
            assert!(words.contains(part), "{words}");
        }
        assert_eq!(files(f.path()), before, "{file} after {change}");
        // The refusal did no harm: with the number put back everything is there.
        let back = change.replace("99", "1");
        Connection::open(f.path().join(file)).unwrap().execute_batch(&back).unwrap();
        let f = f.reopen(Settings::default()).await;
        assert_eq!(f.vm(id).await.spec.name, "web");
    }
}

#[tokio::test]
async fn a_state_that_cant_be_written_stops_with_an_error_and_recovers() {
    let f = Fixture::new().await;
    let id = f.ready_vm("web").await;
    // Takes a table away from under the running host: apply fails as it would on a broken disk.
    let saboteur = Connection::open(f.path().join("state.db")).unwrap();
    saboteur.execute_batch("ALTER TABLE task RENAME TO task_gone").unwrap();
    let problem = f.refused(power(id, PowerAction::Start)).await;
    assert_eq!(problem.kind, ProblemKind::Internal, "{problem:?}");
    let next = f.refused(power(id, PowerAction::Start)).await;
    assert_eq!(next.kind, ProblemKind::Internal, "{next:?}");
    assert!(f.cluster.health().await.stopped.is_some());
    assert_eq!(f.vm(id).await.spec.power, None, "nothing is skipped or half applied");
    saboteur.execute_batch("ALTER TABLE task_gone RENAME TO task").unwrap();
    drop(saboteur);
    let f = f.reopen(Settings::default()).await;
    assert_eq!(f.vm(id).await.spec.power.map(|p| p.seq), Some(1), "the logged command was applied after all");
}
