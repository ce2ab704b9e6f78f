//! A rack server in a directory: what is read of it, and what may be given to machines.

use super::*;
use crate::admit::{Fields, sample};
use std::os::unix::fs::symlink;

/// A directory with the files of `sys` and `proc` that are looked at.
struct Rack(tempfile::TempDir);

impl Rack {
    fn put(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("directory");
        std::fs::write(path, text).expect("file");
    }
    /// A link at `from` to the directory `to`, which is made.
    fn link(&self, from: &str, to: &str) {
        let (from, to) = (self.0.path().join(from), self.0.path().join(to));
        for dir in [from.parent().expect("parent"), &to] {
            std::fs::create_dir_all(dir).expect("directory");
        }
        symlink(to, from).expect("link");
    }
    fn pci(&self, address: &str, ids: [&str; 3], driver: Option<&str>, group: Option<u32>) {
        let at = format!("sys/devices/pci0000:00/{address}");
        for (file, id) in ["vendor", "device", "class"].iter().zip(ids) {
            self.put(&format!("{at}/{file}"), &format!("0x{id}\n"));
        }
        self.put(&format!("{at}/numa_node"), "-1\n");
        if let Some(driver) = driver {
            self.link(&format!("{at}/driver"), &format!("sys/bus/pci/drivers/{driver}"));
        }
        if let Some(group) = group {
            self.link(&format!("{at}/iommu_group"), &format!("sys/kernel/iommu_groups/{group}"));
        }
        self.link(&format!("sys/bus/pci/devices/{address}"), &at);
    }
    fn usb(&self, port: &str, ids: [&str; 2], more: &[(&str, &str)]) {
        let at = format!("sys/devices/pci0000:00/0000:00:14.0/usb1/{port}");
        let basics = [("idVendor", ids[0]), ("idProduct", ids[1]), ("busnum", "1"), ("devnum", "7")];
        for (file, text) in basics.iter().chain(more) {
            self.put(&format!("{at}/{file}"), &format!("{text}\n"));
        }
        self.link(&format!("sys/bus/usb/devices/{port}"), &at);
    }
    fn read(&self) -> HostDevices {
        let addressed = ["eth0".to_owned()].into();
        read(&Tree { sys: self.0.path().join("sys"), proc: self.0.path().join("proc") }, &addressed)
    }
}

const DISK: &str = "0000:00:02.0";
const WIRE: &str = "0000:00:03.0";
const CARD: &str = "0000:01:00.0";
const SOUND: &str = "0000:01:00.1";
const FREE: &str = "0000:02:00.0";
const PF: &str = "0000:03:00.0";
const VF: &str = "0000:03:10.0";

