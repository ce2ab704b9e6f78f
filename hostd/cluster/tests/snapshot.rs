//! Snapshots as rows: the tree, the layers, and what is refused.

use crate::cluster_record::raise;
use crate::fixture::*;
use hostd_types::command::*;
use hostd_types::*;

/// A machine with two disks, in a state that knows snapshots.
pub async fn machine() -> (Fixture, VmId) {
    let f = Fixture::new().await;
    f.ok(raise(LEVEL)).await;
    let id = VmId::new();
    let disk = || NewDisk::Blank {
        size_bytes: GIB,
        format: DiskFormat::Raw,
        bus: DiskBus::Virtio,
        options: DiskOptions::default(),
    };
    let created = f
        .ok(create(
            id,
            f.host,
            CreateVm {
                disks: vec![disk(), disk()],
                customization: Some(Customization::default()),
                ..blank_vm("web")
            },
        ))
        .await;
    for index in 0..2 {
        let report = VolumeCommand::Report { id: derived_volume(id, index), status: volume_ready() };
        f.ok(Command::Volume(report)).await;
    }
    f.ok(vm_report(id, off(), Some(TaskEnd { task: created.task.unwrap(), problem: None }))).await;
    (f, id)
}

pub fn new(vm: VmId, name: &str) -> NewSnapshot {
    let next = (0..2).map(|index| (derived_volume(vm, index), LayerId::new())).collect();
    let asked = CreateSnapshot { name: name.into(), ..CreateSnapshot::default() };
    NewSnapshot { id: SnapshotId::new(), asked, next }
}

pub async fn take(f: &Fixture, vm: VmId, name: &str) -> NewSnapshot {
    let new = new(vm, name);
    let made = f.ok(Command::Snapshot(SnapshotCommand::Create { vm, new: new.clone() })).await;
    assert_eq!(made.subject.expect("the snapshot").id, new.id.to_string());
    assert_eq!(f.task(made.task).await.subject.id, vm.to_string());
    f.ok(Command::Snapshot(SnapshotCommand::Taken {
        id: new.id,
        running: false,
        quiesced: false,
        memory_bytes: None,
    }))
    .await;
    assert_eq!(f.task_state(made.task).await, "succeeded");
    new
}

pub async fn row(f: &Fixture, id: SnapshotId) -> Snapshot {
    f.cluster.store().snapshot(id).await.unwrap().expect("the snapshot's row")
}

pub async fn layers(f: &Fixture, vm: VmId) -> Layers {
    let both = [0, 1].map(|index| derived_volume(vm, index));
    f.cluster.store().volume(both[1]).await.unwrap().unwrap();
    f.cluster.store().volume(both[0]).await.unwrap().unwrap().spec.layers
}

