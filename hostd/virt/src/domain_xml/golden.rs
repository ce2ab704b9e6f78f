//! The XML of a few plans, word for word. `GOLDEN=write` writes the files anew.

use super::*;
use crate::definition;
use crate::drift::drift;
use crate::observe::SeenDomain;
use crate::plan::{DiskSource, NicSource};
use hostd_types::{DiskBus, DiskFormat, GuestOs, Headroom, NicModel, VmId, VmState, VolumeId};
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
        changing: false,
    };
    let nic = |mac: &str, model| NicSource {
        bridge: "qx0".into(),
        mac: mac.into(),
        model,
        plugged: true,
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
        boot: vec![BootDevice::Cdrom, BootDevice::Disk],
        kvm,
        disks: vec![disk(1, DiskFormat::Qcow2, DiskBus::Virtio), disk(2, DiskFormat::Raw, DiskBus::Sata)],
        cdrom: Some("/data/pools/local/images/i.img".into()),
        nics: vec![nic("52:54:00:00:00:01", NicModel::Virtio), nic("52:54:00:00:00:02", NicModel::E1000)],
        leaving_disks: Vec::new(),
        leaving_nics: Vec::new(),
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
    let bare = DomainPlan {
        description: String::new(),
        boot: Vec::new(),
        disks: Vec::new(),
        cdrom: None,
        nics: Vec::new(),
        ..plan(false)
    };
    assert_golden("bare.xml", &domain_xml(&bare, &around(&bare)));
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
