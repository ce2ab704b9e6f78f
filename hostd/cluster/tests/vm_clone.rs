//! Copies as rows: what is kept for them, what follows a merge, and what goes with the last of them.

use crate::fixture::*;
use crate::snapshot::{layers, machine, new, row, take};
use hostd_types::command::*;
use hostd_types::*;

fn command(id: VmId, source: VmId, copy: CloneVm, first: Option<NewSnapshot>) -> Command {
    Command::Vm(VmCommand::Clone { id, source, copy, first, inherits: false })
}

fn named(name: &str, mode: CloneMode) -> CloneVm {
    CloneVm { name: name.into(), mode, ..CloneVm::default() }
}

async fn origin(f: &Fixture, vm: VmId, index: usize) -> Option<VolumeOrigin> {
    let volume = f.cluster.store().volume(derived_volume(vm, index)).await.unwrap().expect("a volume");
    volume.spec.origin
}

/// The disks and the machine are there.
async fn made(f: &Fixture, id: VmId, task: Option<TaskId>) {
    for index in 0..2 {
        let report = VolumeCommand::Report { id: derived_volume(id, index), status: volume_ready() };
        f.ok(Command::Volume(report)).await;
    }
    f.ok(vm_report(id, off(), Some(TaskEnd { task: task.unwrap(), problem: None }))).await;
}

#[tokio::test]
async fn a_full_copy_keeps_its_layers_until_it_is_made() {
    let (f, vm) = machine().await;
    let (copy, first) = (VmId::new(), new(vm, "for-web2"));
    let stale = f.refused(command(copy, vm, named("web2", CloneMode::Full), None)).await;
    assert_eq!(stale.kind, ProblemKind::Conflict, "a machine needs a snapshot first");
    let task = f.ok(command(copy, vm, named("web2", CloneMode::Full), Some(first.clone()))).await.task;
    assert_eq!(f.task(task).await.action, "vm.clone");
    assert_eq!(origin(&f, copy, 0).await.expect("an origin").layer, None);
    let refused = f.refused(delete_vm(vm, true)).await;
    assert!(refused.detail.contains("being copied to web2"), "{refused}");
    f.ok(Command::Snapshot(SnapshotCommand::Taken {
        id: first.id,
        running: false,
        quiesced: false,
        memory_bytes: None,
    }))
    .await;
    assert_eq!(origin(&f, copy, 1).await.expect("an origin").layer, Some(LayerId::BASE));
    let delete = Command::Snapshot(SnapshotCommand::Delete { id: first.id });
    assert!(f.refused(delete).await.detail.contains("being copied to web2"));
    made(&f, copy, task).await;
    assert_eq!(origin(&f, copy, 0).await, None);
    assert_eq!(f.task_state(task).await, "succeeded");
    let over = row(&f, first.id).await;
    assert_eq!((over.status.phase, over.spec.task), (Phase::Deleting, None));
    // Its layer can be merged now.
    let upper = first.next[&derived_volume(vm, 0)];
    f.ok(Command::Snapshot(SnapshotCommand::Merged { volume: derived_volume(vm, 0), upper })).await;
    f.ok(delete_vm(vm, true)).await;
}

