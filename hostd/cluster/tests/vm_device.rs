//! Devices of a machine that exists: what is asked for, and how it comes out.

use crate::cluster_record::raise;
use crate::fixture::*;
use hostd_types::command::*;
use hostd_types::*;

fn change(id: VmId, change: DeviceChange) -> Command {
    Command::Vm(VmCommand::Change { id, expect: None, change })
}

fn changed(id: VmId, task: Option<TaskId>, end: ChangeEnd) -> Command {
    Command::Vm(VmCommand::Changed { id, task: task.expect("a task"), end })
}

fn failed() -> ChangeEnd {
    ChangeEnd::Failed { problem: Problem::new(ProblemKind::Capacity, "no slot is free") }
}

async fn has_failed(f: &Fixture, task: Option<TaskId>) -> bool {
    !matches!(f.task_state(task).await.as_str(), "running" | "succeeded")
}

fn blank() -> NewDisk {
    NewDisk::Blank {
        size_bytes: GIB,
        format: DiskFormat::Qcow2,
        bus: DiskBus::Virtio,
        options: DiskOptions::default(),
    }
}

fn attach(id: VolumeId) -> DeviceChange {
    DeviceChange::AttachDisk { id, disk: blank() }
}

fn card(network: NetworkId, mac: &str) -> DeviceChange {
    DeviceChange::AttachNic {
        nic: NewNic {
            network,
            mac: Some(mac.into()),
            model: NicModel::Virtio,
            options: NicOptions::default(),
        },
    }
}

/// A running machine with two disks, at the level that knows all this.
async fn running_with_two_disks() -> (Fixture, VmId) {
    let f = Fixture::new().await;
    f.ok(raise(LIFE)).await;
    let id = VmId::new();
    f.ok(create(id, f.host, CreateVm { disks: vec![blank(), blank()], ..blank_vm("web") })).await;
    f.ok(vm_report(id, running(), None)).await;
    for volume in f.vm(id).await.spec.disks {
        let status = VolumeStatus { phase: Phase::Ready, fault: None };
        f.ok(Command::Volume(VolumeCommand::Report { id: volume.volume, status })).await;
    }
    (f, id)
}

async fn slots(f: &Fixture, id: VmId) -> Vec<u32> {
    disk_slots(&f.vm(id).await.spec.disks)
}

#[tokio::test]
async fn disks_keep_their_places_and_a_detached_one_its_volume_until_it_is_out() {
    let (f, id) = running_with_two_disks().await;
    let first = f.vm(id).await.spec.disks[0].volume;
    let out = f.ok(change(id, DeviceChange::DetachDisk { volume: first, delete: false })).await;
    assert_eq!(slots(&f, id).await, [1], "the second disk stays where it was");
    let volume = || async { f.cluster.store().volume(first).await.unwrap().expect("the volume") };
    assert_eq!(volume().await.spec.vm, Some(id), "it may still be in the machine");
    let taken = NewDisk::Volume { volume: first, bus: DiskBus::Virtio, options: DiskOptions::default() };
    let again = DeviceChange::AttachDisk { id: VolumeId::new(), disk: taken };
    f.refused(change(id, again)).await;
    let third = VolumeId::new();
    f.ok(change(id, attach(third))).await;
    assert_eq!(slots(&f, id).await, [1, 2], "the place of what is on its way out is not free");

    let later =
        ChangeEnd::Later { problem: Some(Problem::new(ProblemKind::Unavailable, "the guest keeps it")) };
    f.ok(changed(id, out.task, later)).await;
    assert!(has_failed(&f, out.task).await);
    assert_eq!(volume().await.spec.vm, Some(id));
    let kept = SnapshotCommand::Create { vm: id, new: crate::snapshot::new(id, "kept") };
    let refused = f.refused(Command::Snapshot(kept)).await.detail;
    let name = volume().await.spec.name;
    assert!(
        refused.starts_with(&format!("Detaching the disk {name} waits for the next power-off")),
        "{refused}"
    );
    assert!(refused.contains("Shut web down"), "the way out: {refused}");
    f.ok(changed(id, out.task, ChangeEnd::Done)).await;
    assert_eq!(volume().await.spec.vm, None);
    assert!(has_failed(&f, out.task).await, "a task ends once");
    f.ok(change(id, attach(VolumeId::new()))).await;
    assert_eq!(slots(&f, id).await, [1, 2, 0]);
}

