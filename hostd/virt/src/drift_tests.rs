//! Tables of differences.

use super::*;
use crate::plan::{NicSource, SeenNic};
use hostd_types::{CpuMode, DiskBus, DiskFormat, GuestOs, Headroom, NicModel, VmId, VmState, VolumeId};

fn plan() -> DomainPlan {
    DomainPlan {
        vm: VmId::new(),
        name: "web".into(),
        description: String::new(),
        generation: 1,
        cpus: 2,
        guest_os: GuestOs::Linux,
        seed: Some(crate::SeedDrive::Cdrom),
        cpu_mode: CpuMode::Flexible,
        topology: CpuTopology::default(),
        machine_type: Some("pc-q35-10.0".into()),
        memory_mib: 1024,
        headroom: Headroom::default(),
        firmware: Firmware::Bios,
        boot: default_boot(),
        kvm: false,
        disks: vec![DiskSource {
            volume: VolumeId::new(),
            path: "/pool/a.qcow2".into(),
            format: DiskFormat::Qcow2,
            bus: DiskBus::Virtio,
            slot: 0,
            changing: false,
        }],
        cdrom: None,
        nics: vec![NicSource {
            bridge: "qx0".into(),
            mac: "52:54:00:AA:bb:01".into(),
            model: NicModel::Virtio,
            plugged: true,
            changing: false,
        }],
        leaving_disks: Vec::new(),
        leaving_nics: Vec::new(),
    }
}

fn disk(path: &str) -> SeenDisk {
    SeenDisk { path: path.into(), target: "vda".into() }
}

fn same() -> DomainShape {
    DomainShape {
        name: "web".into(),
        cpus: 2,
        seed: true,
        cpus_max: 2,
        cpus_given: Some(2),
        cpu_mode: None,
        topology: Some(CpuTopology::default()),
        machine_type: "pc-q35-10.0".into(),
        memory_mib: 1024,
        memory_max_mib: 1024,
        firmware: Firmware::Bios,
        boot: default_boot(),
        disks: vec![disk("/pool/a.qcow2")],
        cdrom: None,
        nics: vec![SeenNic { mac: "52:54:00:aa:bb:01".into(), bridge: "qx0".into(), plugged: true }],
    }
}

fn drift_of(plan: &DomainPlan, shape: DomainShape, state: VmState) -> Vec<String> {
    drift(plan, &domain(plan, shape, state))
}

fn domain(plan: &DomainPlan, shape: DomainShape, state: VmState) -> SeenDomain {
    SeenDomain { vm: plan.vm, state, reason: None, generation: Some(1), persistent: true, shape, saved: None }
}

#[test]
fn every_difference_is_told_in_words_and_equality_is_silent() {
    let none: Vec<String> = Vec::new();
    assert_eq!(drift_of(&plan(), same(), VmState::Off), none);
    type Change = fn(&mut DomainShape);
    let cases: [(Change, &[&str]); 14] = [
        (|s| s.seed = false, &["the customization drive is missing"]),
        (|s| s.name = "db".into(), &["the name is db, wanted web"]),
        (|s| (s.cpus, s.cpus_max) = (1, 1), &["virtual CPUs are 1, wanted 2"]),
        (|s| s.boot.truncate(1), &["the boot order is disk, wanted disk, CD-ROM, network"]),
        (
            |s| s.topology = Some(CpuTopology { sockets: 2, threads: 1 }),
            &["the CPUs are on 2 sockets with 1 threads a core, wanted 1 sockets with 1 threads a core"],
        ),
        (|s| s.machine_type = "pc-q35-9.2".into(), &["the machine type is pc-q35-9.2, wanted pc-q35-10.0"]),
        (|s| (s.memory_mib, s.memory_max_mib) = (512, 512), &["memory is 512 MiB, wanted 1024 MiB"]),
        (|s| s.firmware = Firmware::Uefi, &["the firmware is UEFI, wanted BIOS"]),
        (
            |s| s.nics[0].plugged = false,
            &["the cable of network card 52:54:00:AA:bb:01 is pulled, wanted in"],
        ),
        (|s| s.disks.clear(), &["disk a.qcow2 is not attached"]),
        (|s| s.disks.push(disk("/x/b.img")), &["disk b.img is attached, not wanted"]),
        (|s| s.cdrom = Some("/i/x.iso".into()), &["the CD-ROM drive holds x.iso, wanted nothing"]),
        (|s| s.nics[0].bridge = "br0".into(), &["network card 52:54:00:AA:bb:01 is on br0, wanted qx0"]),
        (
            |s| s.nics[0].mac = "52:54:00:00:00:09".into(),
            &[
                "network card 52:54:00:AA:bb:01 is missing",
                "network card 52:54:00:00:00:09 is there, not wanted",
            ],
        ),
    ];
    for (change, told) in cases {
        let mut seen = same();
        change(&mut seen);
        assert_eq!(drift_of(&plan(), seen, VmState::Off), told);
    }
    let bound = DomainShape { cpu_mode: Some(CpuMode::Performance), topology: None, ..same() };
    let told = ["the CPU mode is performance, wanted flexible"];
    assert_eq!(drift_of(&DomainPlan { kvm: true, ..plan() }, bound.clone(), VmState::Off), told);
    assert_eq!(drift_of(&plan(), bound, VmState::Off), none, "in emulation there is no mode");
}