#[tokio::test]
async fn a_copy_follows_a_merge_that_had_begun_and_then_keeps_its_layers() {
    let (f, vm) = machine().await;
    let (one, two) = (take(&f, vm, "one").await, take(&f, vm, "two").await);
    let (volume, layer) = (derived_volume(vm, 0), one.next[&derived_volume(vm, 0)]);
    f.ok(Command::Snapshot(SnapshotCommand::Delete { id: one.id })).await;
    let copy = VmId::new();
    let of_two = CloneVm { snapshot: Some(two.id), ..named("web2", CloneMode::Linked) };
    let task = f.ok(command(copy, vm, of_two, None)).await.task;
    assert_eq!(origin(&f, copy, 0).await.expect("an origin").layer, Some(layer));
    // What "one" kept was being merged: the layer above it goes into it.
    f.ok(Command::Snapshot(SnapshotCommand::Merged { volume, upper: layer })).await;
    assert_eq!(origin(&f, copy, 0).await.expect("an origin").layer, Some(LayerId::BASE));
    made(&f, copy, task).await;
    let mut source = f.vm(copy).await.spec.lineage.source.expect("a source");
    assert_eq!((source.snapshot.take().as_deref(), source.mode), (Some("two"), CloneMode::Linked));
    // The other disk was not merged in time: now nothing is.
    let other = derived_volume(vm, 1);
    let late = SnapshotCommand::Merged { volume: other, upper: one.next[&other] };
    assert_eq!(f.refused(Command::Snapshot(late)).await.kind, ProblemKind::WrongState);
    for refused in [delete_vm(vm, false), Command::Snapshot(SnapshotCommand::Delete { id: two.id })] {
        let refused = f.refused(refused).await;
        assert!(refused.detail.contains("These are web2."), "{refused}");
    }
    f.ok(delete_vm(copy, true)).await;
    f.ok(Command::Vm(VmCommand::Deleted { id: copy })).await;
    let late = SnapshotCommand::Merged { volume: other, upper: one.next[&other] };
    f.ok(Command::Snapshot(late)).await;
    assert!(layers(&f, vm).await.over.len() == 1);
    assert_eq!(row(&f, two.id).await.status.phase, Phase::Ready, "somebody took it for himself");
}

#[tokio::test]
async fn a_snapshot_that_can_not_be_taken_tells_its_copies_and_a_called_off_copy_drops_it() {
    let (f, vm) = machine().await;
    let (copy, first) = (VmId::new(), new(vm, "for-web2"));
    let task = f.ok(command(copy, vm, named("web2", CloneMode::Linked), Some(first.clone()))).await.task;
    let failed = SnapshotCommand::CreateFailed { id: first.id, problem: failure(), switched: false };
    f.ok(Command::Snapshot(failed)).await;
    let volume = f.cluster.store().volume(derived_volume(copy, 0)).await.unwrap().expect("a volume");
    assert_eq!(volume.status.fault, Some(failure().detail));
    f.ok(Command::Vm(VmCommand::CreateFailed { id: copy, problem: failure() })).await;
    assert_eq!(f.task_state(task).await, "capacity: The disk is full.");
    f.ok(edit(vm, None, EditVm { description: Some("free".into()), ..EditVm::default() })).await;

    // Called off while the snapshot is being taken: that is not wanted when it is there.
    let (copy, first) = (VmId::new(), new(vm, "for-web3"));
    f.ok(command(copy, vm, named("web3", CloneMode::Test), Some(first.clone()))).await;
    f.ok(Command::Vm(VmCommand::CreateFailed { id: copy, problem: failure() })).await;
    f.ok(Command::Snapshot(SnapshotCommand::Taken {
        id: first.id,
        running: true,
        quiesced: false,
        memory_bytes: None,
    }))
    .await;
    assert_eq!(row(&f, first.id).await.status.phase, Phase::Deleting);
}

#[tokio::test]
async fn a_template_is_what_it_is_while_copies_are_over_it() {
    let (f, vm) = machine().await;
    let set = |template| Command::Vm(VmCommand::SetTemplate { id: vm, expect: None, template });
    f.ok(set(true)).await;
    let store = || f.cluster.store();
    let (machines, templates) = (store().vm_counts().await.unwrap(), store().template_count().await.unwrap());
    assert_eq!((machines.len(), templates), (0, 1));
    let listed = |template| ListParams { template: Some(template), ..ListParams::default() };
    assert_eq!(store().vms(&listed(true)).await.unwrap().total, 1);
    assert_eq!(store().vms(&listed(false)).await.unwrap().total, 0);
    let change = EditVm { description: Some("x".into()), ..EditVm::default() };
    for refused in [power(vm, PowerAction::Start), edit(vm, None, change)] {
        assert!(f.refused(refused).await.detail.contains("is a template"));
    }
    let copy = VmId::new();
    let task = f.ok(command(copy, vm, named("web2", CloneMode::Linked), None)).await.task;
    assert_eq!(origin(&f, copy, 0).await.expect("an origin").snapshot, None);
    made(&f, copy, task).await;
    assert!(f.refused(set(false)).await.detail.contains("These are web2."));
    f.ok(delete_vm(copy, false)).await;
    f.ok(Command::Vm(VmCommand::Deleted { id: copy })).await;
    let left = f.refused(set(false)).await;
    assert!(left.detail.contains("the volume web2-disk0"), "{left}");
    for index in 0..2 {
        let id = derived_volume(copy, index);
        f.ok(Command::Volume(VolumeCommand::Delete { id })).await;
        f.ok(Command::Volume(VolumeCommand::Deleted { id })).await;
    }
    f.ok(set(false)).await;
}

