//! A machine's whole life, as a person lives it with it.

use crate::bed::*;
use hostd_core::{ConsoleKind, ConsoleMode, Core};
use hostd_types::command::*;
use hostd_types::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[test]
fn a_machine_is_made_used_edited_and_deleted() {
    let Some(bed) = Bed::full() else { return };
    let check = &bed;
    bed.with_core(|core| async move {
        let network = default_network(&core).await;
        let image = uploaded(&core, "guest", &guest()).await;
        let mut body = plain("web");
        body.disks = vec![over(image.id), blank(64 << 20)];
        body.nics =
            vec![NewNic { network, mac: None, model: NicModel::Virtio, options: NicOptions::default() }];
        body.start = true;
        let id = created(&core, body).await;
        let detail = core.vm_detail(id).await.expect("detail");
        assert_eq!(detail.vm.status.state, VmState::Running);
        assert_eq!(detail.vm.status.drift, Vec::<String>::new());
        assert_eq!(detail.disks.len(), 2);
        assert_eq!(detail.disks[0].image_name.as_deref(), Some("guest"));
        assert_eq!(detail.disks[0].volume.spec.name, "web-disk0");
        assert!(detail.nics[0].network.is_some() && detail.task.is_none());
        consoles(&core, id).await;
        powers(&core, id).await;
        edits(&core, id).await;
        leaving(&core, id, image.id, check).await;
    });
}

async fn consoles(core: &Core, id: VmId) {
    let ticket = core
        .console_ticket(&console(), id, ConsoleKind::Serial, ConsoleMode::Control)
        .await
        .expect("a ticket");
    let mut serial = core.open_console(&ticket.ticket).await.expect("the serial port").io;
    core.open_console(&ticket.ticket).await.expect_err("a ticket opens one console");
    expect(&mut serial, GREETING).await;
    serial.write_all(b"typed here").await.expect("input");
    expect(&mut serial, "typed here").await;
    let ticket =
        core.console_ticket(&console(), id, ConsoleKind::Vnc, ConsoleMode::Control).await.expect("a ticket");
    let mut screen = core.open_console(&ticket.ticket).await.expect("the screen").io;
    expect(&mut screen, "RFB 003.008").await;
}

