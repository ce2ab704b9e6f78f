//! Disks, the CD-ROM drive, network cards and the controllers they sit on.

use crate::element::{Element, element};
use crate::plan::{DiskSource, DomainPlan, NicSource, SeedDrive};
use hostd_types::{DiskBus, NicModel, VolumeId};
use std::path::Path;

/// The PCI Express root, a port for each device and `extra` more, and the USB controller.
pub fn controllers(plan: &DomainPlan, extra: usize) -> Vec<Element> {
    let on_port = |bus: DiskBus| bus == DiskBus::Virtio;
    let seed = usize::from(plan.seed == Some(SeedDrive::Virtio));
    let ports = plan.disks.iter().filter(|d| on_port(d.bus)).count() + seed + plan.nics.len() + extra;
    let controller = |kind: &'static str, index: usize, model: &'static str| {
        element("controller").with("type", kind).with("index", index).with("model", model)
    };
    let root = controller("pci", 0, "pcie-root");
    let ports = (1..=ports).map(|index| controller("pci", index, "pcie-root-port"));
    std::iter::once(root).chain(ports).chain([controller("usb", 0, "qemu-xhci")]).collect()
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
    };
    let mut driver = element("driver").with("name", "qemu").with("type", source.format.as_str());
    if direct {
        driver = driver.with("cache", "none");
    }
    // A full pool stops the guest until there is room again; other errors are the guest's to handle.
    let driver =
        driver.with("error_policy", "enospace").with("rerror_policy", "report").with("discard", "unmap");
    element("disk")
        .with("type", "file")
        .with("device", "disk")
        .holding(driver)
        .holding(element("source").with("file", source.path.display()))
        .holding(element("target").with("dev", target(source.bus, source.slot)).with("bus", bus))
        .holding(element("serial").saying(serial_number(source.volume)))
        .holding_all(order.map(|o| element("boot").with("order", o)))
}

/// What the guest sees as the disk's serial number: 20 characters are all that virtio carries, and the end of the id is
/// where ids made in one moment, or derived for one machine, differ.
pub fn serial_number(volume: VolumeId) -> String {
    volume.uuid().simple().to_string()[12..].to_owned()
}

/// The CD-ROM drive, which every machine has, empty or not. The same element changes its medium later.
pub fn cdrom(image: Option<&Path>, order: Option<u32>) -> Element {
    element("disk")
        .with("type", "file")
        .with("device", "cdrom")
        .holding(element("driver").with("name", "qemu").with("type", "raw"))
        .holding_all(image.map(|path| element("source").with("file", path.display())))
        .holding(element("target").with("dev", "sda").with("bus", "sata"))
        .holding(element("readonly"))
        .holding_all(order.map(|o| element("boot").with("order", o)))
}

/// The drive that the customization is read from; behind the disks, so that none of them gets another name by it. One on
/// virtio is where no disk that is plugged in later goes.
pub fn seed(plan: &DomainPlan, drive: SeedDrive, file: &Path) -> Element {
    const FAR: u32 = 25;
    let all = plan.disks.iter().chain(&plan.leaving_disks).filter(|disk| disk.bus == DiskBus::Sata);
    let behind = all.map(|disk| disk.slot.saturating_add(1)).max().unwrap_or(0);
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
    };
    element("interface")
        .with("type", "bridge")
        .holding(element("mac").with("address", &nic.mac))
        .holding(element("source").with("bridge", &nic.bridge))
        .holding(element("model").with("type", model))
        .holding_all((!nic.plugged).then(|| element("link").with("state", "down")))
        .holding_all(order.map(|o| element("boot").with("order", o)))
}

/// The name of the disk in place `slot` of a bus: `vda` … `vdz`, `vdaa` …; `sda` is the CD-ROM drive.
pub fn target(bus: DiskBus, slot: u32) -> String {
    let (prefix, mut rest) = match bus {
        DiskBus::Virtio => ("vd", slot),
        DiskBus::Sata => ("sd", slot.saturating_add(1)),
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
