//! Full pools, taken names, double submits, bad names.

use crate::bed::*;
use hostd_types::command::*;
use hostd_types::*;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::path::Path;

/// Puts a small file system where the pool will be, for this test alone.
fn small_pool(dir: &Path, size: &str) {
    unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private mounts");
    std::fs::create_dir(dir.join("pools")).expect("a directory");
    mount(Some("pool"), &dir.join("pools"), Some("tmpfs"), MsFlags::empty(), Some(size)).expect("a tmpfs");
}

#[test]
fn a_full_pool_fails_uploads_and_machines_and_nothing_is_left() {
    let Some(bed) = Bed::full_with(|dir| small_pool(dir, "size=4m")) else { return };
    let check = &bed;
    bed.with_core(|core| async move {
        let mut upload = core.upload(&console(), request("big", None)).await.expect("size unknown");
        let mut result = Ok(());
        for _ in 0..100 {
            result = upload.write(&[7; 100_000]).await;
            if result.is_err() {
                break;
            }
        }
        assert_eq!(result.expect_err("no room").kind, ProblemKind::Capacity);
        assert_eq!(failed(&core, upload.task).await.kind, ProblemKind::Capacity);
        assert_eq!(check.files("images"), Vec::<String>::new());

        std::fs::write(check.path("pools/filler"), vec![1; 5 << 20]).expect_err("the pool is full now");
        let body = CreateVm { disks: vec![blank(1 << 30), blank(1 << 30)], start: true, ..plain("web") };
        let (id, task) = create(&core, body.clone()).await;
        let problem = failed(&core, task).await;
        assert_eq!(problem.kind, ProblemKind::Capacity, "{problem}");
        core.vm(id).await.expect_err("no row");
        assert_eq!(core.volumes(&ListParams::default()).await.expect("volumes").total, 0);
        assert_eq!(check.files("volumes"), Vec::<String>::new());
        let volume = CreateVolume { name: "data".into(), size_bytes: 1 << 30, format: DiskFormat::Qcow2 };
        let make = VolumeCommand::Create { id: VolumeId::new(), host: core.host(), volume };
        assert_eq!(failed(&core, ask(&core, Command::Volume(make)).await).await.kind, ProblemKind::Capacity);

        std::fs::remove_file(check.path("pools/filler")).expect("room again");
        // libvirt is outside of this mount namespace and does not see the disks: made, but not started.
        let (id, task) = create(&core, body).await;
        let problem = failed(&core, task).await;
        assert!(problem.detail.contains("start of web failed"), "{problem}");
        let vm = core.vm(id).await.expect("a whole machine that is off");
        assert_eq!((vm.status.phase, vm.status.state), (Phase::Ready, VmState::Off));
        assert_eq!(check.files("volumes").len(), 2);
        deleted(&core, id, true).await;
        assert_eq!(check.files("volumes"), Vec::<String>::new());
    });
}

#[test]
fn one_name_is_given_once_and_one_request_acts_once() {
    let Some(bed) = Bed::full() else { return };
    bed.with_core(|core| async move {
        let create = |name: &str| {
            let vm = plain(name);
            Command::Vm(VmCommand::Create { id: VmId::new(), host: core.host(), vm, found: Vec::new() })
        };
        let (one, other) = (console(), console());
        let (a, b) = tokio::join!(core.submit(&one, create("web")), core.submit(&other, create("WEB")));
        let refused = match (a, b) {
            (Ok(_), Err(problem)) | (Err(problem), Ok(_)) => problem,
            both => panic!("one of two must be refused: {both:?}"),
        };
        assert_eq!(refused.kind, ProblemKind::Exists);

        let ctx = repeatable();
        let (a, b) = tokio::join!(core.submit(&ctx, create("db")), core.submit(&ctx, create("db")));
        let (a, b) = (a.expect("first"), b.expect("second"));
        assert_eq!(a, b);
        succeeded(&core, a.task.expect("a task")).await;
        assert_eq!(core.vms(&ListParams::default()).await.expect("vms").total, 2);
        let id = core.find_vm("db").await.expect("db").id;
        let ctx = repeatable();
        let first = core.submit(&ctx, power(id, PowerAction::Start, 0)).await.expect("a start");
        let again = core.submit(&ctx, power(id, PowerAction::Start, 0)).await.expect("the same start");
        assert_eq!(first, again);
        succeeded(&core, first.task.expect("a task")).await;

        let long = "x".repeat(10_240);
        for name in ["", "a\"b", "<script>", "../etc/passwd", "🦀", &long] {
            let refused = core.submit(&console(), create(name)).await.expect_err("a bad name");
            assert!(refused.at("/name").is_some(), "{refused:?}");
        }
        let list = ListParams { state: Some("refused".into()), ..ListParams::default() };
        let refusals = core.events(&list, None).await.expect("events").items;
        assert!(refusals.len() >= 7 && refusals.iter().all(|e| e.detail.len() < 1000), "{refusals:?}");
        let memory = core.host_view(core.host()).await.expect("the host").facts.memory_bytes >> 20;
        for memory_mib in [0, memory + 1] {
            let vm = CreateVm { memory_mib, ..plain("big") };
            let command =
                Command::Vm(VmCommand::Create { id: VmId::new(), host: core.host(), vm, found: Vec::new() });
            let refused = core.submit(&console(), command).await.expect_err("memory");
            assert!(refused.at("/memory_mib").is_some(), "{refused:?}");
        }
    });
}