#[tokio::test]
async fn a_disk_that_goes_with_its_data_goes_when_it_is_out() {
    let (f, id) = running_with_two_disks().await;
    let first = f.vm(id).await.spec.disks[0].volume;
    let out = f.ok(change(id, DeviceChange::DetachDisk { volume: first, delete: true })).await;
    f.ok(changed(id, out.task, ChangeEnd::Done)).await;
    let volume = f.cluster.store().volume(first).await.unwrap().expect("its file is still there");
    assert_eq!((volume.status.phase, volume.spec.vm), (Phase::Deleting, None));
    assert_eq!(f.task_state(out.task).await, "running");
    f.ok(Command::Volume(VolumeCommand::Deleted { id: first })).await;
    assert_eq!(f.task_state(out.task).await, "succeeded");
}

#[tokio::test]
async fn what_can_t_be_done_is_as_it_was_before() {
    let (f, id) = running_with_two_disks().await;
    let network = f.ready_network("lan", "10.200.0.0/24").await;
    let other = f.ready_network("dmz", "10.201.0.0/24").await;
    let spare = f.ready_volume("spare").await;
    let before = f.vm(id).await.spec;
    let (made, first) = (VolumeId::new(), before.disks[0].volume);
    let existing = NewDisk::Volume { volume: spare, bus: DiskBus::Sata, options: DiskOptions::default() };
    let existing = DeviceChange::AttachDisk { id: VolumeId::new(), disk: existing };
    for wanted in [
        attach(made),
        existing,
        DeviceChange::DetachDisk { volume: first, delete: true },
        DeviceChange::GrowDisk { volume: first, size_bytes: 2 * GIB },
        card(network, "52:54:00:00:00:07"),
    ] {
        let asked = f.ok(change(id, wanted.clone())).await;
        f.ok(changed(id, asked.task, failed())).await;
        assert!(has_failed(&f, asked.task).await, "{wanted:?}");
        let now = f.vm(id).await.spec;
        let volumes = |spec: &VmSpec| spec.disks.iter().map(|d| d.volume).collect::<Vec<_>>();
        assert_eq!(volumes(&now), volumes(&before), "{wanted:?}");
        assert_eq!((now.nics.len(), now.hardware.changes.len()), (0, 0), "{wanted:?}");
    }
    let store = f.cluster.store();
    assert_eq!(store.volume(made).await.unwrap().expect("a row").status.phase, Phase::Deleting);
    assert_eq!(store.volume(spare).await.unwrap().expect("a row").spec.vm, None);
    assert_eq!(store.volume(first).await.unwrap().expect("a row").spec.size_bytes, GIB);
    assert_eq!(store.vms_on_network(network).await.unwrap().len(), 0);

    let asked = f.ok(change(id, card(network, "52:54:00:00:00:07"))).await;
    f.ok(changed(id, asked.task, ChangeEnd::Done)).await;
    let edit = EditNic { network: Some(other), plugged: Some(false), options: None };
    let edit = DeviceChange::EditNic { mac: "52:54:00:00:00:07".into(), edit };
    let moved = f.ok(change(id, edit.clone())).await;
    assert_eq!(store.vms_on_network(other).await.unwrap().len(), 1);
    f.ok(changed(id, moved.task, failed())).await;
    assert_eq!(store.vms_on_network(other).await.unwrap().len(), 0);
    let nic = f.vm(id).await.spec.nics.remove(0);
    assert_eq!((nic.network, nic.unplugged), (network, false));
    let moved = f.ok(change(id, edit)).await;
    f.ok(changed(id, moved.task, ChangeEnd::Done)).await;
    let nic = f.vm(id).await.spec.nics.remove(0);
    assert_eq!((nic.network, nic.unplugged), (other, true));
    let out = f.ok(change(id, DeviceChange::DetachNic { mac: nic.mac })).await;
    assert_eq!(store.vms_on_network(other).await.unwrap().len(), 1, "it may still be in the machine");
    f.ok(changed(id, out.task, ChangeEnd::Done)).await;
    assert_eq!(store.vms_on_network(other).await.unwrap().len(), 0);
}

