//! The way of a command: once, in order, told to listeners, refused when there is too much of it.

use crate::fixture::*;
use hostd_cluster::Settings;
use hostd_types::command::*;
use hostd_types::*;

#[tokio::test]
async fn the_same_request_acts_once_whatever_clocks_say() {
    let f = Fixture::new().await;
    let id = f.ready_vm("web").await;
    let entry = f.entry(power(id, PowerAction::Start));
    let first = f.cluster.propose(entry.clone()).await.unwrap();
    let seq = |vm: Vm| vm.spec.power.unwrap().seq;
    // A retry carries ids and a time of its own.
    f.advance(899);
    let retry = Entry { task: TaskId::new(), at: f.now(), ..entry.clone() };
    assert_eq!(f.cluster.propose(retry).await.unwrap(), first);
    let other = Entry { command: power(id, PowerAction::ForceOff), ..entry.clone() };
    assert_eq!(f.cluster.propose(other).await.unwrap_err().kind, ProblemKind::Conflict);
    assert_eq!(seq(f.vm(id).await), 1);
    // The clock of whoever proposes next is ten years ahead, and then right again.
    f.advance(10 * 365 * 86_400);
    f.ok(create(VmId::new(), f.host, blank_vm("ahead"))).await;
    assert_eq!(f.cluster.propose(entry).await.unwrap(), first);
    assert_eq!(seq(f.vm(id).await), 1);
}

#[tokio::test]
async fn a_refused_request_may_be_tried_again_but_its_late_copy_does_not_act() {
    let f = Fixture::new().await;
    let id = VmId::new();
    let entry = f.entry(power(id, PowerAction::Start));
    assert_eq!(f.cluster.propose(entry.clone()).await.unwrap_err().kind, ProblemKind::NotFound);
    f.ok(create(id, f.host, blank_vm("web"))).await;
    f.ok(vm_report(id, off(), None)).await;
    assert_eq!(f.cluster.propose(entry.clone()).await.unwrap_err().kind, ProblemKind::NotFound);
    assert!(f.cluster.store().remembered(entry.request).await.unwrap().is_none());
    let again = Entry { at: f.now(), ..entry };
    let first = f.cluster.propose(again.clone()).await.unwrap();
    assert_eq!(f.cluster.propose(again).await.unwrap(), first);
}

#[tokio::test]
async fn two_creations_with_one_name_at_once_make_one_machine() {
    let f = Fixture::new().await;
    let commands =
        (0..40).map(|n| create(VmId::new(), f.host, blank_vm(if n % 2 == 0 { "web" } else { "WEB" })));
    let entries: Vec<Entry> = commands.map(|c| f.entry(c)).collect();
    let results = futures_util::future::join_all(entries.into_iter().map(|e| f.cluster.propose(e))).await;
    let (made, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    assert!(refused.iter().all(|r| r.as_ref().is_err_and(|p| p.kind == ProblemKind::Exists)));
    assert_eq!(f.cluster.store().vms(&ListParams::default()).await.unwrap().total, 1);
}

#[tokio::test]
async fn waiting_commands_share_entries() {
    let f = Fixture::new().await;
    let before = f.cluster.health().await.last_log;
    let entries: Vec<Entry> =
        (0..600).map(|n| f.entry(create(VmId::new(), f.host, blank_vm(&format!("vm{n}"))))).collect();
    let results = futures_util::future::join_all(entries.into_iter().map(|e| f.cluster.propose(e))).await;
    assert!(results.iter().all(Result::is_ok));
    let health = f.cluster.health().await;
    let written = health.last_log - before;
    assert!((2..60).contains(&written), "{written} entries for 600 commands");
    assert_eq!(health.last_applied, health.last_log);
    assert!(health.fsync_p50_ms > 0.0 && health.fsync_p99_ms >= health.fsync_p50_ms, "{health:?}");
    assert_eq!(f.cluster.store().vms(&ListParams::default()).await.unwrap().total, 600);
}

#[tokio::test]
async fn a_full_queue_refuses_with_a_time_to_come_back() {
    let f = Fixture::with(Settings { queue: 1, ..Settings::default() }).await;
    let entries: Vec<Entry> =
        (0..50).map(|n| f.entry(create(VmId::new(), f.host, blank_vm(&format!("vm{n}"))))).collect();
    let results = futures_util::future::join_all(entries.into_iter().map(|e| f.cluster.propose(e))).await;
    let refused: Vec<&Problem> = results.iter().filter_map(|r| r.as_ref().err()).collect();
    assert!(!refused.is_empty());
    assert!(
        refused.iter().all(|p| p.kind == ProblemKind::Unavailable && p.retry_after == Some(1)),
        "{refused:?}"
    );
    let made = f.cluster.store().vms(&ListParams::default()).await.unwrap().total;
    assert_eq!(made as usize, results.len() - refused.len());
}

#[tokio::test]
async fn commands_too_large_or_too_new_are_refused_before_the_log() {
    let f = Fixture::new().await;
    let before = f.cluster.health().await.last_log;
    let large = CreateVm { description: "x".repeat(2 << 20), ..blank_vm("web") };
    assert_eq!(f.refused(create(VmId::new(), f.host, large)).await.kind, ProblemKind::BadRequest);
    let newer = Entry { version: ENTRY_VERSION + 1, ..f.entry(create(VmId::new(), f.host, blank_vm("web"))) };
    assert_eq!(f.cluster.propose(newer).await.unwrap_err().kind, ProblemKind::Unsupported);
    assert_eq!(f.cluster.health().await.last_log, before);
}

#[tokio::test]
async fn listeners_hear_of_every_row_and_reads_see_it_already() {
    let f = Fixture::new().await;
    let mut changes = f.cluster.changes();
    let mut revision = f.cluster.revision();
    let id = VmId::new();
    let outcome = f.ok(create(id, f.host, blank_vm("web"))).await;
    assert_eq!(*revision.borrow_and_update(), outcome.index);
    assert_eq!(outcome.subject.unwrap().id, id.to_string());
    let mut heard = Vec::new();
    while let Ok(change) = changes.try_recv() {
        assert_eq!(change.index, outcome.index);
        heard.push((change.kind, change.id));
    }
    let task = outcome.task.unwrap().to_string();
    assert_eq!(heard[..2], [(Kind::Vm, id.to_string()), (Kind::Task, task)]);
    assert_eq!((heard.len(), heard[2].0), (3, Kind::Event));
    f.refused(create(VmId::new(), f.host, blank_vm("web"))).await;
    assert!(changes.try_recv().is_err(), "a refusal is no change");
}

#[tokio::test]
async fn after_shutdown_commands_are_refused() {
    let f = Fixture::new().await;
    let cluster = f.cluster.clone();
    cluster.shutdown().await;
    assert_eq!(f.refused(create(VmId::new(), f.host, blank_vm("web"))).await.kind, ProblemKind::Unavailable);
}
