//! The XML of a few plans, word for word. `GOLDEN=write` writes the files anew.

use super::*;
use crate::definition;
use crate::drift::drift;
use crate::observe::SeenDomain;
use crate::plan::{DiskSource, HostParts, HostSource, NicSource, ShareSource};
use hostd_types::*;
use proptest::prelude::*;

fn plan(kvm: bool) -> DomainPlan {
    let id =
        |last: u8| uuid::Uuid::from_bytes([1, 0x92, 3, 4, 5, 6, 0x70, 8, 0x89, 10, 11, 12, 13, 14, 15, last]);
    let disk = |last: u8, format: DiskFormat, bus| DiskSource {
        volume: VolumeId::from_uuid(id(last)),
        path: format!("/data/pools/local/volumes/{last}.{}", format.as_str()).into(),
        format,
        bus,
        slot: 0,
        options: Default::default(),
        changing: false,
    };
    let nic = |mac: &str, model| NicSource {
        bridge: "qx0".into(),
        mac: mac.into(),
        model,
        plugged: true,
        options: Default::default(),
        changing: false,
    };
    DomainPlan {
        vm: VmId::from_uuid(id(0)),
        name: "web-1".into(),
        description: "for \"tests\" & <more>\r\nline two".into(),
        generation: 7,
        cpus: 2,
        guest_os: GuestOs::Other,
        cpu_mode: CpuMode::Flexible,
        topology: CpuTopology::default(),
        machine_type: kvm.then(|| "pc-q35-10.0".into()),
        seed: kvm.then_some(crate::SeedDrive::Cdrom),
        memory_mib: 2048,
        headroom: Headroom::default(),
        firmware: if kvm { Firmware::Uefi } else { Firmware::Bios },
        options: Default::default(),
        boot: vec![BootDevice::Cdrom, BootDevice::Disk],
        kvm,
        disks: vec![disk(1, DiskFormat::Qcow2, DiskBus::Virtio), disk(2, DiskFormat::Raw, DiskBus::Sata)],
        cdrom: Some("/data/pools/local/images/i.img".into()),
        more_cdroms: Vec::new(),
        nics: vec![nic("52:54:00:00:00:01", NicModel::Virtio), nic("52:54:00:00:00:02", NicModel::E1000)],
        leaving_disks: Vec::new(),
        leaving_nics: Vec::new(),
        host: HostParts::default(),
    }
}

/// Every option at once.
fn equipped() -> DomainPlan {
    let mut plan = plan(true);
    let rate = Some(Rate { per_second: 100, burst: Some(200), burst_seconds: None });
    plan.disks[0].options = DiskOptions {
        cache: Some(DiskCache::Directsync),
        io: Some(DiskIo::Native),
        discard: false,
        boot: Some(2),
        limits: DiskLimits { read_iops: rate, ..DiskLimits::default() },
    };
    plan.disks[0].bus = DiskBus::Scsi;
    plan.disks[1].bus = DiskBus::Nvme;
    let limit = Some(Bandwidth { average_kib: 100, peak_kib: Some(200), burst_kib: Some(64) });
    plan.nics[1].model = NicModel::E1000e;
    plan.nics[1].options = NicOptions { boot: Some(1), inbound: limit, outbound: limit };
    plan.firmware = Firmware::UefiSecure;
    plan.options = VmOptions {
        tpm: true,
        cpu_share: CpuShare { shares: Some(200), limit_percent: Some(150), reservation_percent: Some(50) },
        serial_ports: 2,
        channels: vec!["com.example.0".into()],
        rng: RngDevice { off: false, bytes_per_second: Some(1024) },
        watchdog: Some(WatchdogDevice { model: WatchdogModel::I6300esb, action: WatchdogAction::Pause }),
        video: VideoDevice { model: VideoModel::Qxl, memory_mib: Some(32), heads: Some(2) },
        on_crash: OnCrash::Restart,
        memory: MemoryBacking::default(),
    };
    plan
}

/// Memory of huge pages, divided among nodes.
fn divided() -> DomainPlan {
    let memory = MemoryBacking { huge_pages: Some(HugePageSize::OneGib), numa_nodes: Some(2) };
    let headroom = Headroom { cpus_max: Some(4), ..Headroom::default() };
    DomainPlan { headroom, options: VmOptions { memory, ..VmOptions::default() }, ..plan(false) }
}

/// Two shared folders.
fn sharing(plan: DomainPlan) -> DomainPlan {
    let share = |tag: &str, folder: &str| ShareSource {
        tag: tag.into(),
        dir: Path::new("/data/pools/local/shares").join(folder),
    };
    let shares = vec![share("docs", "team-docs"), share("x.y_z-1", "b")];
    DomainPlan { host: HostParts { shares, ..HostParts::default() }, ..plan }
}