/// Makes a linked clone of what `source` is now, which is a template afterwards.
async fn linked(f: &Fixture, source: VmId, name: &str) -> VmId {
    f.ok(Command::Vm(VmCommand::SetTemplate { id: source, expect: None, template: true })).await;
    let copy = VmId::new();
    let task = f.ok(command(copy, source, named(name, CloneMode::Linked), None)).await.task;
    made(f, copy, task).await;
    copy
}

#[tokio::test]
async fn clones_of_clones_end_where_the_layers_do() {
    let (f, mut vm) = machine().await;
    for depth in 1..LAYERS_MAX {
        vm = linked(&f, vm, &format!("deep{depth}")).await;
    }
    let refused = f.refused(Command::Snapshot(SnapshotCommand::Create { vm, new: new(vm, "more") })).await;
    assert_eq!(refused.kind, ProblemKind::Capacity, "{refused}");
    assert!(refused.detail.contains("31 of them are what it is a linked clone of"), "{refused}");
    f.ok(Command::Vm(VmCommand::SetTemplate { id: vm, expect: None, template: true })).await;
    for mode in [CloneMode::Linked, CloneMode::Test] {
        let refused = f.refused(command(VmId::new(), vm, named("deeper", mode), None)).await;
        assert!(refused.at("/mode").is_some_and(|why| why.contains("32 layers")), "{refused}");
    }
    f.ok(command(VmId::new(), vm, named("flat", CloneMode::Full), None)).await;
}

#[tokio::test]
async fn a_test_copy_has_a_network_for_each_of_its_source_and_they_go_with_it() {
    let (f, _) = machine().await;
    let lan = f.ready_network("lan", "10.201.0.0/24").await;
    let other = f.ready_network("other", "10.202.0.0/24").await;
    let card =
        |network| NewNic { network, mac: None, model: NicModel::Virtio, options: NicOptions::default() };
    let plugged = |name: &str, networks: &[NetworkId]| CreateVm {
        nics: networks.iter().copied().map(card).collect(),
        ..blank_vm(name)
    };
    let vm = VmId::new();
    let task = f.ok(create(vm, f.host, plugged("server", &[lan, other, lan]))).await.task;
    f.ok(vm_report(vm, off(), Some(TaskEnd { task: task.unwrap(), problem: None }))).await;
    let copy = VmId::new();
    let task = f.ok(command(copy, vm, named("try", CloneMode::Test), None)).await.task;
    let nics = f.vm(copy).await.spec.nics;
    let (first, second) = (derived_network(copy, 0), derived_network(copy, 1));
    assert_eq!(nics.iter().map(|nic| nic.network).collect::<Vec<_>>(), [first, second, first]);
    assert!(nics.iter().all(|nic| !nic.unplugged), "their cables are in");
    let there = async |id| f.cluster.store().network(id).await.unwrap();
    let made_for = there(second).await.expect("a network").spec;
    assert_eq!(
        (made_for.name.as_str(), made_for.mode, made_for.for_clone),
        ("try-net1", NetworkMode::Isolated, Some(copy))
    );
    f.ok(vm_report(copy, off(), Some(TaskEnd { task: task.unwrap(), problem: None }))).await;
    let ready = NetworkStatus { phase: Phase::Ready, active: true, fault: None };
    for id in [first, second] {
        f.ok(Command::Network(NetworkCommand::Report { id, status: ready.clone() })).await;
    }
    // Somebody plugs another machine into one: that network stays.
    let beside = VmId::new();
    f.ok(create(beside, f.host, plugged("beside", &[second]))).await;
    f.ok(delete_vm(copy, true)).await;
    f.ok(Command::Vm(VmCommand::Deleted { id: copy })).await;
    assert_eq!(there(first).await.expect("until it is taken down").status.phase, Phase::Deleting);
    f.ok(Command::Network(NetworkCommand::Deleted { id: first })).await;
    assert_eq!(there(first).await, None);
    let kept = there(second).await.expect("in use");
    assert_eq!((kept.status.phase, kept.spec.for_clone), (Phase::Ready, None));
}

