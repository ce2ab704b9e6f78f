//! Volumes on their own.

use crate::fixture::*;
use hostd_types::command::*;
use hostd_types::*;

fn make(id: VolumeId, host: HostId, name: &str) -> Command {
    let volume = CreateVolume { name: name.into(), size_bytes: GIB, format: DiskFormat::Qcow2 };
    Command::Volume(VolumeCommand::Create { id, host, volume })
}

#[tokio::test]
async fn a_volume_is_made_reported_and_deleted() {
    let f = Fixture::new().await;
    let id = VolumeId::new();
    let created = f.ok(make(id, f.host, "data")).await;
    let delete = || Command::Volume(VolumeCommand::Delete { id });
    assert_eq!(f.refused(delete()).await.kind, ProblemKind::WrongState);
    let report = |status| Command::Volume(VolumeCommand::Report { id, status });
    f.ok(report(volume_ready())).await;
    assert_eq!(f.task_state(created.task).await, "succeeded");
    let fault = VolumeStatus { phase: Phase::Ready, fault: Some("the file is missing".into()) };
    f.ok(report(fault.clone())).await;
    f.ok(report(fault)).await;
    f.ok(report(volume_ready())).await;

    let deletion = f.ok(delete()).await;
    assert_eq!(f.refused(delete()).await.kind, ProblemKind::WrongState);
    f.ok(report(volume_ready())).await;
    let volume = f.cluster.store().volume(id).await.unwrap().unwrap();
    assert_eq!((volume.status.phase, volume.spec.task), (Phase::Deleting, deletion.task));
    f.ok(Command::Volume(VolumeCommand::Deleted { id })).await;
    assert_eq!(f.task_state(deletion.task).await, "succeeded");
    assert_eq!(f.cluster.store().volume(id).await.unwrap(), None);
    let expected = [
        "volume.create 1073741824 bytes, qcow2",
        "volume.fault the file is missing",
        "volume.fault no longer: the file is missing",
        "volume.delete",
        "volume.deleted",
    ];
    assert_eq!(f.events(id).await, expected);
}

#[tokio::test]
async fn names_attachment_and_unasked_ends_are_refused() {
    let f = Fixture::new().await;
    let id = f.ready_volume("data").await;
    let taken = f.refused(make(VolumeId::new(), f.host, "DATA")).await;
    assert_eq!((taken.kind, taken.at("/name").is_some()), (ProblemKind::Exists, true));
    assert_eq!(f.refused(make(id, f.host, "other")).await.kind, ProblemKind::Conflict);
    assert_eq!(f.refused(Command::Volume(VolumeCommand::Deleted { id })).await.kind, ProblemKind::WrongState);
    let failed = VolumeCommand::CreateFailed { id, problem: failure() };
    assert_eq!(f.refused(Command::Volume(failed)).await.kind, ProblemKind::WrongState);
    let disks = vec![NewDisk::Volume { volume: id, bus: DiskBus::Virtio, options: DiskOptions::default() }];
    f.ok(create(VmId::new(), f.host, CreateVm { disks, ..blank_vm("web") })).await;
    let attached = f.refused(Command::Volume(VolumeCommand::Delete { id })).await;
    assert_eq!(attached.kind, ProblemKind::Conflict);
    assert!(attached.detail.contains("web"), "{attached:?}");

    let failing = VolumeId::new();
    let created = f.ok(make(failing, f.host, "full")).await;
    f.ok(Command::Volume(VolumeCommand::CreateFailed { id: failing, problem: failure() })).await;
    assert_eq!(f.task_state(created.task).await, "capacity: The disk is full.");
    f.ok(make(VolumeId::new(), f.host, "full")).await;
}