#[tokio::test]
async fn a_tree_grows_is_gone_back_in_and_merges() {
    let (f, vm) = machine().await;
    let volume = derived_volume(vm, 0);
    let (one, two) = (take(&f, vm, "one").await, take(&f, vm, "two").await);
    assert_eq!(row(&f, two.id).await.spec.parent, Some(one.id));
    assert_eq!(f.vm(vm).await.spec.snapshots.current, Some(two.id));
    let now = layers(&f, vm).await;
    assert_eq!(now.chain(now.active), [two.next[&volume], one.next[&volume], LayerId::BASE]);
    assert_eq!(row(&f, one.id).await.spec.layers[&volume], LayerId::BASE);
    assert_eq!(row(&f, one.id).await.spec.machine.customization, None, "it holds secrets");

    let back = new(vm, "").next;
    let revert =
        SnapshotCommand::Revert { id: one.id, next: back.clone(), first: None, start: true, resume: false };
    let reverting = f.ok(Command::Snapshot(revert)).await;
    let busy = f.refused(Command::Snapshot(SnapshotCommand::Create { vm, new: new(vm, "x") })).await;
    assert_eq!(busy.kind, ProblemKind::WrongState);
    let needed = f.refused(Command::Snapshot(SnapshotCommand::Delete { id: one.id })).await;
    assert_eq!(needed.kind, ProblemKind::WrongState);
    f.ok(Command::Snapshot(SnapshotCommand::Reverted { vm })).await;
    let machine = f.vm(vm).await;
    assert_eq!(machine.spec.snapshots, VmSnapshots { current: Some(one.id), revert: None });
    let start = machine.spec.power.expect("a start");
    assert_eq!((start.action, Some(start.task)), (PowerAction::Start, reverting.task));
    let now = layers(&f, vm).await;
    assert_eq!(now.active, back[&volume]);
    assert!(now.gone.contains(&two.next[&volume]), "what was written since is given up");

    // Its layer is under two others.
    f.ok(Command::Snapshot(SnapshotCommand::Delete { id: one.id })).await;
    assert_eq!(f.vm(vm).await.spec.snapshots.current, None);
    assert_eq!(row(&f, two.id).await.spec.parent, None);
    let early = SnapshotCommand::Merged { volume, upper: back[&volume] };
    assert_eq!(f.refused(Command::Snapshot(early.clone())).await.kind, ProblemKind::WrongState);
    f.ok(Command::Snapshot(SnapshotCommand::Deleted { id: one.id, problem: None })).await;
    f.ok(Command::Snapshot(SnapshotCommand::Delete { id: two.id })).await;
    f.ok(Command::Snapshot(early)).await;
    let now = layers(&f, vm).await;
    assert_eq!((now.active, now.over.len()), (LayerId::BASE, 0));
    for layer in now.gone {
        f.ok(Command::Snapshot(SnapshotCommand::Dropped { volume, layer })).await;
    }
    assert!(layers(&f, vm).await.is_single());
}