#[tokio::test]
async fn a_copy_keeps_shared_folders_and_a_test_does_without() {
    let (f, _) = machine().await;
    let shares = vec![VmShare { tag: "docs".into(), pool: "local".into(), folder: "team".into() }];
    let vm = VmId::new();
    let task = f.ok(create(vm, f.host, CreateVm { shares: shares.clone(), ..blank_vm("shares") })).await.task;
    f.ok(vm_report(vm, off(), Some(TaskEnd { task: task.unwrap(), problem: None }))).await;
    for (mode, has, said) in [(CloneMode::Full, shares, 0), (CloneMode::Test, Vec::new(), 1)] {
        let copy = VmId::new();
        f.ok(command(copy, vm, named(mode.as_str(), mode), None)).await;
        let spec = f.vm(copy).await.spec;
        assert_eq!(spec.hardware.shares, has);
        let left_out = spec.lineage.source.expect("a source").left_out;
        assert_eq!(left_out.iter().filter(|what| what.contains("shared folder (team)")).count(), said);
    }
}

/// Changes a device, to the end.
async fn changed(f: &Fixture, id: VmId, change: DeviceChange) {
    let task = f.ok(Command::Vm(VmCommand::Change { id, expect: None, change })).await.task.expect("a task");
    f.ok(Command::Vm(VmCommand::Changed { id, task, end: ChangeEnd::Done })).await;
}

#[tokio::test]
async fn a_copy_does_without_media_and_networks_that_are_gone() {
    let (f, vm) = machine().await;
    let iso = f.ready_image("iso", ImageKind::Iso).await;
    let lan = f.ready_network("lan", "10.200.0.0/24").await;
    let drive = |change| edit(vm, None, EditVm { cdrom: Some(change), ..EditVm::default() });
    f.ok(drive(CdromChange::Insert { image: iso })).await;
    let mac = "52:54:00:00:00:01".to_owned();
    let (model, options) = (NicModel::Virtio, NicOptions::default());
    let nic = NewNic { network: lan, mac: Some(mac.clone()), model, options };
    changed(&f, vm, DeviceChange::AttachNic { nic }).await;
    let then = take(&f, vm, "then").await;
    f.ok(drive(CdromChange::Eject)).await;
    changed(&f, vm, DeviceChange::DetachNic { mac }).await;
    f.ok(Command::Image(ImageCommand::Delete { id: iso })).await;
    f.ok(Command::Network(NetworkCommand::Delete { id: lan })).await;
    f.ok(Command::Network(NetworkCommand::Deleted { id: lan })).await;

    let copy = VmId::new();
    let of_then = CloneVm { snapshot: Some(then.id), ..named("web2", CloneMode::Linked) };
    f.ok(command(copy, vm, of_then, None)).await;
    let spec = f.vm(copy).await.spec;
    assert_eq!(
        (spec.cdrom, spec.nics[0].network, spec.nics[0].unplugged),
        (None, derived_network(copy, 0), true)
    );
    let said = spec.lineage.source.expect("a source").left_out;
    assert!(said[0].contains("drive 1 is empty") && said[1].contains("web2-net0"), "{said:?}");
    assert!(f.events(copy).await.iter().any(|event| event.contains("drive 1 is empty")), "the trail says it");
}
