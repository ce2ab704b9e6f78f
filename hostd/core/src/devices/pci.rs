//! PCI devices, from `/sys/bus/pci/devices`.

use super::sysfs::{Tree, Uses};
use hostd_types::PciDevice;
use std::collections::BTreeMap;

/// All of them, by address.
pub(super) fn list(tree: &Tree, uses: &Uses) -> Vec<PciDevice> {
    let names = tree.names("bus/pci/devices");
    let mut devices: Vec<PciDevice> =
        names.iter().filter(|name| is_address(name)).filter_map(|name| read(tree, uses, name)).collect();
    let mut groups: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for device in &devices {
        if let Some(group) = device.iommu_group {
            groups.entry(group).or_default().push(device.address.clone());
        }
    }
    for device in &mut devices {
        let group = device.iommu_group.and_then(|group| groups.get(&group));
        let others = group.into_iter().flatten().filter(|address| **address != device.address);
        device.group_with = others.cloned().collect();
    }
    devices
}

/// `0000:01:00.0`.
fn is_address(name: &str) -> bool {
    let parts: Vec<&str> = name.split([':', '.']).collect();
    let [domain, bus, slot, function] = parts.as_slice() else { return false };
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
    (4..=8).contains(&domain.len())
        && (bus.len(), slot.len(), function.len()) == (2, 2, 1)
        && [domain, bus, slot, function].iter().all(|part| hex(part))
}

fn read(tree: &Tree, uses: &Uses, address: &str) -> Option<PciDevice> {
    let at = |file: &str| format!("bus/pci/devices/{address}/{file}");
    let (vendor_id, product_id) = (tree.hex(&at("vendor"), 4)?, tree.hex(&at("device"), 4)?);
    let class_id = tree.hex(&at("class"), 6)?;
    let (vendor, product) = names(&vendor_id, &product_id);
    let functions = tree.names(&format!("bus/pci/devices/{address}"));
    let functions = functions.iter().filter(|name| name.starts_with("virtfn"));
    let mut functions: Vec<String> = functions.filter_map(|name| tree.link(&at(name))).collect();
    functions.sort();
    Some(PciDevice {
        id: format!("pci-{address}"),
        address: address.to_owned(),
        class: class_name(&class_id),
        vendor,
        product,
        driver: tree.link(&at("driver")),
        iommu_group: tree.link(&at("iommu_group")).and_then(|group| group.parse().ok()),
        group_with: Vec::new(),
        physical_function: tree.link(&at("physfn")),
        virtual_functions: functions,
        virtual_functions_max: tree.number(&at("sriov_totalvfs")).unwrap_or_default(),
        boot_display: tree.text(&at("boot_vga")).is_some_and(|flag| flag == "1"),
        numa_node: tree.number(&at("numa_node")), // -1 when there is one alone
        usage: uses.of(address),
        vendor_id,
        product_id,
        class_id,
    })
}

fn names(vendor: &str, product: &str) -> (Option<String>, Option<String>) {
    let (Ok(vendor), Ok(product)) = (u16::from_str_radix(vendor, 16), u16::from_str_radix(product, 16))
    else {
        return (None, None);
    };
    let known = pci_ids::Device::from_vid_pid(vendor, product);
    let maker = match known {
        Some(device) => Some(device.vendor().name()),
        None => pci_ids::Vendors::iter().find(|maker| maker.id() == vendor).map(|maker| maker.name()),
    };
    (maker.map(str::to_owned), known.map(|device| device.name().to_owned()))
}

/// The subclass's name, the class's when that has none.
fn class_name(class: &str) -> Option<String> {
    let byte = |at: usize| u8::from_str_radix(class.get(at..at + 2)?, 16).ok();
    let (class, subclass) = (byte(0)?, byte(2)?);
    let exact = pci_ids::Subclass::from_cid_sid(class, subclass).map(|subclass| subclass.name());
    let rough = || pci_ids::Classes::iter().find(|known| known.id() == class).map(|known| known.name());
    exact.or_else(rough).map(str::to_owned)
}