#[tokio::test]
async fn one_device_is_changed_once_at_a_time_and_deletion_ends_all() {
    let (f, id) = running_with_two_disks().await;
    let first = f.vm(id).await.spec.disks[0].volume;
    let grow = |size_bytes| change(id, DeviceChange::GrowDisk { volume: first, size_bytes });
    for size in [0, GIB - 1, GIB] {
        let problem = f.refused(grow(size)).await;
        assert!(problem.at("/size_bytes").is_some(), "{problem:?}");
    }
    let asked = f.ok(grow(2 * GIB)).await;
    assert_eq!(f.refused(grow(3 * GIB)).await.kind, ProblemKind::WrongState);
    f.ok(vm_report(id, off(), None)).await;
    f.ok(Command::Vm(VmCommand::Delete { id, expect: None, disks: true })).await;
    assert!(has_failed(&f, asked.task).await);
    f.refused(changed(id, asked.task, ChangeEnd::Done)).await;
    f.ok(Command::Vm(VmCommand::Deleted { id })).await;
    assert_eq!(f.cluster.store().volume(first).await.unwrap(), None);
}

#[tokio::test]
async fn a_running_machine_takes_every_setting_where_all_members_know_that() {
    let (f, id) = running_with_two_disks().await;
    let hard = EditVm {
        name: Some("web2".into()),
        cpus: Some(2),
        memory_mib: Some(512),
        headroom: Some(Headroom { cpus_max: Some(4), ..Headroom::default() }),
        firmware: Some(Firmware::Uefi),
        ..EditVm::default()
    };
    f.ok(edit(id, None, hard)).await;
    let vm = f.vm(id).await;
    assert_eq!((vm.spec.cpus, vm.spec.firmware, vm.meta.generation), (2, Firmware::Uefi, 2));
    assert_eq!(vm.spec.hardware.headroom.cpus_max, Some(4));
}

#[tokio::test]
async fn below_its_level_no_device_changes() {
    let f = Fixture::new().await;
    let id = f.ready_vm("web").await;
    let problem = f.refused(change(id, attach(VolumeId::new()))).await;
    assert_eq!(problem.kind, ProblemKind::WrongState);
}

fn pass(device: &HostDevice) -> DeviceChange {
    let asked = AttachHostDevice { device: device.id.clone(), follow: None };
    DeviceChange::AttachHostDevice { asked, found: Some(device.clone()) }
}