#[test]
fn an_ejected_medium_is_told() {
    let wanted = DomainPlan { cdrom: Some("/i/a.iso".into()), ..plan() };
    let told = drift_of(&wanted, same(), VmState::Running);
    assert_eq!(told, ["the CD-ROM drive is empty, wanted a.iso"]);
}

#[test]
fn what_a_running_machine_gets_at_its_power_off_is_no_drift() {
    let none: Vec<String> = Vec::new();
    let wanted = DomainPlan {
        cpus: 1,
        memory_mib: 2048,
        firmware: Firmware::Uefi,
        boot: vec![BootDevice::Network],
        ..plan()
    };
    let running = domain(&wanted, DomainShape { name: "db".into(), ..same() }, VmState::Running);
    assert_eq!(drift(&wanted, &running), none);
    let told = [
        "CPUs: 1 (now 2)",
        "memory: 2048 MiB (now 1024 MiB)",
        "firmware: UEFI (now BIOS)",
        "boot order: network (now disk, CD-ROM, network)",
    ];
    assert_eq!(pending(&wanted, &running), told);
    assert_eq!(pending(&wanted, &domain(&wanted, same(), VmState::Off)), none);
    let more = DomainShape { cpus: 4, cpus_max: 4, ..same() };
    let theirs = domain(&plan(), more, VmState::Running);
    assert_eq!(drift(&plan(), &theirs), ["virtual CPUs are 4, wanted 2"]);
}

#[test]
fn devices_on_their_way_are_no_drift_and_others_are() {
    let none: Vec<String> = Vec::new();
    let mut coming = plan();
    coming.disks[0].changing = true;
    coming.nics[0].changing = true;
    let bare = DomainShape { disks: Vec::new(), nics: Vec::new(), ..same() };
    assert_eq!(drift_of(&coming, bare.clone(), VmState::Running), none);
    assert_eq!(drift_of(&plan(), bare, VmState::Running).len(), 2);
    let mut going = plan();
    going.leaving_disks = std::mem::take(&mut going.disks);
    going.leaving_nics = std::mem::take(&mut going.nics);
    assert_eq!(drift_of(&going, same(), VmState::Running), none);
    let told = pending(&going, &domain(&going, same(), VmState::Running));
    assert!(told.contains(&"disk vda is detached".to_owned()), "{told:?}");
    let mut late = plan();
    late.disks[0].bus = DiskBus::Sata;
    let empty = domain(&late, DomainShape { disks: Vec::new(), ..same() }, VmState::Running);
    assert_eq!((drift(&late, &empty), pending(&late, &empty)), (none, vec!["disk sdb is attached".into()]));
}

#[test]
fn what_is_kept_for_the_next_start_is_compared_but_for_the_name() {
    let mut running = domain(&plan(), same(), VmState::Running);
    running.saved = Some(DomainShape { name: "old".into(), ..same() });
    assert!(!outdated(&plan(), &running));
    running.saved = Some(DomainShape { disks: Vec::new(), ..same() });
    assert!(outdated(&plan(), &running));
}
