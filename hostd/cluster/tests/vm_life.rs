//! Power, reports and deletion of machines.

use crate::fixture::*;
use hostd_types::command::*;
use hostd_types::*;

#[tokio::test]
async fn power_requests_count_up_and_a_newer_one_replaces_the_pending_one() {
    let f = Fixture::new().await;
    let id = f.ready_vm("web").await;
    let start = f.ok(power(id, PowerAction::Start)).await;
    let off_now = f.ok(power(id, PowerAction::ForceOff)).await;
    assert_eq!(f.task_state(start.task).await, "cancelled: replaced by force_off");
    assert_eq!(f.task(off_now.task).await.action, "vm.force_off");
    let vm = f.vm(id).await;
    assert_eq!(vm.spec.power.as_ref().map(|p| (p.seq, p.deadline_s)), Some((2, 60)));
    assert_eq!(vm.meta.generation, 1, "power is not a setting");

    let done = TaskEnd { task: off_now.task.unwrap(), problem: None };
    f.ok(vm_report(id, VmStatus { power_done: 2, ..off() }, Some(done))).await;
    assert_eq!(f.task_state(off_now.task).await, "succeeded");
    // Carried out, so nothing is replaced.
    f.ok(power(id, PowerAction::Start)).await;
    assert_eq!(f.task_state(off_now.task).await, "succeeded");
    // An old report never takes back what was carried out.
    f.ok(vm_report(id, off(), None)).await;
    assert_eq!(f.vm(id).await.status.power_done, 2);
}

#[tokio::test]
async fn power_is_refused_while_the_machine_is_made_or_deleted() {
    let f = Fixture::new().await;
    let id = VmId::new();
    f.ok(create(id, f.host, blank_vm("web"))).await;
    assert_eq!(f.refused(power(id, PowerAction::Start)).await.kind, ProblemKind::WrongState);
    let ready = f.ready_vm("db").await;
    f.ok(delete_vm(ready, false)).await;
    assert_eq!(f.refused(power(ready, PowerAction::Start)).await.kind, ProblemKind::WrongState);
    let change = EditVm { description: Some("x".into()), ..EditVm::default() };
    assert_eq!(f.refused(edit(ready, None, change)).await.kind, ProblemKind::WrongState);
    assert_eq!(f.refused(delete_vm(ready, true)).await.kind, ProblemKind::WrongState);
    assert_eq!(f.refused(power(VmId::new(), PowerAction::Start)).await.kind, ProblemKind::NotFound);
}

#[tokio::test]
async fn a_creation_that_starts_ends_with_one_task_when_the_machine_runs() {
    let f = Fixture::new().await;
    let id = VmId::new();
    let created = f.ok(create(id, f.host, CreateVm { start: true, ..blank_vm("web") })).await;
    f.ok(vm_report(id, off(), None)).await;
    assert_eq!(f.task_state(created.task).await, "running");
    let done = TaskEnd { task: created.task.unwrap(), problem: None };
    f.ok(vm_report(id, VmStatus { power_done: 1, ..running() }, Some(done))).await;
    assert_eq!(f.task_state(created.task).await, "succeeded");
    assert_eq!(f.task(created.task).await.ended_at, Some(f.now()));
    let counts = f.cluster.store().vm_counts().await.unwrap();
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [("running".to_owned(), 1)]);
}

#[tokio::test]
async fn reports_are_events_only_when_something_happened() {
    let f = Fixture::new().await;
    let id = f.ready_vm("web").await;
    let start = f.ok(power(id, PowerAction::Start)).await;
    f.ok(vm_report(id, running(), None)).await;
    f.ok(vm_report(id, VmStatus { drift: vec!["memory".into()], ..running() }, None)).await;
    let gone = VmStatus { reason: Some("guest shut down".into()), ..off() };
    let failed = TaskEnd { task: start.task.unwrap(), problem: Some(failure()) };
    f.ok(vm_report(id, gone, Some(failed))).await;
    let expected = [
        "vm.create CPUs: 1, memory: 256 MiB, disks: 0, network cards: 0",
        "vm.state unknown -> off",
        "vm.start",
        "vm.state off -> running",
        "vm.state running -> off: guest shut down",
        "vm.start The disk is full.",
    ];
    assert_eq!(f.events(id).await, expected);
    assert_eq!(f.task_state(start.task).await, "capacity: The disk is full.");
}