#[test]
fn shared_folders_are_read_back() {
    for (wanted, other) in [(sharing(plan(false)), plan(false)), (divided(), sharing(divided()))] {
        let read = definition::read(&domain_xml(&wanted, &around(&wanted))).expect("readable");
        let seen = |state| SeenDomain {
            vm: wanted.vm,
            state,
            reason: None,
            generation: Some(7),
            persistent: true,
            shape: read.shape.clone(),
            saved: None,
        };
        assert_eq!(drift(&wanted, &seen(VmState::Off)), Vec::<String>::new());
        assert_eq!(drift(&other, &seen(VmState::Running)), Vec::<String>::new(), "that waits");
        let waits = crate::drift::pending(&other, &seen(VmState::Running));
        assert_eq!(waits.len(), 1, "{waits:?}");
        assert!(waits[0].contains("shared folders") && waits[0].contains("docs (team-docs), x.y_z-1 (b)"));
    }
}

#[test]
fn what_the_memory_is_made_of_is_read_back() {
    let facets = |plan| definition::read(&domain_xml(plan, &around(plan))).expect("readable").shape.facets;
    let (divided, plain) = (facets(&divided()), facets(&plan(false)));
    for (facets, pages, nodes) in [(divided, "1 GiB", "2"), (plain, "none", "1")] {
        assert_eq!((facets["huge pages"].as_str(), facets["NUMA nodes"].as_str()), (pages, nodes));
    }
}

#[test]
fn every_option_is_read_back_from_the_definition_made_of_it() {
    let (wanted, none) = (equipped(), Vec::<String>::new());
    let read = definition::read(&domain_xml(&wanted, &around(&wanted))).expect("readable");
    let seen = |shape| SeenDomain {
        vm: wanted.vm,
        state: VmState::Off,
        reason: None,
        generation: Some(7),
        persistent: true,
        shape,
        saved: None,
    };
    assert_eq!(drift(&wanted, &seen(read.shape.clone())), none);
    let bare = self::plan(true);
    let facets = definition::read(&domain_xml(&bare, &around(&bare))).expect("readable").shape.facets;
    let told = drift(&wanted, &seen(crate::plan::DomainShape { facets, ..read.shape }));
    for option in [
        "TPM: none, wanted 2.0",
        "watchdog: none, wanted i6300esb, pause",
        "graphics card: vga, 16 MiB, wanted qxl, 32 MiB, 2 screens",
        "random numbers: on, wanted 1024 bytes a second",
        "serial ports: 1, wanted 3",
        "channels: none, wanted com.example.0",
        "on a crash: destroy, wanted restart",
        "CPU shares: default, wanted 200",
        "CPU limit: none, wanted 150 %",
        "model of card 52:54:00:00:00:02: e1000, wanted e1000e",
        "limits of card 52:54:00:00:00:02: none, wanted in 100 KiB/s, peak 200, burst 64; out 100 KiB/s, peak 200, burst 64",
    ] {
        assert!(told.iter().any(|line| line == option), "{option}: {told:#?}");
    }
}

fn around(plan: &DomainPlan) -> Surroundings {
    Surroundings {
        run_dir: Path::new("/run/quantix/vm").join(plan.vm.to_string()),
        direct: vec![true, false],
    }
}

fn assert_golden(name: &str, xml: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/xml").join(name);
    if std::env::var_os("GOLDEN").is_some() {
        std::fs::write(&file, xml).expect("write the golden file");
    }
    let golden = std::fs::read_to_string(&file).expect("the golden file");
    assert_eq!(xml, golden, "{name}");
}