/// Reads until `text` came.
async fn expect(io: &mut (impl AsyncReadExt + Unpin), text: &str) {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    let read = async {
        while !String::from_utf8_lossy(&seen).contains(text) {
            let length = io.read(&mut buffer).await.expect("bytes");
            assert!(length > 0, "the console ended after {:?}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&buffer[..length]);
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("{text} did not come"));
}

/// Types until the guest echoes: it has booted.
async fn answers(core: &Core, id: VmId) {
    let ticket = core
        .console_ticket(&console(), id, ConsoleKind::Serial, ConsoleMode::Control)
        .await
        .expect("a ticket");
    let serial = core.open_console(&ticket.ticket).await.expect("the serial port").io;
    let (mut from, mut to) = tokio::io::split(serial);
    let word = format!("ping {}", RequestId::new());
    let typing = async {
        loop {
            to.write_all(word.as_bytes()).await.expect("input");
            tokio::time::sleep(std::time::Duration::from_millis(500)).await; // between two tries
        }
    };
    tokio::select! {
        () = typing => {}
        () = expect(&mut from, &word) => {}
    }
}

async fn powers(core: &Core, id: VmId) {
    powered(core, id, PowerAction::Pause).await;
    assert_eq!(core.vm(id).await.expect("vm").status.state, VmState::Paused);
    let refused = core.submit(&console(), power(id, PowerAction::Shutdown, 5)).await.expect_err("paused");
    assert!(refused.detail.contains("web is paused"), "{refused}");
    powered(core, id, PowerAction::Resume).await;
    powered(core, id, PowerAction::Reset).await;
    answers(core, id).await;
    powered(core, id, PowerAction::Reboot).await;
    answers(core, id).await;
    assert_eq!(core.vm(id).await.expect("vm").status.state, VmState::Running);
    let busy = VmCommand::Delete { id, expect: None, disks: true };
    let refused = core.submit(&console(), Command::Vm(busy)).await.expect_err("running");
    assert_eq!(refused.kind, ProblemKind::WrongState);
    powered(core, id, PowerAction::Shutdown).await;
    let vm = becomes(core, id, VmState::Off).await;
    assert_eq!(vm.status.reason.as_deref(), Some("guest shut down"));
    core.console_ticket(&console(), id, ConsoleKind::Vnc, ConsoleMode::Control).await.expect_err("off");
}

async fn edits(core: &Core, id: VmId) {
    let edit = EditVm { name: Some("shop".into()), memory_mib: Some(48), ..EditVm::default() };
    let command = |edit| Command::Vm(VmCommand::Edit { id, expect: None, edit });
    core.submit(&console(), command(edit)).await.expect("an edit while off");
    powered(core, id, PowerAction::Start).await;
    let vm = core.find_vm("SHOP").await.expect("by its new name");
    assert_eq!((vm.status.drift.len(), vm.status.applied_generation), (0, vm.meta.generation));
    let later = command(EditVm { cpus: Some(2), ..EditVm::default() });
    core.submit(&console(), later).await.expect("it waits for the power-off");
    let waits = || async { !core.vm(id).await.expect("vm").status.pending.is_empty() };
    until(core, "the CPUs wait", || async { waits().await.then_some(()) }).await;
    let iso = uploaded(core, "cd", &iso9660()).await;
    let insert = EditVm {
        description: Some("a \"quoted\" <text> & more".into()),
        cdrom: Some(CdromChange::Insert { image: iso.id }),
        ..EditVm::default()
    };
    core.submit(&console(), command(insert)).await.expect("a light edit");
    until(core, "the CD is in the drive", || async {
        let vm = core.vm(id).await.expect("vm");
        let current = vm.status.applied_generation == vm.meta.generation;
        (current && vm.status.drift.is_empty()).then_some(())
    })
    .await;
    let delete = Command::Image(ImageCommand::Delete { id: iso.id });
    let refused = core.submit(&console(), delete).await.expect_err("in a drive");
    assert!(refused.detail.contains("shop"), "{refused}");
    powered(core, id, PowerAction::ForceOff).await;
    let vm = core.vm(id).await.expect("vm");
    assert_eq!((vm.status.state, vm.status.reason.as_deref()), (VmState::Off, Some("forced off")));
    until(core, "nothing waits any more", || async { (!waits().await).then_some(()) }).await;
}

/// The smallest thing that is an ISO.
fn iso9660() -> Vec<u8> {
    let mut iso = vec![0; 18 * 2048];
    iso[16 * 2048..16 * 2048 + 7].copy_from_slice(b"\x01CD001\x01");
    iso[16 * 2048 + 80..16 * 2048 + 84].copy_from_slice(&18_u32.to_le_bytes());
    iso[16 * 2048 + 84..16 * 2048 + 88].copy_from_slice(&18_u32.to_be_bytes());
    iso[16 * 2048 + 128..16 * 2048 + 130].copy_from_slice(&2048_u16.to_le_bytes());
    iso[16 * 2048 + 130..16 * 2048 + 132].copy_from_slice(&2048_u16.to_be_bytes());
    iso[17 * 2048..17 * 2048 + 7].copy_from_slice(b"\xffCD001\x01");
    iso
}

async fn leaving(core: &Core, id: VmId, image: ImageId, bed: &Bed) {
    let delete_image = || Command::Image(ImageCommand::Delete { id: image });
    let refused = core.submit(&console(), delete_image()).await.expect_err("it backs a disk");
    assert_eq!(refused.kind, ProblemKind::Conflict);
    deleted(core, id, false).await;
    core.vm(id).await.expect_err("it is gone");
    assert!(!bed.virsh(&["list", "--all", "--name"]).contains("shop"));
    let left = core.volumes(&ListParams::default()).await.expect("volumes").items;
    assert_eq!((left.len(), bed.files("volumes").len()), (2, 2));
    core.submit(&console(), delete_image()).await.expect_err("disks that stayed need it");
    let mut again = plain("again");
    again.disks = vec![NewDisk::Volume {
        volume: left[0].volume.id,
        bus: DiskBus::Sata,
        options: DiskOptions::default(),
    }];
    let again = created(core, again).await;
    deleted(core, again, true).await;
    let task = ask(core, Command::Volume(VolumeCommand::Delete { id: left[1].volume.id })).await;
    succeeded(core, task).await;
    assert_eq!(bed.files("volumes"), Vec::<String>::new());
    succeeded(core, ask(core, delete_image()).await).await;
    assert!(!bed.files("images").iter().any(|file| file.starts_with(&image.to_string())));
}
