//! Uploads that go wrong leave nothing behind but a failed task that says why.

use crate::bed::*;
use futures_util::FutureExt;
use hostd_core::UploadRequest;
use hostd_types::command::*;
use hostd_types::*;

#[test]
fn bad_uploads_end_with_a_reason_and_without_a_file() {
    let Some(bed) = Bed::bare() else { return };
    let check = &bed;
    bed.with_core(|core| async move {
        let good = guest();
        let image = uploaded(&core, "good", &good).await;
        let content = image.status.content.expect("content");
        assert_eq!((content.kind, content.file_bytes), (ImageKind::Disk, good.len() as u64));
        let kept = check.files("images");
        assert_eq!(kept, [format!("{}.img", image.id)]);

        let start = |request: UploadRequest| {
            let core = core.clone();
            async move { core.upload(&console(), request).await.expect("an upload") }
        };
        // Cut at half.
        let mut upload = start(request("x", Some(good.len()))).await;
        upload.write(&good[..good.len() / 2]).await.expect("half");
        let task = upload.task;
        let problem = upload.finish().await.expect_err("half a file");
        assert!(problem.detail.contains("cut short"), "{problem}");
        assert_eq!(failed(&core, task).await, problem);
        // More than announced.
        let mut upload = start(request("x", Some(10))).await;
        upload.write(&good).await.expect_err("too much");
        upload.write(&good).await.expect_err("it stays ended");
        // Another hash.
        let wrong = UploadRequest { expected_sha256: Some("0".repeat(64)), ..request("x", None) };
        let mut upload = start(wrong).await;
        upload.write(&good).await.expect("bytes");
        assert!(upload.finish().await.expect_err("another hash").at("/expected_sha256").is_some());
        // The right hash, in capitals.
        let right =
            UploadRequest { expected_sha256: Some(content.sha256.to_uppercase()), ..request("y", None) };
        let mut upload = start(right).await;
        upload.write(&good).await.expect("bytes");
        let second = upload.finish().await.expect("the right hash");
        // Nothing at all.
        let problem = start(request("x", None)).await.finish().await.expect_err("an empty file");
        assert!(problem.at("/file").is_some());
        core.upload(&console(), request("x", Some(0))).await.expect_err("an empty file, announced");
        // No disk image.
        let mut upload = start(request("x", None)).await;
        upload.write(b"\x1f\x8b\x08 this is a gzip file").await.expect("bytes");
        assert_eq!(upload.finish().await.expect_err("packed").kind, ProblemKind::Invalid);
        // The client goes away.
        let mut upload = start(request("x", Some(good.len()))).await;
        upload.write(&good[..1000]).await.expect("bytes");
        let task = upload.task;
        drop(upload);
        let problem = failed(&core, task).await;
        assert_eq!(problem.kind, ProblemKind::Cancelled);
        // The request is dropped while it ends the upload, as HTTP/2 does.
        let mut upload = start(request("x", Some(good.len()))).await;
        upload.write(&good[..1000]).await.expect("bytes");
        let task = upload.task;
        let broken = Problem::new(ProblemKind::BadRequest, "The stream broke.");
        assert!(upload.fail(broken.clone()).now_or_never().is_none());
        assert_eq!(failed(&core, task).await, broken);
        assert!(problem.detail.contains("went away"), "{problem}");
        // Somebody cancels, while no bytes come.
        let mut upload = start(request("x", Some(good.len()))).await;
        upload.write(&good[..1000]).await.expect("bytes");
        assert!(core.task(upload.task).await.expect("task").progress.is_some_and(|p| p.done == 1000));
        core.submit(&console(), Command::Task(TaskCommand::Cancel { id: upload.task }))
            .await
            .expect("cancel");
        assert_eq!(failed(&core, upload.task).await.kind, ProblemKind::Cancelled);
        upload.write(&good).await.expect_err("it was cancelled");
        // Taken names and room.
        let taken = core.upload(&console(), request("GOOD", None)).await.expect_err("the name is taken");
        assert_eq!(taken.kind, ProblemKind::Exists);
        let huge = core.upload(&console(), request("x", Some(1 << 60))).await.expect_err("no room");
        assert_eq!(huge.kind, ProblemKind::Capacity);
        let mut left = [image.id, second.id].map(|id| format!("{id}.img"));
        left.sort();
        assert_eq!(check.files("images"), left);
        assert_eq!(core.images(&ListParams::default()).await.expect("images").total, 2);
    });
}

#[test]
fn a_client_that_goes_away_after_the_last_byte_still_made_an_image() {
    let Some(bed) = Bed::bare() else { return };
    let check = &bed;
    bed.with_core(|core| async move {
        let good = guest();
        let mut upload = core.upload(&console(), request("last", Some(good.len()))).await.expect("an upload");
        upload.write(&good).await.expect("bytes");
        let third = upload.image;
        let mut finish = Box::pin(upload.finish());
        assert!(futures_util::poll!(finish.as_mut()).is_pending());
        drop(finish);
        until(&core, "the image is ready", || async {
            let view = core.image(third).await.expect("the image");
            (view.image.status.phase == Phase::Ready).then_some(())
        })
        .await;
        assert_eq!(check.files("images"), [format!("{third}.img")]);
    });
}

#[test]
fn an_image_whose_file_vanishes_is_told() {
    let Some(bed) = Bed::bare() else { return };
    let check = &bed;
    let mut made = None;
    let slot = &mut made;
    bed.with_core(|core| async move {
        *slot = Some(uploaded(&core, "guest", &guest()).await.id);
    });
    let id = made.expect("an image");
    std::fs::remove_file(check.path(&format!("pools/local/images/{id}.img"))).expect("remove");
    bed.with_core(|core| async move {
        until(&core, "the fault is told", || async {
            core.image(id).await.expect("the image").image.status.fault
        })
        .await;
        succeeded(&core, ask(&core, Command::Image(ImageCommand::Delete { id })).await).await;
    });
}