#[tokio::test]
async fn a_device_of_the_host_is_one_machine_s_until_it_has_let_go() {
    let (f, id) = running_with_two_disks().await;
    let (device, other) = (crate::machine_commands::host_device(), VmId::new());
    f.ok(create(other, f.host, blank_vm("db"))).await;
    f.ok(vm_report(other, running(), None)).await;
    let attached = f.ok(change(id, pass(&device))).await;
    let passed = async |id| f.vm(id).await.spec.hardware.host_devices;
    assert_eq!(passed(id).await, std::slice::from_ref(&device));
    for vm in [id, other] {
        let refusal = f.refused(change(vm, pass(&device))).await;
        assert!(refusal.at("/device").is_some_and(|detail| detail.contains("web has")), "{refusal}");
    }
    let detach = || DeviceChange::DetachHostDevice { device: device.id.clone() };
    f.refused(change(id, detach())).await; // it is being attached
    f.ok(changed(id, attached.task, ChangeEnd::Done)).await;
    let out = f.ok(change(id, detach())).await;
    assert_eq!(passed(id).await, []);
    f.refused(change(other, pass(&device))).await; // it may still be in the first one
    f.ok(changed(id, out.task, failed())).await;
    assert_eq!(passed(id).await, std::slice::from_ref(&device), "it could not be detached");
    let out = f.ok(change(id, detach())).await;
    f.ok(changed(id, out.task, ChangeEnd::Done)).await;
    let attached = f.ok(change(other, pass(&device))).await;
    f.ok(changed(other, attached.task, failed())).await;
    assert_eq!(passed(other).await, [], "it could not be attached");
    let asked = AttachHostDevice { device: "usb-9-9".into(), follow: None };
    f.refused(change(id, DeviceChange::AttachHostDevice { asked, found: None })).await;
}

#[tokio::test]
async fn options_of_a_disk_change_and_go_back_when_they_can_t() {
    let (f, id) = running_with_two_disks().await;
    let before = f.vm(id).await.spec.disks[0].clone();
    let wanted = crate::machine_commands::disk_options();
    let tune = || DeviceChange::EditDisk { volume: before.volume, options: wanted.clone() };
    let asked = f.ok(change(id, tune())).await;
    assert_eq!(f.vm(id).await.spec.disks[0].options, wanted);
    assert_eq!(f.refused(change(id, tune())).await.kind, ProblemKind::WrongState, "one at a time");
    f.ok(changed(id, asked.task, failed())).await;
    assert_eq!(f.vm(id).await.spec.disks[0].options, before.options);
    let asked = f.ok(change(id, tune())).await;
    f.ok(changed(id, asked.task, ChangeEnd::Done)).await;
    let now = f.vm(id).await.spec;
    assert_eq!((&now.disks[0].options, now.hardware.changes.len()), (&wanted, 0));
}

#[tokio::test]
async fn what_each_request_alone_has_room_for_is_counted_together() {
    let (f, id) = running_with_two_disks().await;
    let status = HostStatus { level: LEVEL, threads: Some(2), ..HostStatus::default() };
    f.ok(Command::Host(HostCommand::Report { id: f.host, name: "h".into(), status })).await;
    let reserving = |percent| VmOptions {
        cpu_share: CpuShare { reservation_percent: Some(percent), ..CpuShare::default() },
        ..VmOptions::default()
    };
    let new = |name: &str, percent| {
        create(VmId::new(), f.host, CreateVm { options: reserving(percent), ..blank_vm(name) })
    };
    f.ok(new("a", 150)).await;
    let refused = f.refused(new("b", 51)).await;
    let pointer = "/options/cpu_share/reservation_percent";
    assert!(refused.at(pointer).expect("the field").contains("at most 50 %"), "{refused}");
    f.ok(new("b", 50)).await;
    let options = EditVm { options: Some(reserving(1)), ..EditVm::default() };
    assert!(f.refused(edit(id, None, options)).await.at(pointer).is_some());

    let place = |boot| DiskOptions { boot: Some(boot), ..DiskOptions::default() };
    let volume: Vec<VolumeId> = f.vm(id).await.spec.disks.iter().map(|disk| disk.volume).collect();
    f.ok(change(id, DeviceChange::EditDisk { volume: volume[0], options: place(1) })).await;
    let twice = DeviceChange::EditDisk { volume: volume[1], options: place(1) };
    assert!(f.refused(change(id, twice)).await.at("/options/boot").is_some());
    for _ in 2..DISKS_MAX {
        f.ok(change(id, attach(VolumeId::new()))).await;
    }
    assert!(f.refused(change(id, attach(VolumeId::new()))).await.detail.contains("the most"));
}