/// The system's disk and network, a graphics card with sound in one group, a free card, a card with virtual functions, a
/// hub with a stick, and a stick that is mounted.
fn rack() -> Rack {
    let rack = Rack(tempfile::tempdir().expect("directory"));
    rack.pci("0000:00:00.0", ["8086", "1237", "060000"], None, Some(0));
    rack.pci(DISK, ["144d", "a808", "010802"], Some("nvme"), Some(1));
    rack.pci(WIRE, ["8086", "1533", "020000"], Some("igb"), Some(2));
    rack.pci("0000:00:14.0", ["8086", "a36d", "0c0330"], Some("xhci_hcd"), Some(3));
    rack.pci(CARD, ["10de", "1b80", "030000"], None, Some(12));
    rack.pci(SOUND, ["10de", "10f0", "040300"], Some("snd_hda_intel"), Some(12));
    rack.pci("0000:00:01.0", ["8086", "1901", "060400"], Some("pcieport"), Some(12));
    rack.pci(FREE, ["8086", "10d3", "020000"], Some("e1000e"), Some(20));
    rack.pci(PF, ["8086", "10fb", "020000"], Some("ixgbe"), Some(30));
    rack.pci(VF, ["8086", "10ed", "020000"], Some("ixgbevf"), Some(31));
    let pf = format!("sys/devices/pci0000:00/{PF}");
    rack.put(&format!("{pf}/sriov_totalvfs"), "63\n");
    rack.link(&format!("{pf}/virtfn0"), &format!("sys/devices/pci0000:00/{VF}"));
    rack.link(&format!("sys/devices/pci0000:00/{VF}/physfn"), &pf);
    rack.put(&format!("sys/devices/pci0000:00/{CARD}/boot_vga"), "1\n");

    let nvme = format!("sys/devices/pci0000:00/{DISK}/nvme/nvme0/nvme0n1");
    rack.put(&format!("{nvme}/dev"), "259:0\n");
    rack.put(&format!("{nvme}/nvme0n1p2/dev"), "259:2\n");
    rack.link("sys/block/nvme0n1", &nvme);
    rack.put(
        "proc/self/mountinfo",
        "22 1 259:2 / / rw - ext4 /dev/root rw\n30 1 0:40 / /media rw - btrfs /dev/sda1 rw\n",
    );
    rack.put("proc/swaps", "Filename Type Size\n/dev/zram0 partition 1\n");
    rack.link("sys/class/net/eth0", &format!("sys/devices/pci0000:00/{WIRE}/net/eth0"));
    rack.link("sys/class/net/eth1", &format!("sys/devices/pci0000:00/{FREE}/net/eth1"));

    rack.usb("1-1", ["05e3", "0610"], &[("bDeviceClass", "09")]);
    rack.usb(
        "1-1.2",
        ["0781", "5581"],
        &[("serial", "4C53\u{7}0001"), ("speed", "480"), ("product", "Ultra\u{1b}[1m")],
    );
    rack.usb("1-10", ["0951", "1666"], &[("manufacturer", "Kingston"), ("serial", "E0 D5")]);
    rack.usb("1-3", ["0951", "1666"], &[]);
    for name in ["usb1", "1-0:1.0"] {
        rack.link(&format!("sys/bus/usb/devices/{name}"), "sys/devices/else");
    }
    rack.link("sys/bus/usb/devices/1-10:1.0/driver", "sys/bus/usb/drivers/usb-storage");
    let stick = "sys/devices/pci0000:00/0000:00:14.0/usb1/1-10/host6/block/sda";
    rack.put(&format!("{stick}/sda1/size"), "1\n");
    rack.link("sys/block/sda", stick);
    rack
}

fn pci<'a>(devices: &'a HostDevices, address: &str) -> &'a PciDevice {
    devices.pci.iter().find(|pci| pci.address == address).expect("a PCI device")
}

fn usb<'a>(devices: &'a HostDevices, port: &str) -> &'a UsbDevice {
    devices.usb.iter().find(|usb| usb.port == port).expect("a USB device")
}

fn judged(vms: &[Vm], of: Option<VmId>) -> HostDevices {
    let mut devices = rack().read();
    judge(&mut devices, vms, of);
    devices
}

fn with(name: &str, devices: Vec<HostDevice>) -> Vm {
    let mut vm = sample::vm(name);
    vm.spec.hardware.host_devices = devices;
    vm
}

#[test]
fn the_buses_are_read_with_names_groups_and_functions() {
    let devices = rack().read();
    assert!(devices.iommu);
    let card = pci(&devices, CARD);
    assert_eq!((card.id.as_str(), card.iommu_group, card.boot_display), ("pci-0000:01:00.0", Some(12), true));
    assert_eq!(card.vendor.as_deref(), Some("NVIDIA Corporation"));
    assert_eq!(card.product.as_deref(), Some("GP104 [GeForce GTX 1080]"));
    assert_eq!(card.class.as_deref(), Some("VGA compatible controller"));
    assert_eq!(card.group_with, ["0000:00:01.0", SOUND]);
    assert_eq!((card.driver.as_deref(), card.numa_node), (None, None));
    let (function, physical) = (pci(&devices, VF), pci(&devices, PF));
    assert_eq!(function.physical_function.as_deref(), Some(PF));
    assert_eq!(
        (physical.virtual_functions.as_slice(), physical.virtual_functions_max),
        ([VF.to_owned()].as_slice(), 63)
    );
    let disk = &pci(&devices, DISK).usage;
    assert_eq!((disk.disks.as_slice(), &disk.disks), (["nvme0n1".to_owned()].as_slice(), &disk.disks_in_use));

    let ports: Vec<&str> = devices.usb.iter().map(|usb| usb.port.as_str()).collect();
    assert_eq!(ports, ["1-1.2", "1-3", "1-10"], "no hub, no interface, in the order of ports");
    let stick = usb(&devices, "1-1.2");
    assert_eq!((stick.bus, stick.device, stick.speed_mbit), (1, 7, Some(480)));
    assert_eq!(stick.serial.as_deref(), Some("4C530001"), "nothing that is not to be printed");
    assert_eq!(
        (stick.vendor.as_deref(), stick.product.as_deref()),
        (Some("SanDisk Corp."), Some("Ultra[1m"))
    );
    let mounted = usb(&devices, "1-10");
    assert_eq!(
        (mounted.vendor.as_deref(), mounted.drivers.as_slice()),
        (Some("Kingston"), ["usb-storage".to_owned()].as_slice())
    );
    assert_eq!(mounted.usage.disks_in_use, ["sda"], "mounted by its name");
}

