//! Disks, the CD-ROM drive, network cards and the controllers they sit on.

use super::options;
use crate::element::{Element, element};
use crate::plan::{DiskSource, DomainPlan, NicSource, SeedDrive};
use hostd_types::{DiskBus, NicModel, VolumeId};
use std::path::Path;

/// The PCI Express root, a port for each device and `extra` more, and the USB controller.
pub fn controllers(plan: &DomainPlan, extra: usize) -> Vec<Element> {
    let on_port = |bus: DiskBus| matches!(bus, DiskBus::Virtio | DiskBus::Nvme);
    let scsi = plan.disks.iter().any(|disk| disk.bus == DiskBus::Scsi);
    // A watchdog sits behind a bridge of its own.
    let more = usize::from(scsi)
        + usize::from(plan.options.watchdog.is_some())
        + usize::from(plan.seed == Some(SeedDrive::Virtio));
    let ports = plan.disks.iter().filter(|d| on_port(d.bus)).count() + plan.nics.len() + more + extra;
    let controller = |kind: &'static str, index: usize, model: &'static str| {
        element("controller").with("type", kind).with("index", index).with("model", model)
    };
    let root = controller("pci", 0, "pcie-root");
    let ports = (1..=ports).map(|index| controller("pci", index, "pcie-root-port"));
    let mut all: Vec<Element> =
        std::iter::once(root).chain(ports).chain([controller("usb", 0, "qemu-xhci")]).collect();
    all.extend(scsi.then(scsi_controller));
    for disk in plan.disks.iter().filter(|disk| disk.bus == DiskBus::Nvme) {
        // The serial number is the controller's: what is on it is a namespace.
        let serial = element("serial").saying(serial_number(disk.volume));
        all.push(element("controller").with("type", "nvme").with("index", disk.slot).holding(serial));
    }
    all
}

/// What SCSI disks are on.
pub fn scsi_controller() -> Element {
    element("controller").with("type", "scsi").with("index", 0).with("model", "virtio-scsi")
}

/// The plan's disks; `direct` and `order` run beside them.
pub fn disks(plan: &DomainPlan, direct: &[bool], order: &[Option<u32>]) -> Vec<Element> {
    let made = |(index, source): (usize, &DiskSource)| {
        let direct = direct.get(index).copied().unwrap_or(false);
        disk(source, direct, order.get(index).copied().flatten())
    };
    plan.disks.iter().enumerate().map(made).collect()
}

/// One disk; `direct`: its file system takes direct I/O.
pub fn disk(source: &DiskSource, direct: bool, order: Option<u32>) -> Element {
    let bus = match source.bus {
        DiskBus::Virtio => "virtio",
        DiskBus::Sata => "sata",
        DiskBus::Scsi => "scsi",
        DiskBus::Nvme => "nvme",
    };
    let how = &source.options;
    let mut driver = element("driver").with("name", "qemu").with("type", source.format.as_str());
    match how.cache {
        Some(cache) => driver = driver.with("cache", cache.as_str()),
        None if direct => driver = driver.with("cache", "none"),
        None => {}
    }
    if let Some(io) = how.io {
        driver = driver.with("io", io.as_str());
    }
    let discard = if how.discard { "unmap" } else { "ignore" };
    // A full pool stops the guest until there is room again; other errors are the guest's to handle.
    let driver =
        driver.with("error_policy", "enospace").with("rerror_policy", "report").with("discard", discard);
    let serial =
        (source.bus != DiskBus::Nvme).then(|| element("serial").saying(serial_number(source.volume)));
    // libvirt would take it from the name, which runs on behind that of SATA disks.
    let address = (source.bus == DiskBus::Scsi).then(|| {
        let address = element("address").with("type", "drive").with("controller", 0);
        address.with("bus", 0).with("target", 0).with("unit", source.slot)
    });
    element("disk")
        .with("type", "file")
        .with("device", "disk")
        .holding(driver)
        .holding(element("source").with("file", source.path.display()))
        .holding(element("target").with("dev", target(source.bus, source.slot)).with("bus", bus))
        .holding_all(options::disk_limits(&how.limits))
        .holding_all(serial)
        .holding_all(address)
        .holding_all(order.map(|o| element("boot").with("order", o)))
}

/// What the guest sees as the disk's serial number: 20 characters are all that virtio carries, and the end of the id is
/// where ids made in one moment, or derived for one machine, differ.
pub fn serial_number(volume: VolumeId) -> String {
    volume.uuid().simple().to_string()[12..].to_owned()
}

/// The name of the CD-ROM drive that every machine has.
pub const FIRST_DRIVE: &str = "sda";

/// The plan's CD-ROM drives. The further ones are behind the disks, so that none of them gets another name by one.
pub fn cdroms(plan: &DomainPlan, order: &[Option<u32>]) -> Vec<Element> {
    let names = (behind(plan)..).map(|slot| target(DiskBus::Sata, slot));
    let further = names.zip(plan.more_cdroms.iter().map(Option::as_deref));
    let first = (FIRST_DRIVE.to_owned(), plan.cdrom.as_deref());
    let made = |(index, (target, image)): (usize, (String, Option<&Path>))| {
        cdrom(&target, image, order.get(index).copied().flatten())
    };
    std::iter::once(first).chain(further).enumerate().map(made).collect()
}

