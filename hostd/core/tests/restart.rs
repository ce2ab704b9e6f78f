//! Restarts of the daemon and boots of the host.

use crate::bed::*;
use hostd_core::Core;
use hostd_types::command::*;
use hostd_types::*;

#[test]
fn machines_outlive_the_daemon_and_start_once_a_boot() {
    let Some(bed) = Bed::full() else { return };
    let mut ids = None;
    bed.with_core(|core| async move {
        let own = created(&core, CreateVm { autostart: true, start: true, ..plain("own") }).await;
        let other = created(&core, CreateVm { start: true, ..plain("other") }).await;
        let waiting = ask(&core, power(other, PowerAction::Shutdown, 600)).await;
        becomes(&core, other, VmState::Stopping).await;
        std::fs::write(bed_note(&core), format!("{own} {other} {waiting}")).expect("a note");
    });
    let note = std::fs::read_to_string(bed.path("r/note")).expect("the note");
    let mut words = note.split(' ');
    let mut next = || words.next().expect("a word");
    let (own, other): (VmId, VmId) = (next().parse().expect("id"), next().parse().expect("id"));
    let waiting: TaskId = next().parse().expect("id");
    ids.replace((own, other));
    bed.with_core(|core| async move {
        // The wait another daemon began goes on; what ran, runs.
        let task = core.task(waiting).await.expect("the task");
        assert_eq!(task.state, TaskState::Running);
        assert_eq!(core.vm(own).await.expect("vm").status.state, VmState::Running);
        powered(&core, other, PowerAction::ForceOff).await;
        assert_eq!(failed(&core, waiting).await.kind, ProblemKind::Cancelled);
        powered(&core, own, PowerAction::ForceOff).await;
    });
    bed.with_core(|core| async move {
        settled(&core).await;
        assert_eq!(core.vm(own).await.expect("vm").status.state, VmState::Off, "a restart is no boot");
    });
    // Another boot: the note of the last one names another.
    bed.runtime.block_on(async {
        let cluster = bed.bare_cluster().await;
        cluster.local().put("autostarted_boot", "another").await.expect("a note");
        cluster.shutdown().await;
    });
    bed.with_core(|core| async move {
        becomes(&core, own, VmState::Running).await;
        assert_eq!(core.vm(other).await.expect("vm").status.state, VmState::Off);
        let tasks = core.tasks(&ListParams::default()).await.expect("tasks").items;
        assert!(tasks.iter().any(|t| t.action == "vm.start" && matches!(t.created_by, Actor::Host { .. })));
    });
}

fn bed_note(core: &Core) -> std::path::PathBuf {
    core.settings().run_dir.join("note")
}

/// Waits until the machines' reconciler has run.
async fn settled(core: &Core) {
    until(core, "the reconcilers ran", || async {
        let view = core.host_view(core.host()).await.expect("the host");
        let ran = |name: &str| view.reconcilers.iter().any(|r| r.name == name && r.last_run.is_some());
        (ran("virtual machines") && ran("networks") && view.facts.libvirt_fault.is_none()).then_some(())
    })
    .await;
}

#[test]
fn what_a_dead_daemon_left_is_ended_truthfully() {
    let Some(bed) = Bed::bare() else { return };
    let (image, volume) = (ImageId::new(), VolumeId::new());
    let mut task = None;
    bed.with_core(|core| async move { drop(core) });
    bed.runtime.block_on(async {
        let cluster = bed.bare_cluster().await;
        let entry = |command| Entry {
            version: ENTRY_VERSION,
            request: RequestId::new(),
            at: Timestamp::now(),
            by: Actor::Console,
            task: TaskId::new(),
            command,
        };
        let create = ImageCommand::Create {
            id: image,
            host: cluster.host(),
            name: "half".into(),
            description: String::new(),
            announced_bytes: None,
            expected_sha256: None,
        };
        task = cluster.propose(entry(Command::Image(create))).await.expect("a row").task;
        let create = VolumeCommand::Create {
            id: volume,
            host: cluster.host(),
            volume: CreateVolume { name: "data".into(), size_bytes: 1 << 20, format: DiskFormat::Raw },
        };
        cluster.propose(entry(Command::Volume(create))).await.expect("a row");
        cluster.shutdown().await;
    });
    let pool = bed.path("pools/local");
    let stray = ImageId::new();
    for file in
        [format!("images/{image}.part"), format!("images/{stray}.part"), format!("images/{stray}.img")]
    {
        std::fs::write(pool.join(file), "half").expect("a file");
    }
    let task = task.expect("a task");
    bed.with_core(|core| async move {
        let problem = failed(&core, task).await;
        assert!(problem.detail.contains("interrupted"), "{problem}");
        core.image(image).await.expect_err("no row");
        until(&core, "the volume is made", || async {
            let view = core.volume(volume).await.expect("the volume");
            (view.volume.status.phase == Phase::Ready).then_some(())
        })
        .await;
    });
    assert_eq!(bed.files("images"), [format!("{stray}.img")], "foreign whole files stay");
    assert_eq!(bed.files("volumes"), [format!("{volume}.raw")]);
}

#[test]
fn a_request_repeated_after_a_restart_acts_once() {
    let Some(bed) = Bed::bare() else { return };
    let ctx = repeatable();
    let create = |core: &Core| {
        let volume = CreateVolume { name: "data".into(), size_bytes: 1 << 20, format: DiskFormat::Raw };
        Command::Volume(VolumeCommand::Create { id: VolumeId::new(), host: core.host(), volume })
    };
    let mut first = None;
    let (slot, request) = (&mut first, ctx.clone());
    bed.with_core(|core| async move {
        *slot = Some(core.submit(&request, create(&core)).await.expect("a volume"));
    });
    let first = first.expect("an outcome");
    bed.with_core(|core| async move {
        assert_eq!(core.submit(&ctx, create(&core)).await.expect("the same volume"), first);
        let volume = first.subject.expect("a subject").id.parse().expect("its id");
        let other = Command::Volume(VolumeCommand::Delete { id: volume });
        let problem = core.submit(&ctx, other).await.expect_err("not a success of something else");
        assert_eq!(problem.kind, ProblemKind::Conflict);
        assert_eq!(core.volumes(&ListParams::default()).await.expect("volumes").total, 1);
        let refused = core.submit(&console(), create(&core)).await.expect_err("another request");
        assert_eq!(refused.kind, ProblemKind::Exists);
    });
}

#[test]
fn a_disk_that_was_made_and_not_reported_is_ready_after_a_crash() {
    let Some(bed) = Bed::bare() else { return };
    let id = VolumeId::new();
    // As a daemon leaves it that dies between publishing the file and telling.
    let folder = bed.path("pools/local/volumes");
    std::fs::create_dir_all(&folder).expect("the pool");
    let file = std::fs::File::create(folder.join(format!("{id}.raw"))).expect("the file");
    file.set_len(1 << 20).expect("its size");
    bed.with_core(|core| async move {
        let volume = CreateVolume { name: "data".into(), size_bytes: 1 << 20, format: DiskFormat::Raw };
        let create = Command::Volume(VolumeCommand::Create { id, host: core.host(), volume });
        let outcome = core.submit(&console(), create).await.expect("accepted");
        succeeded(&core, outcome.task.expect("a task")).await;
        assert_eq!(
            core.volumes(&ListParams::default()).await.expect("volumes").items[0].volume.status.phase,
            Phase::Ready
        );
    });
}