#[test]
fn an_empty_or_a_broken_tree_is_a_host_without_devices() {
    let empty = Tree { sys: "/nonexistent".into(), proc: "/nonexistent".into() };
    assert_eq!(read(&empty, &BTreeSet::new()), HostDevices::default());
    let rack = Rack(tempfile::tempdir().expect("directory"));
    rack.pci("0000:00:02.0", ["zz", "\u{0}", "1"], None, None);
    rack.usb("1-1", ["12345", "x"], &[]);
    rack.link("sys/bus/pci/devices/not-an-address", "sys/devices/x");
    assert_eq!(rack.read(), HostDevices::default());
    rack.pci("0000:00:03.0", ["8086", "1533", "020000"], None, None);
    rack.put("sys/devices/pci0000:00/0000:00:03.0/sriov_totalvfs", &"9".repeat(1 << 20));
    let mut devices = rack.read();
    judge(&mut devices, &[], None);
    let why = devices.pci[0].usage.refusal.clone().expect("no IOMMU");
    assert!(!devices.iommu && why.contains("VT-d"), "{why}");
}

#[test]
fn what_the_host_needs_is_refused_with_the_reason_and_the_rest_is_free() {
    let devices = judged(&[], None);
    let why = |address: &str| pci(&devices, address).usage.refusal.clone().unwrap_or_default();
    for (address, reason) in [
        ("0000:00:00.0", "joins the host's buses"),
        (DISK, "nvme0n1 on it is mounted"),
        (WIRE, "its network runs over eth0"),
        ("0000:00:14.0", "sda on it is mounted"),
        (PF, "1 virtual functions would vanish"),
    ] {
        assert!(why(address).contains(reason), "{address}: {}", why(address));
    }
    for free in [CARD, SOUND, FREE, VF] {
        assert_eq!(why(free), "", "{free}");
    }
    assert!(usb(&devices, "1-10").usage.refusal.as_ref().is_some_and(|why| why.contains("sda")));
    assert_eq!(usb(&devices, "1-1.2").usage.refusal, None);

    // A second disk of a mounted file system; and when it is not known what is mounted, everything may be.
    let spread = rack();
    spread.pci("0000:04:00.0", ["144d", "a808", "010802"], Some("nvme"), Some(40));
    spread.put("sys/devices/pci0000:00/0000:04:00.0/block/nvme2n1/dev", "259:9\n");
    spread.link("sys/block/nvme2n1", "sys/devices/pci0000:00/0000:04:00.0/block/nvme2n1");
    assert_eq!(pci(&spread.read(), "0000:04:00.0").usage.disks_in_use, Vec::<String>::new());
    spread.put("sys/fs/btrfs/5e7d/devices/nvme2n1", "");
    assert_eq!(pci(&spread.read(), "0000:04:00.0").usage.disks_in_use, ["nvme2n1"]);
    std::fs::remove_file(spread.0.path().join("proc/self/mountinfo")).expect("it was there");
    std::fs::remove_dir_all(spread.0.path().join("sys/fs")).expect("it was there");
    assert_eq!(pci(&spread.read(), "0000:04:00.0").usage.disks_in_use, ["nvme2n1"]);

    // The same group with something the host uses.
    let rack = rack();
    rack.pci("0000:02:00.1", ["144d", "a808", "010802"], Some("nvme"), Some(20));
    rack.put("sys/devices/pci0000:00/0000:02:00.1/block/nvme1n1/holders/dm-0", "");
    rack.link("sys/block/nvme1n1", "sys/devices/pci0000:00/0000:02:00.1/block/nvme1n1");
    let mut devices = rack.read();
    judge(&mut devices, &[], None);
    let why = pci(&devices, FREE).usage.refusal.clone().expect("a refusal");
    assert!(why.contains("IOMMU group 20 also holds 0000:02:00.1") && why.contains("nvme1n1"), "{why}");
}

