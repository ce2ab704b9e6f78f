//! Images.

use crate::cluster_record::raise;
use crate::fixture::*;
use hostd_types::command::*;
use hostd_types::*;

#[tokio::test]
async fn an_upload_ends_ready_or_leaves_nothing() {
    let f = Fixture::new().await;
    let id = ImageId::new();
    let created = f.ok(Command::Image(image_create(id, f.host, "debian"))).await;
    let taken = f.refused(Command::Image(image_create(ImageId::new(), f.host, "Debian"))).await;
    assert_eq!((taken.kind, taken.at("/name").is_some()), (ProblemKind::Exists, true));
    let ready = || Command::Image(ImageCommand::Ready { id, content: content(ImageKind::Disk) });
    f.ok(ready()).await;
    assert_eq!(f.task_state(created.task).await, "succeeded");
    assert_eq!(f.refused(ready()).await.kind, ProblemKind::WrongState);
    let image = f.cluster.store().image_named("DEBIAN").await.unwrap().unwrap();
    assert_eq!((image.id, image.status.phase), (id, Phase::Ready));
    assert_eq!(image.status.content, Some(content(ImageKind::Disk)));
    let report =
        |fault: Option<&str>| Command::Image(ImageCommand::Report { id, fault: fault.map(Into::into) });
    f.ok(report(Some("the file is missing"))).await;
    f.ok(report(Some("the file is missing"))).await;
    assert_eq!(f.events(id).await.len(), 3, "{:?}", f.events(id).await);

    let half = ImageId::new();
    let created = f.ok(Command::Image(image_create(half, f.host, "half"))).await;
    let cancelled = Problem::new(ProblemKind::Cancelled, "The upload was cut off.");
    f.ok(Command::Image(ImageCommand::CreateFailed { id: half, problem: cancelled })).await;
    assert_eq!(f.task_state(created.task).await, "cancelled: The upload was cut off.");
    assert_eq!(f.cluster.store().image(half).await.unwrap(), None);
}

#[tokio::test]
async fn an_image_in_use_is_kept_and_the_refusal_names_who_uses_it() {
    let f = Fixture::new().await;
    let disk = f.ready_image("debian", ImageKind::Disk).await;
    let iso = f.ready_image("tools", ImageKind::Iso).await;
    let id = VmId::new();
    let disks = vec![NewDisk::Image {
        image: disk,
        size_bytes: None,
        bus: DiskBus::Virtio,
        options: DiskOptions::default(),
    }];
    f.ok(create(id, f.host, CreateVm { disks, cdrom: Some(iso), ..blank_vm("web") })).await;
    let delete = |id| Command::Image(ImageCommand::Delete { id });
    for (image, user) in [(disk, "web-disk0"), (iso, "web")] {
        let problem = f.refused(delete(image)).await;
        assert_eq!(problem.kind, ProblemKind::Conflict);
        assert!(problem.detail.contains(user), "{problem:?}");
        assert_eq!(
            f.refused(Command::Image(ImageCommand::Deleted { id: image })).await.kind,
            ProblemKind::WrongState
        );
    }
    // From one drive into another one.
    f.ok(raise(LIFE)).await;
    let store = f.cluster.store();
    let moved = EditVm {
        cdrom: Some(CdromChange::Eject),
        more_cdroms: Some(vec![None, Some(iso)]),
        ..EditVm::default()
    };
    f.ok(vm_report(id, off(), None)).await;
    f.ok(edit(id, None, moved)).await;
    assert!(f.refused(delete(iso)).await.detail.contains("CD-ROM drive of web"));
    assert_eq!(store.vms_with_cdrom(iso).await.unwrap().len(), 1);
    assert_eq!(store.vms_by_cdrom().await.unwrap().get(&iso), Some(&1));
    let wrong = EditVm { more_cdroms: Some(vec![Some(disk)]), ..EditVm::default() };
    assert!(f.refused(edit(id, None, wrong)).await.at("/more_cdroms/0").is_some());
    f.ok(edit(id, None, EditVm { more_cdroms: Some(vec![None]), ..EditVm::default() })).await;
    assert_eq!(store.vms_by_cdrom().await.unwrap().get(&iso), None);
    let deletion = f.ok(delete(iso)).await;
    let insert = EditVm { cdrom: Some(CdromChange::Insert { image: iso }), ..EditVm::default() };
    assert_eq!(f.refused(edit(id, None, insert)).await.kind, ProblemKind::WrongState);
    f.ok(Command::Image(ImageCommand::Deleted { id: iso })).await;
    assert_eq!(f.task_state(deletion.task).await, "succeeded");

    let uploading = ImageId::new();
    f.ok(Command::Image(image_create(uploading, f.host, "half"))).await;
    assert_eq!(f.refused(delete(uploading)).await.kind, ProblemKind::WrongState);
}
