//! kill -9 at random moments: what was acknowledged is there afterwards, and the databases are whole.

use crate::fixture::{alone, blank_vm, create, off, vm_report};
use hostd_cluster::{Cluster, Settings};
use hostd_types::command::*;
use hostd_types::*;
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::Duration;

/// Names the directory to the process that is to be killed.
const DIR: &str = "QUANTIX_TEST_KILL_DIR";
const ROUNDS: u64 = 20;

fn settings() -> Settings {
    // Snapshots and purges happen all the time, so that kills hit them too.
    Settings { snapshot_entries: 25, keep_entries: 5, ..Settings::default() }
}

/// The process that is killed: makes machines, three at once, and prints each after its acknowledgement.
#[tokio::test]
#[ignore = "run by the test below in a process of its own"]
async fn make_machines_until_killed() {
    let dir = std::env::var_os(DIR).expect("the directory");
    let cluster = Cluster::open(Path::new(&dir), settings(), alone()).await.unwrap();
    let host = cluster.host();
    let propose = |command| {
        let entry = Entry {
            version: ENTRY_VERSION,
            request: RequestId::new(),
            at: Timestamp::now(),
            by: Actor::Console,
            task: TaskId::new(),
            command,
        };
        let cluster = cluster.clone();
        async move { cluster.propose(entry).await.unwrap().index }
    };
    propose(Command::Host(HostCommand::Report { id: host, name: "h".into(), status: HostStatus::default() }))
        .await;
    println!("ready");
    loop {
        let lane = || async {
            let id = VmId::new();
            let disks = vec![NewDisk::Blank {
                size_bytes: 1 << 30,
                format: DiskFormat::Raw,
                bus: DiskBus::Virtio,
                options: DiskOptions::default(),
            }];
            propose(create(id, host, CreateVm { disks, ..blank_vm(&format!("vm-{}", id.uuid().simple())) }))
                .await;
            let index = propose(vm_report(id, off(), None)).await;
            let mut out = std::io::stdout().lock();
            writeln!(out, "acknowledged {index} {id}").and_then(|()| out.flush()).unwrap();
        };
        tokio::join!(lane(), lane(), lane());
    }
}

#[tokio::test]
async fn every_acknowledged_machine_survives_kill_9_at_random() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    let mut highest = 0;
    for round in 0..ROUNDS {
        let mut child = Process::new(std::env::current_exe().unwrap())
            .args(["kill::make_machines_until_killed", "--exact", "--ignored", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = child.stdout.take().unwrap();
        let pid = child.id();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            let mut seen = Vec::new();
            for line in BufReader::new(out).lines() {
                let line = line.unwrap();
                match line.split(' ').collect::<Vec<_>>()[..] {
                    ["acknowledged", index, id] => {
                        seen.push((index.parse::<u64>().unwrap(), id.parse::<VmId>().unwrap()));
                    }
                    // libtest's own "test … " stands in front of the first line.
                    _ if line.ends_with("ready") => ready.send(()).unwrap(),
                    _ => {}
                }
            }
            seen
        });
        is_ready.recv_timeout(Duration::from_secs(60)).expect("the child is ready");
        // The moment is the point of the test, so it is random; nothing is waited for.
        let wait = uuid::Uuid::new_v4().as_u128() as u64 % 120;
        tokio::time::sleep(Duration::from_millis(wait)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let seen = reader.join().unwrap();
        assert!(std::path::Path::new(&format!("/proc/{pid}")).metadata().is_err());
        for (index, id) in seen {
            highest = highest.max(index);
            acknowledged.insert(id);
        }
        check(dir.path(), &acknowledged, highest, round).await;
    }
    assert!(acknowledged.len() as u64 >= ROUNDS, "only {} machines in all rounds", acknowledged.len());
}

async fn check(dir: &Path, acknowledged: &BTreeSet<VmId>, highest: u64, round: u64) {
    let cluster = Cluster::open(dir, settings(), alone()).await.unwrap();
    let health = cluster.health().await;
    assert!(health.last_applied >= highest, "round {round}: {health:?}, acknowledged {highest}");
    let vms = cluster.store().vms_on(cluster.host()).await.unwrap();
    let ready: BTreeSet<VmId> =
        vms.iter().filter(|vm| vm.status.phase == Phase::Ready).map(|vm| vm.id).collect();
    let missing: Vec<_> = acknowledged.difference(&ready).collect();
    assert!(missing.is_empty(), "round {round}: {missing:?} were acknowledged and are gone");
    cluster.shutdown().await;
    for file in ["state.db", "log.db", "local.db"] {
        let db = Connection::open(dir.join(file)).unwrap();
        let verdict: String = db.query_row("PRAGMA integrity_check", [], |r| r.get(0)).unwrap();
        assert_eq!(verdict, "ok", "round {round}: {file}");
    }
    let db = Connection::open(dir.join("state.db")).unwrap();
    let none = |what: &str, sql: &str| {
        let found: i64 = db.query_row(sql, [], |r| r.get(0)).unwrap();
        assert_eq!(found, 0, "round {round}: {what}");
    };
    none(
        "machines without their disk",
        "SELECT count(*) FROM vm WHERE id NOT IN (SELECT vm FROM volume WHERE vm IS NOT NULL)",
    );
    none("disks without their machine", "SELECT count(*) FROM volume WHERE vm NOT IN (SELECT id FROM vm)");
    none("machines without a task", "SELECT count(*) FROM vm WHERE id NOT IN (SELECT subject FROM task)");
    none("gaps in the events", "SELECT (SELECT event_seq FROM raft_meta) - count(*) FROM event");
    let log = Connection::open(dir.join("log.db")).unwrap();
    let gaps: i64 = log
        .query_row("SELECT coalesce(max(idx) - min(idx) + 1 - count(*), 0) FROM log", [], |r| r.get(0))
        .unwrap();
    assert_eq!(gaps, 0, "round {round}: holes in the log");
}