#[test]
fn the_xml_is_as_agreed() {
    for (name, kvm) in [("emulated-bios.xml", false), ("kvm-uefi.xml", true)] {
        assert_golden(name, &domain_xml(&plan(kvm), &around(&plan(kvm))));
    }
    let arranged = DomainPlan {
        cpus: 8,
        cpu_mode: CpuMode::Performance,
        topology: CpuTopology { sockets: 2, threads: 2 },
        ..plan(true)
    };
    assert_golden("kvm-performance.xml", &domain_xml(&arranged, &around(&arranged)));
    let windows = DomainPlan { guest_os: GuestOs::Windows11, ..plan(true) };
    assert_golden("kvm-windows.xml", &domain_xml(&windows, &around(&windows)));
    let roomy = DomainPlan {
        topology: CpuTopology { sockets: 2, threads: 1 },
        headroom: Headroom { cpus_max: Some(4), memory_max_mib: Some(4096), memory_min_mib: None },
        disks: vec![DiskSource { slot: 3, ..plan(false).disks.remove(0) }],
        nics: vec![NicSource { plugged: false, ..plan(false).nics.remove(0) }],
        ..plan(false)
    };
    assert_golden("headroom.xml", &domain_xml(&roomy, &around(&roomy)));
    assert_golden("options.xml", &domain_xml(&equipped(), &around(&equipped())));
    let watchdog = Some(WatchdogDevice { model: WatchdogModel::Itco, action: WatchdogAction::Dump });
    let watched = DomainPlan { options: VmOptions { watchdog, ..VmOptions::default() }, ..plan(true) };
    assert_golden("watchdog-dump.xml", &domain_xml(&watched, &around(&watched)));
    let divided = divided();
    assert_golden("memory.xml", &domain_xml(&divided, &around(&divided)));
    for (name, plan) in [("shares.xml", plan(true)), ("shares-memory.xml", divided)] {
        let plan = sharing(plan);
        assert_golden(name, &domain_xml(&plan, &around(&plan)));
    }
    let passed = DomainPlan {
        host: HostParts { devices: host_devices().into(), ..HostParts::default() },
        ..plan(false)
    };
    assert_golden("host-devices.xml", &domain_xml(&passed, &around(&passed)));
    let model = CpuModel {
        name: "Skylake-Server-IBRS".into(),
        requires: vec!["md-clear".into()],
        disables: vec!["hle".into()],
    };
    let common = DomainPlan { host: HostParts { cpu: Some(model), ..HostParts::default() }, ..plan(true) };
    assert_golden("kvm-common.xml", &domain_xml(&common, &around(&common)));
    let bare = DomainPlan {
        description: String::new(),
        boot: Vec::new(),
        disks: Vec::new(),
        cdrom: None,
        more_cdroms: Vec::new(),
        nics: Vec::new(),
        ..plan(false)
    };
    assert_golden("bare.xml", &domain_xml(&bare, &around(&bare)));
}

/// A card, a USB device that is plugged in and one that is not.
fn host_devices() -> [HostSource; 3] {
    let ids = || ("0781".to_owned(), "5581".to_owned());
    let of = |id: &str, known_by, usb| HostSource {
        device: HostDevice { id: id.into(), name: "a device".into(), known_by },
        usb,
        changing: false,
    };
    let pci =
        KnownBy::Pci { address: "0000:01:00.1".into(), vendor_id: "8086".into(), product_id: "1533".into() };
    let (vendor_id, product_id) = ids();
    let port = KnownBy::UsbPort { port: "1-2.3".into(), vendor_id, product_id };
    let (vendor_id, product_id) = ids();
    let serial = KnownBy::UsbSerial { serial: "4C53".into(), vendor_id, product_id };
    [
        of("pci-0000:01:00.1", pci, None),
        of("usb-1-2.3", port, Some((1, 7))),
        of("usb-0781:5581-4C53", serial, None),
    ]
}

#[test]
fn devices_of_the_host_read_back_by_their_alias_and_others_by_their_place() {
    let planned = DomainPlan {
        host: HostParts { devices: host_devices().into(), ..HostParts::default() },
        ..plan(false)
    };
    let xml = domain_xml(&planned, &around(&planned));
    let aliases = ["ua-pci-0000-01-00-1", "ua-usb-1-2-3", "ua-usb-0781-5581-4C53"];
    assert_eq!(definition::read(&xml).expect("readable").shape.host_devices, aliases);
    let foreign = "<domain><devices><hostdev type='pci'><source><address domain='0x0000' bus='0x02' slot='0x00' \
        function='0x0'/></source><alias name='hostdev0'/></hostdev></devices></domain>";
    let seen = definition::read(foreign).expect("readable").shape.host_devices;
    assert_eq!(seen, ["pci 0x0000:0x02:0x00:0x0"]);
}

proptest! {
    #[test]
    fn whatever_the_text_the_definition_reads_back_as_planned(
        name in any::<String>(),
        description in any::<String>(),
        file in "[^\\x00-\\x1f\u{7f}\u{fffe}\u{ffff}/]{1,40}",
    ) {
        let mut plan = DomainPlan { name: name.clone(), description: description.clone(), ..plan(false) };
        plan.disks[0].path = Path::new("/data").join(&file);
        plan.more_cdroms = vec![None, Some(Path::new("/iso").join(&file))];
        let xml = domain_xml(&plan, &around(&plan));
        let tree = Element::parse(&xml).expect("well-formed");
        let text = |tag: &str| tree.child(tag).map(|e| e.text.clone()).unwrap_or_default();
        prop_assert_eq!(text("name"), crate::element::carriable(&name));
        prop_assert_eq!(text("description"), crate::element::carriable(&description));
        let read = definition::read(&xml).expect("readable");
        prop_assert_eq!(read.generation, Some(7));
        plan.name = read.shape.name.clone(); // trimmed and carriable
        let domain = SeenDomain {
            vm: plan.vm,
            state: VmState::Off,
            reason: None,
            generation: read.generation,
            persistent: true,
            shape: read.shape,
            saved: None,
        };
        prop_assert_eq!(drift(&plan, &domain), Vec::<String>::new());
    }
}
