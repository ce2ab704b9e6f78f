//! Tables of differences.

use super::*;
use crate::plan::{HostParts, NicSource, SeenDrive, SeenNic};
use hostd_types::{
    CpuMode, CpuModel, DiskBus, DiskFormat, GuestOs, Headroom, HostDevice, KnownBy, NicModel, VmId, VmState,
    VolumeId, default_boot,
};

pub(crate) fn plan() -> DomainPlan {
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
        options: Default::default(),
        boot: default_boot(),
        kvm: false,
        disks: vec![DiskSource {
            volume: VolumeId::new(),
            path: "/pool/a.qcow2".into(),
            format: DiskFormat::Qcow2,
            bus: DiskBus::Virtio,
            slot: 0,
            options: Default::default(),
            changing: false,
        }],
        cdrom: None,
        more_cdroms: Vec::new(),
        nics: vec![NicSource {
            bridge: "qx0".into(),
            mac: "52:54:00:AA:bb:01".into(),
            model: NicModel::Virtio,
            plugged: true,
            options: Default::default(),
            changing: false,
        }],
        leaving_disks: Vec::new(),
        leaving_nics: Vec::new(),
        host: HostParts::default(),
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
        cpu_model: None,
        topology: Some(CpuTopology::default()),
        machine_type: "pc-q35-10.0".into(),
        memory_mib: 1024,
        memory_max_mib: 1024,
        firmware: Firmware::Bios,
        boot: default_boot(),
        disks: vec![disk("/pool/a.qcow2")],
        cdrom: None,
        more_cdroms: Vec::new(),
        nics: vec![SeenNic { mac: "52:54:00:aa:bb:01".into(), bridge: "qx0".into(), plugged: true }],
        facets: Default::default(),
        host_devices: Vec::new(),
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
fn drives_come_and_go_at_a_power_off_and_their_media_at_once() {
    let none: Vec<String> = Vec::new();
    let drive =
        |target: &str, file: Option<&str>| SeenDrive { target: target.into(), file: file.map(Into::into) };
    let wanted = DomainPlan { more_cdroms: vec![Some("/i/a.iso".into()), Some("/i/b.iso".into())], ..plan() };
    let one = DomainShape { more_cdroms: vec![drive("sdb", Some("/i/b.iso"))], ..same() };
    let waits = ["CD-ROM drives: 3 (now 2)"];
    assert_eq!(pending(&wanted, &domain(&wanted, one.clone(), VmState::Running)), waits);
    let holds = "the CD-ROM drive 2 holds b.iso, wanted a.iso";
    assert_eq!(drift_of(&wanted, one.clone(), VmState::Running), [holds]);
    assert_eq!(drift_of(&wanted, one.clone(), VmState::Off), ["CD-ROM drives are 2, wanted 3", holds]);
    let changes = media_changes(&plan(), &one);
    let targets: Vec<_> =
        changes.iter().map(|change| (change.target.as_str(), change.wanted.clone())).collect();
    assert_eq!(targets, [("sdb", None)], "one that goes is emptied before");
    let leaving = DomainShape { more_cdroms: vec![drive("sdb", None)], ..same() };
    assert_eq!(drift_of(&plan(), leaving.clone(), VmState::Running), none);
    assert_eq!(pending(&plan(), &domain(&plan(), leaving, VmState::Running)), ["CD-ROM drives: 1 (now 2)"]);
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

#[test]
fn usb_devices_of_the_host_follow_at_once_and_pci_devices_at_the_power_off() {
    let ids = ("8086".to_owned(), "1533".to_owned());
    let source = |id: &str, known_by| HostSource {
        device: HostDevice { id: id.into(), name: "Thing".into(), known_by },
        usb: None,
        changing: false,
    };
    let (vendor_id, product_id) = ids.clone();
    let pci = KnownBy::Pci { address: "0000:01:00.0".into(), vendor_id, product_id };
    let (vendor_id, product_id) = ids;
    let usb = KnownBy::UsbPort { port: "1-2".into(), vendor_id, product_id };
    let (pci, usb) = (source("pci-0000:01:00.0", pci), source("usb-1-2", usb));
    let with = |devices: Vec<HostSource>, leaving: Vec<HostSource>| DomainPlan {
        host: HostParts { devices, leaving, ..HostParts::default() },
        ..plan()
    };
    let has = |aliases: &[&str]| DomainShape {
        host_devices: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        ..same()
    };
    let (both, aliases) =
        (with(vec![pci.clone(), usb.clone()], Vec::new()), ["ua-pci-0000-01-00-0", "ua-usb-1-2"]);
    for state in [VmState::Off, VmState::Running] {
        assert_eq!(drift_of(&both, has(&aliases), state), Vec::<String>::new());
    }
    assert_eq!(drift_of(&both, has(&[]), VmState::Off).len(), 2);
    let running = drift_of(&both, has(&[]), VmState::Running);
    assert_eq!(running, ["the USB device Thing (8086:1533) in port 1-2 is not attached"]);
    let waits = pending(&both, &domain(&both, has(&[]), VmState::Running));
    assert_eq!(waits, ["the PCI device 0000:01:00.0, Thing (8086:1533) is attached"]);
    let gone = with(Vec::new(), vec![pci, usb]);
    assert_eq!(drift_of(&gone, has(&aliases), VmState::Running), Vec::<String>::new(), "on their way out");
    assert_eq!(pending(&gone, &domain(&gone, has(&aliases), VmState::Running)).len(), 2);
    assert_eq!(drift_of(&gone, has(&aliases), VmState::Off).len(), 2);
    let foreign = drift_of(&plan(), has(&["pci 0x02"]), VmState::Running);
    assert_eq!(foreign, ["the host's device pci 0x02 is attached, not wanted"]);
}

#[test]
fn another_processor_of_the_cluster_waits_for_the_power_off() {
    let model = CpuModel { name: "Westmere".into(), requires: vec!["pcid".into()], disables: Vec::new() };
    let plan =
        DomainPlan { kvm: true, host: HostParts { cpu: Some(model), ..HostParts::default() }, ..plan() };
    let seen = DomainShape { cpu_mode: Some(CpuMode::Flexible), ..same() };
    let waits = pending(&plan, &domain(&plan, seen.clone(), VmState::Running));
    assert_eq!(waits, ["processor: Westmere +pcid (now the host's own)"]);
    assert_eq!(drift_of(&plan, seen.clone(), VmState::Running), Vec::<String>::new());
    assert_eq!(drift_of(&plan, seen.clone(), VmState::Off).len(), 1, "it is defined again");
    let has = DomainShape { cpu_model: Some("Westmere +pcid".into()), ..seen.clone() };
    assert_eq!(pending(&plan, &domain(&plan, has, VmState::Running)), Vec::<String>::new());
    let performance = DomainPlan { cpu_mode: CpuMode::Performance, ..plan.clone() };
    let bound = DomainShape { cpu_mode: Some(CpuMode::Performance), ..seen.clone() };
    assert_eq!(drift_of(&performance, bound, VmState::Off), Vec::<String>::new());
    let emulated = DomainPlan { kvm: false, ..plan };
    assert_eq!(
        drift_of(&emulated, DomainShape { cpu_mode: None, ..seen }, VmState::Off),
        Vec::<String>::new()
    );
}