#[test]
fn a_device_of_one_machine_is_refused_to_others_with_its_group() {
    let plain = judged(&[], None);
    let stick = usb(&plain, "1-1.2").known(UsbFollow::Port).expect("a port");
    let owner = with("gpu", vec![pci(&plain, CARD).known(), stick.clone()]);
    let vms = [owner.clone(), with("web", Vec::new())];
    let to_others = judged(&vms, Some(vms[1].id));
    let why = |address: &str| pci(&to_others, address).usage.refusal.clone().unwrap_or_default();
    assert!(why(CARD).contains("gpu has it"), "{}", why(CARD));
    assert!(why(SOUND).contains("which gpu has. Devices of one group"), "{}", why(SOUND));
    let taken = usb(&to_others, "1-1.2").usage.clone();
    assert_eq!((taken.machine.as_deref(), taken.refusal.is_some()), (Some("gpu"), true));
    let to_itself = judged(&vms, Some(owner.id));
    assert_eq!(pci(&to_itself, SOUND).usage.refusal, None, "the other device of its group");

    // One that is on its way out is still there.
    let mut leaving = with("gpu", Vec::new());
    let work = DeviceWork::DetachHostDevice { device: stick, index: 0 };
    leaving.spec.hardware.changes = vec![DeviceRequest { task: TaskId::new(), late: true, work }];
    assert!(concerns(&leaving));
    assert!(usb(&judged(&[leaving], None), "1-1.2").usage.refusal.is_some());
}

fn refusal(asked: &AttachHostDevice, vm: &Vm, all: &HostDevices) -> Problem {
    let mut wrong = Fields::default();
    check_attach(&mut wrong, asked, vm, all);
    wrong.done().expect_err("a refusal")
}

fn asked(device: &str, follow: Option<UsbFollow>) -> AttachHostDevice {
    AttachHostDevice { device: device.into(), follow }
}

#[test]
fn attaching_is_refused_at_the_field_that_is_wrong() {
    let (vm, all) = (with("web", Vec::new()), judged(&[], None));
    let at = |device: &str, follow, pointer: &str| {
        let problem = refusal(&asked(device, follow), &vm, &all);
        problem.at(pointer).unwrap_or_else(|| panic!("{device}: {problem:?}")).to_owned()
    };
    assert!(at("pci-0000:99:00.0", None, "/device").contains("no such device"));
    assert!(at("pci-0000:00:02.0", None, "/device").contains("mounted"));
    assert!(at("pci-0000:02:00.0", Some(UsbFollow::Port), "/follow").contains("Only a USB device"));
    assert!(at("usb-1-3", Some(UsbFollow::Serial), "/follow").contains("no serial number"));
    let mut fine = Fields::default();
    check_attach(&mut fine, &asked("usb-1-1.2", Some(UsbFollow::Serial)), &vm, &all);
    check_attach(&mut fine, &asked("pci-0000:02:00.0", None), &vm, &all);
    assert_eq!(fine.done(), Ok(()));

    let known = pci(&all, FREE).known();
    let full = with("full", vec![known.clone(); HOST_DEVICES_MAX]);
    assert!(refusal(&asked("usb-1-3", None), &full, &all).detail.contains("the most"));
    let has = with("has", vec![known]);
    let judged = judged(std::slice::from_ref(&has), Some(has.id));
    assert!(refusal(&asked("pci-0000:02:00.0", None), &has, &judged).detail.contains("has it already"));
}

