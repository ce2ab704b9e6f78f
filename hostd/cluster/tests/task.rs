//! Tasks, retention and the audit trail.

use crate::fixture::*;
use hostd_types::command::*;
use hostd_types::*;

#[tokio::test]
async fn cancelling_marks_a_running_task_and_refuses_an_ended_one() {
    let f = Fixture::new().await;
    let id = f.ready_vm("web").await;
    let shutdown = f.ok(power(id, PowerAction::Shutdown)).await;
    let cancel = |id: Option<TaskId>| Command::Task(TaskCommand::Cancel { id: id.unwrap() });
    f.ok(cancel(shutdown.task)).await;
    let task = f.task(shutdown.task).await;
    assert!(task.cancelling && task.state == TaskState::Running);
    let problem = Problem::new(ProblemKind::Cancelled, "Cancelled.");
    let end = TaskEnd { task: task.id, problem: Some(problem) };
    f.ok(vm_report(id, running(), Some(end))).await;
    assert_eq!(f.task_state(shutdown.task).await, "cancelled: Cancelled.");
    assert_eq!(f.refused(cancel(shutdown.task)).await.kind, ProblemKind::WrongState);
    assert_eq!(f.refused(cancel(Some(TaskId::new()))).await.kind, ProblemKind::NotFound);
    // Ended once, it stays as it ended.
    f.ok(vm_report(id, running(), Some(TaskEnd { task: task.id, problem: None }))).await;
    assert_eq!(f.task_state(shutdown.task).await, "cancelled: Cancelled.");
}

#[tokio::test]
async fn pruning_drops_what_is_old_and_over_and_keeps_the_rest() {
    let f = Fixture::new().await;
    let old = f.ready_vm("old").await;
    let running_task = f.ok(power(old, PowerAction::Start)).await.task;
    f.advance(1000);
    let cut = f.now();
    let young = f.ready_vm("young").await;
    f.ok(Command::Task(TaskCommand::Prune { before: cut })).await;

    assert_eq!(f.events(old).await, [""; 0]);
    assert_eq!(f.events(young).await.len(), 2);
    let tasks = f.cluster.store().tasks(&ListParams::default()).await.unwrap();
    let kept: Vec<(String, String)> = tasks.items.into_iter().map(|t| (t.action, t.subject.name)).collect();
    let expected = [("vm.create", "young"), ("vm.start", "old")].map(|(a, n)| (a.to_owned(), n.to_owned()));
    assert_eq!(kept, expected);
    assert_eq!(f.cluster.store().running_tasks_on(f.host).await.unwrap()[0].id, running_task.unwrap());
    let last = f.cluster.store().events(&ListParams::default(), None).await.unwrap().items[0].clone();
    assert_eq!((last.action.as_str(), last.result), ("task.prune", EventResult::Ok));
    // Numbers of events are never given twice.
    f.ok(Command::Task(TaskCommand::Prune { before: f.now().plus_seconds(9000) })).await;
    let after = f.cluster.store().events(&ListParams::default(), None).await.unwrap();
    assert_eq!((after.total, after.items[0].seq), (1, last.seq + 1));
}

#[tokio::test]
async fn audit_lines_are_kept_as_given() {
    let f = Fixture::new().await;
    let line = AuditCommand {
        action: "session.login".into(),
        subject: None,
        result: EventResult::Refused,
        detail: "wrong password for admin".into(),
    };
    let entry = Entry { by: Actor::Anonymous, ..f.entry(Command::Audit(line)) };
    f.cluster.propose(entry.clone()).await.unwrap();
    let event = f.cluster.store().events(&ListParams::default(), None).await.unwrap().items[0].clone();
    assert_eq!((event.at, event.by, event.result), (entry.at, Actor::Anonymous, EventResult::Refused));
    assert_eq!((event.action.as_str(), event.detail.as_str()), ("session.login", "wrong password for admin"));
    let refused = ListParams { state: Some("refused".into()), ..ListParams::default() };
    assert_eq!(f.cluster.store().events(&refused, None).await.unwrap().total, 1);
}

#[tokio::test]
async fn a_host_that_reports_again_is_the_same_host() {
    let f = Fixture::new().await;
    let status =
        HostStatus { version: "2".into(), boot_id: "b".into(), durable: true, ..HostStatus::default() };
    f.ok(Command::Host(HostCommand::Report { id: f.host, name: "renamed".into(), status: status.clone() }))
        .await;
    let hosts = f.cluster.store().hosts().await.unwrap();
    assert_eq!(hosts.len(), 1);
    assert_eq!(
        (hosts[0].spec.name.as_str(), &hosts[0].status),
        ("h1", &status),
        "a name is given, not reported"
    );
    assert_eq!(f.cluster.store().host(f.host).await.unwrap().as_ref(), hosts.first());
    assert_eq!(f.events(f.host).await, [""; 0]);
}

#[tokio::test]
async fn a_host_s_name_is_its_own_among_hosts() {
    let f = Fixture::new().await;
    let other = HostId::new();
    let status = HostStatus::default();
    f.ok(Command::Host(HostCommand::Report { id: other, name: "h2".into(), status })).await;
    let rename = |id, name: &str| Command::Host(HostCommand::Rename { id, name: name.into() });
    assert_eq!(f.refused(rename(f.host, "H2")).await.kind, ProblemKind::Exists);
    assert_eq!(f.refused(rename(HostId::new(), "x")).await.kind, ProblemKind::NotFound);
    f.ok(rename(f.host, "H1")).await;
    f.ok(rename(f.host, "rack-7")).await;
    let host = f.cluster.store().host(f.host).await.unwrap().unwrap();
    assert_eq!((host.spec.name.as_str(), host.meta.generation), ("rack-7", 3));
    assert_eq!(f.events(f.host).await.len(), 2);
}
