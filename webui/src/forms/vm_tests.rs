//! The form of a new machine, as browsers send it.

use super::*;
use crate::forms::choice::power_action;

fn fields(pairs: &[(&str, &str)]) -> Fields {
    Fields::new(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
}

#[test]
fn a_whole_form_becomes_a_machine() {
    let (image, volume, network) = (ImageId::new(), VolumeId::new(), NetworkId::new());
    let (i, v, n) = (image.to_string(), volume.to_string(), network.to_string());
    let form = VmForm::read(&fields(&[
        ("name", " web-1 "),
        ("description", "a\r\nb\r\n"),
        ("guest_os", "windows10"),
        ("at", "2027-01-31T20:00"),
        ("cpus", "4"),
        ("cpu_mode", "performance"),
        ("sockets", "2"),
        ("threads", "1"),
        ("memory", "1.5"),
        ("memory_unit", "gib"),
        ("cpus_max", "8"),
        ("memory_max", "4096"),
        ("memory_min", "512"),
        ("firmware", "uefi"),
        ("boot0", "cdrom"),
        ("boot1", "disk"),
        ("boot2", "cdrom"),
        ("start", "on"),
        ("cdrom", &i),
        ("cdrom2", "empty"),
        ("host_device", "pci-0000:01:00.0"),
        ("host_device", "usb-1-2"),
        ("follow_usb-1-2", "port"),
        ("cdrom3", &i),
        ("disks", "3"),
        ("disk0_from", "blank"),
        ("disk0_size", "20"),
        ("disk0_unit", "gib"),
        ("disk0_bus", "sata"),
        ("disk0_format", "raw"),
        ("disk1_from", "image"),
        ("disk1_image", &i),
        ("disk1_grow", "30"),
        ("disk2_from", "volume"),
        ("disk2_volume", &v),
        ("nics", "2"),
        ("nic0_network", &n),
        ("nic0_model", "e1000"),
        ("nic1_network", ""),
    ]));
    let machine = form.machine().expect("a good form");
    assert_eq!((machine.name.as_str(), machine.description.as_str()), ("web-1", "a\nb"));
    assert_eq!((machine.cpus, machine.memory_mib, machine.firmware), (4, 1536, Firmware::Uefi));
    assert_eq!(machine.guest_os, Some(GuestOs::Windows10));
    assert_eq!(machine.scheduled_at, Timestamp::parse("2027-01-31T20:00:00Z"));
    assert_eq!(machine.cpu_mode, CpuMode::Performance);
    assert_eq!(machine.topology, CpuTopology { sockets: 2, threads: 1 });
    let room = Headroom { cpus_max: Some(8), memory_max_mib: Some(4096), memory_min_mib: Some(512) };
    assert_eq!(machine.headroom, room);
    assert_eq!(machine.boot, [BootDevice::Cdrom, BootDevice::Disk]);
    assert!(machine.start && !machine.autostart);
    assert_eq!(machine.cdrom, Some(image));
    assert_eq!(machine.more_cdroms, [None, Some(image)], "drives have no gap between them");
    let asked = |device: &str, follow| AttachHostDevice { device: device.into(), follow };
    let given = [asked("pci-0000:01:00.0", None), asked("usb-1-2", Some(UsbFollow::Port))];
    assert_eq!(machine.host_devices, given);
    let (size_bytes, options) = (20 << 30, DiskOptions::default);
    assert_eq!(
        machine.disks,
        [
            NewDisk::Blank { size_bytes, format: DiskFormat::Raw, bus: DiskBus::Sata, options: options() },
            NewDisk::Image { image, size_bytes: Some(30 << 30), bus: DiskBus::Virtio, options: options() },
            NewDisk::Volume { volume, bus: DiskBus::Virtio, options: options() },
        ]
    );
    assert_eq!(
        machine.nics,
        [NewNic { network, mac: None, model: NicModel::E1000, options: NicOptions::default() }]
    );
}

#[test]
fn each_wrong_field_gets_its_own_message() {
    let mut form = VmForm::fresh(None);
    form.cpus = "many".into();
    form.cpu.sockets = "two".into();
    form.memory = "-1".into();
    form.cdrom = "no-id".into();
    form.drives.more[1] = "no-id".into();
    form.disks = vec![
        DiskForm { size: "x".into(), ..DiskForm::default() },
        DiskForm { from: "image".into(), ..DiskForm::default() },
    ];
    let problem = form.machine().expect_err("a bad form");
    for pointer in [
        "/cpus",
        "/topology",
        "/memory_mib",
        "/cdrom",
        "/more_cdroms/1",
        "/disks/0/size_bytes",
        "/disks/1/image",
    ] {
        assert!(problem.at(pointer).is_some(), "{pointer}");
    }
    assert_eq!(problem.kind, ProblemKind::Invalid);
}

#[test]
fn a_form_takes_what_the_guest_asks_for_and_never_less_than_it_had() {
    let mut form = VmForm::fresh(None);
    form.cpus = "8".into();
    form.adopt(GuestOs::Windows11.profile());
    let machine = form.machine().expect("a good form");
    assert_eq!((machine.guest_os, machine.firmware), (Some(GuestOs::Windows11), Firmware::UefiSecure));
    assert!(machine.options.tpm, "it asks for a TPM");
    assert_eq!((machine.cpus, machine.memory_mib), (8, 4096));
    let size_bytes = 64 << 30;
    let disk = NewDisk::Blank {
        size_bytes,
        format: DiskFormat::Qcow2,
        bus: DiskBus::Sata,
        options: DiskOptions::default(),
    };
    assert_eq!(machine.disks, [disk]);
    (form.guest_os, form.at) = ("dos".into(), "tomorrow".into());
    let problem = form.machine().expect_err("unknown");
    assert!(problem.at("/guest_os").is_some() && problem.at("/scheduled_at").is_some());
}

#[test]
fn rows_come_and_go_without_scripts() {
    let mut form = VmForm::fresh(None);
    form.change("disk+");
    form.disks[1].size = "7".into();
    form.change("disk-0");
    assert_eq!((form.disks.len(), form.disks[0].size.as_str()), (1, "7"));
    form.change("disk-9");
    form.change("nic-0");
    assert!(form.nics.is_empty());
    for _ in 0..20 {
        form.change("nic+");
    }
    assert_eq!(form.nics.len(), ROWS_MAX);
}

#[test]
fn only_known_power_actions_are_taken() {
    assert_eq!(power_action(&fields(&[("action", "force_off")])), Ok(PowerAction::ForceOff));
    assert!(power_action(&fields(&[("action", "explode")])).is_err());
    assert!(power_action(&fields(&[])).is_err());
}