#[test]
fn a_new_machine_is_refused_each_device_that_it_can_t_have() {
    let mut all = judged(&[with("gpu", vec![pci(&judged(&[], None), CARD).known()])], None);
    let wrong = |asked: &[AttachHostDevice], all: &HostDevices| {
        let mut wrong = Fields::default();
        check_new(&mut wrong, asked, all);
        wrong.done()
    };
    assert_eq!(wrong(&[asked("pci-0000:02:00.0", None), asked("usb-1-1.2", None)], &all), Ok(()));
    let list = [
        asked("usb-9-9", None),
        asked("pci-0000:01:00.0", None),
        asked("pci-0000:02:00.0", Some(UsbFollow::Port)),
        asked("usb-1-3", Some(UsbFollow::Serial)),
        asked("usb-1-1.2", None),
        asked("usb-1-1.2", Some(UsbFollow::Port)),
    ];
    let problem = wrong(&list, &all).expect_err("refusals");
    for (pointer, said) in [
        ("/host_devices/0/device", "no such device"),
        ("/host_devices/1/device", "gpu has it"),
        ("/host_devices/2/follow", "Only a USB device"),
        ("/host_devices/3/follow", "no serial number"),
        ("/host_devices/5/device", "listed twice"),
    ] {
        assert!(problem.at(pointer).is_some_and(|detail| detail.contains(said)), "{pointer}: {problem:?}");
    }
    assert_eq!(problem.errors.len(), 5, "{problem:?}");
    let many = vec![asked("usb-1-1.2", None); HOST_DEVICES_MAX + 1];
    assert!(wrong(&many, &all).expect_err("too many").at("/host_devices").is_some());
    all.pci.clear();
    assert!(wrong(&list[2..3], &all).expect_err("it is gone").at("/host_devices/0/device").is_some());
}

#[test]
fn a_usb_device_is_known_by_its_serial_number_where_that_tells_it_apart() {
    let all = judged(&[], None);
    let id = |device: &str, follow| find(&asked(device, follow), &all).map(|known| known.id);
    assert_eq!(id("usb-1-1.2", None).as_deref(), Some("usb-0781:5581-4C530001"));
    assert_eq!(id("usb-1-1.2", Some(UsbFollow::Port)).as_deref(), Some("usb-1-1.2"));
    assert_eq!(id("usb-1-10", None).as_deref(), Some("usb-1-10"), "its serial number has a blank");
    assert_eq!(id("usb-1-3", Some(UsbFollow::Serial)), None);
    assert_eq!(id("pci-0000:02:00.0", None).as_deref(), Some("pci-0000:02:00.0"));
    let twins = rack();
    twins.usb("1-4", ["0781", "5581"], &[("serial", "4C530001")]);
    let mut all = twins.read();
    judge(&mut all, &[], None);
    assert_eq!(find(&asked("usb-1-4", None), &all).map(|known| known.id).as_deref(), Some("usb-1-4"));
    let by_serial = asked("usb-1-4", Some(UsbFollow::Serial));
    assert!(
        refusal(&by_serial, &with("web", Vec::new()), &all)
            .at("/follow")
            .expect("the field")
            .contains("same serial")
    );
}

#[test]
fn a_start_names_the_device_that_is_missing_and_the_group_that_is_not_whole() {
    let all = judged(&[], None);
    let card = pci(&all, CARD).known();
    let half = with("gpu", vec![card.clone()]);
    let problem = may_start(&half, &all).expect_err("half a group");
    assert!(
        problem.detail.contains(SOUND) && problem.detail.contains("Attach it to the machine, too"),
        "{problem}"
    );
    assert_eq!(missing(&half, &all).len(), 1);
    let whole = with("gpu", vec![card.clone(), pci(&all, SOUND).known()]);
    assert_eq!((may_start(&whole, &all), missing(&whole, &all)), (Ok(()), Vec::new()));

    let stick = usb(&all, "1-1.2").known(UsbFollow::Serial).expect("a serial number");
    let vm = with("web", vec![stick.clone()]);
    may_start(&vm, &all).expect("it is plugged in");
    let without = HostDevices { usb: Vec::new(), ..all.clone() };
    let problem = may_start(&vm, &without).expect_err("it is gone");
    assert_eq!(problem.kind, ProblemKind::Unavailable);
    assert!(problem.detail.contains("4C530001") && problem.detail.contains("detach it"), "{problem}");
    assert!(missing(&vm, &without)[0].contains("can't start without it"));
    assert_eq!(source(&stick, &vm, Some(&all)).usb, Some((1, 7)));
    assert_eq!(source(&stick, &vm, Some(&without)).usb, None);

    let mut mounted = all.clone();
    judge(&mut mounted, &[], None);
    let disk = with("db", vec![pci(&mounted, DISK).known()]);
    let problem = may_start(&disk, &mounted).expect_err("the host uses it now");
    assert!(problem.detail.contains("db can't start with the PCI device 0000:00:02.0"), "{problem}");
}