/// The first place on the SATA bus behind all disks.
fn behind(plan: &DomainPlan) -> u32 {
    let all = plan.disks.iter().chain(&plan.leaving_disks).filter(|disk| disk.bus == DiskBus::Sata);
    all.map(|disk| disk.slot.saturating_add(1)).max().unwrap_or(0)
}

/// One CD-ROM drive, empty or not. The same element changes its medium later.
pub fn cdrom(target: &str, image: Option<&Path>, order: Option<u32>) -> Element {
    element("disk")
        .with("type", "file")
        .with("device", "cdrom")
        .holding(element("driver").with("name", "qemu").with("type", "raw"))
        .holding_all(image.map(|path| element("source").with("file", path.display())))
        .holding(element("target").with("dev", target).with("bus", "sata"))
        .holding(element("readonly"))
        .holding_all(order.map(|o| element("boot").with("order", o)))
}

/// The drive that the customization is read from; behind the disks and drives, so that none of them gets another name by it. One on
/// virtio is where no disk that is plugged in later goes.
pub fn seed(plan: &DomainPlan, drive: SeedDrive, file: &Path) -> Element {
    const FAR: u32 = 25;
    let drives = u32::try_from(plan.more_cdroms.len()).unwrap_or(0);
    let behind = behind(plan).saturating_add(drives);
    let (device, bus, target) = match drive {
        SeedDrive::Cdrom => ("cdrom", "sata", target(DiskBus::Sata, behind)),
        SeedDrive::Virtio => ("disk", "virtio", target(DiskBus::Virtio, FAR)),
    };
    element("disk")
        .with("type", "file")
        .with("device", device)
        .holding(element("driver").with("name", "qemu").with("type", "raw"))
        .holding(element("source").with("file", file.display()))
        .holding(element("target").with("dev", target).with("bus", bus))
        .holding(element("readonly"))
}

/// The plan's network cards.
pub fn nics(plan: &DomainPlan, order: &[Option<u32>]) -> Vec<Element> {
    let made = |(index, nic): (usize, &NicSource)| card(nic, order.get(index).copied().flatten());
    plan.nics.iter().enumerate().map(made).collect()
}

/// One network card.
pub fn card(nic: &NicSource, order: Option<u32>) -> Element {
    let model = match nic.model {
        NicModel::Virtio => "virtio",
        NicModel::E1000 => "e1000",
        NicModel::E1000e => "e1000e",
    };
    element("interface")
        .with("type", "bridge")
        .holding(element("mac").with("address", &nic.mac))
        .holding(element("source").with("bridge", &nic.bridge))
        .holding(element("model").with("type", model))
        .holding_all(options::bandwidth(&nic.options))
        .holding_all((!nic.plugged).then(|| element("link").with("state", "down")))
        .holding_all(order.map(|o| element("boot").with("order", o)))
}

/// The first name of SCSI disks is `sdaa`.
const SCSI_NAMES: u32 = 26;

/// The name of the disk in place `slot` of a bus: `vda` … `vdz`, `vdaa` …; `sda` is the CD-ROM drive.
pub fn target(bus: DiskBus, slot: u32) -> String {
    let (prefix, mut rest) = match bus {
        DiskBus::Virtio => ("vd", slot),
        DiskBus::Sata => ("sd", slot.saturating_add(1)),
        // Linux calls both alike, and libvirt wants each name once.
        DiskBus::Scsi => ("sd", slot.saturating_add(SCSI_NAMES)),
        DiskBus::Nvme => return format!("nvme{slot}n1"),
    };
    let mut letters = Vec::new();
    loop {
        letters.insert(0, b'a' + u8::try_from(rest % 26).unwrap_or(0));
        if rest < 26 {
            break;
        }
        rest = rest / 26 - 1;
    }
    format!("{prefix}{}", String::from_utf8_lossy(&letters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_run_past_the_alphabet() {
        let names: Vec<String> = (0..704).map(|slot| target(DiskBus::Virtio, slot)).collect();
        assert_eq!(target(DiskBus::Sata, 0), "sdb");
        assert_eq!((target(DiskBus::Scsi, 1), target(DiskBus::Nvme, 2)), ("sdab".into(), "nvme2n1".into()));
        for (index, name) in
            [(0, "vda"), (25, "vdz"), (26, "vdaa"), (27, "vdab"), (701, "vdzz"), (702, "vdaaa")]
        {
            assert_eq!(names[index], name);
        }
    }

    #[test]
    fn serial_numbers_of_one_machines_disks_differ_and_fit() {
        let vm = hostd_types::VmId::new();
        let serials: std::collections::BTreeSet<String> =
            (0..16).map(|index| serial_number(hostd_types::derived_volume(vm, index))).collect();
        assert_eq!(serials.len(), 16);
        assert!(serials.iter().all(|s| s.len() == 20));
    }
}