/// A machine with a disk of its own and one that was there before.
async fn with_disks(f: &Fixture) -> (VmId, VolumeId, Outcome) {
    let spare = f.ready_volume("spare").await;
    let id = VmId::new();
    let disks = vec![
        NewDisk::Blank {
            size_bytes: GIB,
            format: DiskFormat::Qcow2,
            bus: DiskBus::Virtio,
            options: DiskOptions::default(),
        },
        NewDisk::Volume { volume: spare, bus: DiskBus::Virtio, options: DiskOptions::default() },
    ];
    let created = f.ok(create(id, f.host, CreateVm { disks, ..blank_vm("web") })).await;
    (id, spare, created)
}

#[tokio::test]
async fn deleting_with_disks_drops_them_and_without_leaves_them_unattached() {
    for disks in [true, false] {
        let f = Fixture::new().await;
        let (id, spare, created) = with_disks(&f).await;
        let done = TaskEnd { task: created.task.unwrap(), problem: None };
        f.ok(vm_report(id, off(), Some(done))).await;
        assert_eq!(f.refused(Command::Vm(VmCommand::Deleted { id })).await.kind, ProblemKind::WrongState);
        let stale = VmCommand::Delete { id, expect: Some(9), disks };
        assert_eq!(f.refused(Command::Vm(stale)).await.kind, ProblemKind::Conflict);

        let start = f.ok(power(id, PowerAction::Start)).await;
        let deletion = f.ok(delete_vm(id, disks)).await;
        assert_eq!(f.task_state(start.task).await, "cancelled: replaced by deletion");
        // A report that was on its way does not bring it back.
        f.ok(vm_report(id, off(), None)).await;
        assert_eq!(f.vm(id).await.status.phase, Phase::Deleting);
        f.ok(Command::Vm(VmCommand::Deleted { id })).await;

        assert_eq!(f.task_state(deletion.task).await, "succeeded");
        let store = f.cluster.store();
        assert_eq!(store.vm(id).await.unwrap(), None);
        let left = store.volumes_on(f.host).await.unwrap();
        if disks {
            assert_eq!(left, []);
        } else {
            let ids: Vec<VolumeId> = left.iter().map(|v| v.id).collect();
            assert_eq!(ids, [spare, derived_volume(id, 0)]);
            assert!(left.iter().all(|v| v.spec.vm.is_none()));
        }
        f.ready_vm("web").await;
    }
}

#[tokio::test]
async fn a_failed_creation_drops_what_it_made_and_frees_what_it_took() {
    let f = Fixture::new().await;
    let network = f.ready_network("lan", "10.200.0.0/24").await;
    let (id, spare, created) = with_disks(&f).await;
    let fail = |id| Command::Vm(VmCommand::CreateFailed { id, problem: failure() });
    f.ok(fail(id)).await;
    assert_eq!(f.task_state(created.task).await, "capacity: The disk is full.");
    let left = f.cluster.store().volumes_on(f.host).await.unwrap();
    assert_eq!(left.iter().map(|v| (v.id, v.spec.vm)).collect::<Vec<_>>(), [(spare, None)]);
    let ready = f.ready_vm("web").await;
    assert_eq!(f.refused(fail(ready)).await.kind, ProblemKind::WrongState);

    // Deleting in the middle of the making ends both tasks, and frees the card's address.
    let nics = vec![NewNic {
        network,
        mac: Some("52:54:00:00:00:07".into()),
        model: NicModel::Virtio,
        options: NicOptions::default(),
    }];
    let half = VmId::new();
    let created = f.ok(create(half, f.host, CreateVm { nics: nics.clone(), ..blank_vm("half") })).await;
    let deletion = f.ok(delete_vm(half, true)).await;
    assert_eq!(f.task_state(created.task).await, "cancelled: replaced by deletion");
    f.ok(fail(half)).await;
    assert_eq!(f.task_state(deletion.task).await, "succeeded");
    f.ok(create(VmId::new(), f.host, CreateVm { nics, ..blank_vm("half") })).await;
}