#[tokio::test]
async fn a_disk_that_a_snapshot_does_not_know_comes_and_leaves_with_all_it_holds() {
    let (f, vm) = machine().await;
    let one = take(&f, vm, "one").await;
    let held = derived_volume(vm, 0);
    let change = |change| Command::Vm(VmCommand::Change { id: vm, expect: None, change });
    for change_ in [
        DeviceChange::DetachDisk { volume: held, delete: false },
        DeviceChange::GrowDisk { volume: held, size_bytes: 2 * GIB },
    ] {
        let refused = f.refused(change(change_)).await.detail;
        assert!(
            refused.contains("the snapshot one holds") && refused.contains("delete it first"),
            "{refused}"
        );
    }
    let (disk, options) = (VolumeId::new(), DiskOptions::default());
    let blank = NewDisk::Blank { size_bytes: GIB, format: DiskFormat::Raw, bus: DiskBus::Virtio, options };
    let again = NewDisk::Volume { volume: disk, bus: DiskBus::Virtio, options: DiskOptions::default() };
    let attach = async |new| {
        let task = f.ok(change(DeviceChange::AttachDisk { id: disk, disk: new })).await.task.expect("a task");
        f.ok(Command::Volume(VolumeCommand::Report { id: disk, status: volume_ready() })).await;
        f.ok(Command::Vm(VmCommand::Changed { id: vm, task, end: ChangeEnd::Done })).await;
    };
    attach(blank).await;

    let first = new(vm, "first");
    let revert = |first: Option<NewSnapshot>| {
        let next = new(vm, "").next;
        Command::Snapshot(SnapshotCommand::Revert { id: one.id, next, first, start: false, resume: false })
    };
    f.ok(revert(Some(first.clone()))).await;
    let busy = f.refused(change(DeviceChange::DetachDisk { volume: disk, delete: true })).await;
    assert!(busy.detail.contains("is going back"), "{busy}");
    let taken = SnapshotCommand::Taken { id: first.id, running: false, quiesced: false, memory_bytes: None };
    f.ok(Command::Snapshot(taken)).await;
    let before = f.vm(vm).await.meta.generation;
    f.ok(Command::Snapshot(SnapshotCommand::Reverted { vm })).await;
    let now = f.vm(vm).await;
    assert!(
        now.spec.disks.len() == 2 && now.spec.disks.iter().all(|there| there.volume != disk),
        "{:?}",
        now.spec.disks
    );
    assert!(now.meta.generation > before, "its definition is another one");
    let volume = f.cluster.store().volume(disk).await.unwrap().expect("it stays");
    assert_eq!((volume.spec.vm, volume.status.phase, volume.spec.task), (None, Phase::Ready, None));
    assert_eq!(row(&f, first.id).await.spec.machine.disks.len(), 2, "what it holds");

    // Another snapshot that holds it keeps it here.
    attach(again).await;
    let mut all = new(vm, "all");
    all.next.insert(disk, LayerId::new());
    f.ok(Command::Snapshot(SnapshotCommand::Create { vm, new: all.clone() })).await;
    let taken = SnapshotCommand::Taken { id: all.id, running: false, quiesced: false, memory_bytes: None };
    f.ok(Command::Snapshot(taken)).await;
    let refused = f.refused(revert(None)).await.detail;
    assert!(
        refused.contains("was attached after one") && refused.contains("the snapshot all holds"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_cancelled_deletion_leaves_the_snapshot_where_it_was_or_waits_to_be_ended() {
    let (f, vm) = machine().await;
    let (one, two, three) =
        (take(&f, vm, "one").await, take(&f, vm, "two").await, take(&f, vm, "three").await);
    let task = f.ok(Command::Snapshot(SnapshotCommand::Delete { id: two.id })).await.task;
    assert_eq!(row(&f, three.id).await.spec.parent, Some(one.id));
    f.ok(Command::Snapshot(SnapshotCommand::Stopped { id: two.id, kept: true })).await;
    assert!(f.task_state(task).await.starts_with("cancelled"), "{}", f.task_state(task).await);
    let kept = row(&f, two.id).await;
    assert_eq!((kept.status.phase, kept.spec.parent, kept.spec.task), (Phase::Ready, Some(one.id), None));
    assert_eq!(row(&f, three.id).await.spec.parent, Some(two.id), "the tree is what it was");
    assert_eq!(f.vm(vm).await.spec.snapshots.current, Some(three.id));
    // The newest one: "you are here" comes back to it.
    f.ok(Command::Snapshot(SnapshotCommand::Delete { id: three.id })).await;
    assert_eq!(f.vm(vm).await.spec.snapshots.current, Some(two.id));
    f.ok(Command::Snapshot(SnapshotCommand::Stopped { id: three.id, kept: true })).await;
    assert_eq!(f.vm(vm).await.spec.snapshots.current, Some(three.id));

    f.ok(Command::Snapshot(SnapshotCommand::Delete { id: two.id })).await;
    f.ok(Command::Snapshot(SnapshotCommand::Stopped { id: two.id, kept: false })).await;
    let half = row(&f, two.id).await;
    assert!(half.status.stopped && half.status.phase == Phase::Deleting);
    let twice = f.refused(Command::Snapshot(SnapshotCommand::Stopped { id: two.id, kept: true })).await;
    assert_eq!(twice.kind, ProblemKind::WrongState);
    let (first, next) = (None, new(vm, "").next);
    let back = SnapshotCommand::Revert { id: two.id, next, first, start: false, resume: false };
    let refused = f.refused(Command::Snapshot(back)).await.detail;
    assert!(refused.contains("Delete it again"), "the way out: {refused}");
    let again = f.ok(Command::Snapshot(SnapshotCommand::Delete { id: two.id })).await.task;
    assert_eq!(f.task_state(again).await, "running");
    assert!(!row(&f, two.id).await.status.stopped);
    f.ok(Command::Snapshot(SnapshotCommand::Deleted { id: two.id, problem: None })).await;
    assert_eq!(f.task_state(again).await, "succeeded");
}

#[tokio::test]
async fn what_fails_leaves_the_disks_as_they_were() {
    let (f, vm) = machine().await;
    let volume = derived_volume(vm, 0);
    let one = take(&f, vm, "one").await;
    let before = layers(&f, vm).await;
    let (first, back) = (new(vm, "kept"), new(vm, "").next);
    let revert = SnapshotCommand::Revert {
        id: one.id,
        next: back.clone(),
        first: Some(first.clone()),
        start: false,
        resume: false,
    };
    let task = f.ok(Command::Snapshot(revert)).await.task;
    let failed = SnapshotCommand::CreateFailed { id: first.id, problem: failure(), switched: false };
    f.ok(Command::Snapshot(failed)).await;
    assert_eq!(f.task_state(task).await, "capacity: The disk is full.");
    assert!(f.vm(vm).await.spec.snapshots.revert.is_none(), "it was to be taken before going back");
    let now = layers(&f, vm).await;
    assert_eq!((now.active, &now.over), (before.active, &before.over));
    assert!(now.gone.contains(&first.next[&volume]) && now.gone.contains(&back[&volume]));

    // The machine went off, and may have written to the new layers.
    let lost = new(vm, "lost");
    f.ok(Command::Snapshot(SnapshotCommand::Create { vm, new: lost.clone() })).await;
    let failed = SnapshotCommand::CreateFailed { id: lost.id, problem: failure(), switched: true };
    f.ok(Command::Snapshot(failed)).await;
    let kept = layers(&f, vm).await;
    assert_eq!((kept.active, kept.over[&kept.active]), (lost.next[&volume], now.active));
    f.ok(Command::Snapshot(SnapshotCommand::Merged { volume, upper: kept.active })).await;
    assert_eq!(layers(&f, vm).await.active, now.active);
    let merged =
        SnapshotCommand::Merged { volume: derived_volume(vm, 1), upper: lost.next[&derived_volume(vm, 1)] };
    f.ok(Command::Snapshot(merged)).await;

    let mut other = new(vm, "other");
    other.next.pop_first();
    let stale = f.refused(Command::Snapshot(SnapshotCommand::Create { vm, new: other })).await;
    assert_eq!(stale.kind, ProblemKind::Conflict);
    let twice = f.refused(Command::Snapshot(SnapshotCommand::Create { vm, new: new(vm, "ONE") })).await;
    assert_eq!((twice.kind, twice.at("/name").is_some()), (ProblemKind::Exists, true));
    for n in 2..32 {
        take(&f, vm, &format!("s{n}")).await;
    }
    let full = f.refused(Command::Snapshot(SnapshotCommand::Create { vm, new: new(vm, "more") })).await;
    assert_eq!(full.kind, ProblemKind::Capacity);
}

#[tokio::test]
async fn snapshots_go_with_their_machine() {
    let (f, vm) = machine().await;
    take(&f, vm, "one").await;
    let pending = new(vm, "two");
    let made = f.ok(Command::Snapshot(SnapshotCommand::Create { vm, new: pending.clone() })).await;
    f.ok(delete_vm(vm, false)).await;
    f.ok(Command::Vm(VmCommand::Deleted { id: vm })).await;
    assert!(f.cluster.store().snapshots_of(vm).await.unwrap().is_empty());
    assert!(f.task_state(made.task).await.starts_with("cancelled"));
    let volume = derived_volume(vm, 0);
    let kept = f.cluster.store().volume(volume).await.unwrap().unwrap().spec;
    assert_eq!(kept.vm, None);
    assert!(kept.layers.gone.contains(&pending.next[&volume]));
    assert!(kept.layers.next_merge(&Default::default()).is_some(), "the disk keeps what it holds now");
}

#[tokio::test]
async fn a_state_that_does_not_know_snapshots_takes_none() {
    let f = Fixture::new().await;
    assert_eq!(f.cluster.store().snapshot(SnapshotId::new()).await, Ok(None));
    let vm = f.ready_vm("web").await;
    let refused = f.refused(Command::Snapshot(SnapshotCommand::Create { vm, new: new(vm, "one") })).await;
    assert_eq!(refused.kind, ProblemKind::WrongState);
    assert!(f.cluster.store().snapshots_of(vm).await.unwrap().is_empty());
}
