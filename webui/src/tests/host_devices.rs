//! Devices of hosts, and machines that have some.

use hostd_types::*;

/// A host's devices, whose texts all hold `text`.
pub(crate) fn devices(text: &str) -> HostDevices {
    let pci = |address: &str, product: &str, class_id: &str, usage| PciDevice {
        id: format!("pci-{address}"),
        address: address.into(),
        vendor_id: "8086".into(),
        product_id: "10fb".into(),
        class_id: class_id.into(),
        vendor: Some(format!("Intel Corporation{text}")),
        product: Some(format!("{product}{text}")),
        class: Some(format!("Ethernet controller{text}")),
        driver: Some(format!("ixgbe{text}")),
        iommu_group: Some(12),
        group_with: vec!["0000:01:00.1".into()],
        virtual_functions_max: 63,
        numa_node: Some(0),
        usage,
        ..PciDevice::default()
    };
    let refused = DeviceUsage {
        refusal: Some(format!("The host uses it: its network runs over eth0{text}.")),
        ..DeviceUsage::default()
    };
    let given = DeviceUsage { machine: Some(format!("web-1{text}")), ..DeviceUsage::default() };
    let usb = UsbDevice {
        id: "usb-1-2.3".into(),
        bus: 1,
        device: 7,
        port: "1-2.3".into(),
        vendor_id: "0781".into(),
        product_id: "5581".into(),
        product: Some(format!("Ultra{text}")),
        serial: Some(format!("4C53{text}")),
        drivers: vec![format!("usb-storage{text}")],
        speed_mbit: Some(480),
        ..UsbDevice::default()
    };
    HostDevices {
        iommu: true,
        pci: vec![
            pci("0000:00:00.0", "Host bridge", "060000", DeviceUsage::default()),
            pci("0000:01:00.0", "82599ES 10-Gigabit", "020000", refused),
            pci("0000:02:00.0", "82599ES 10-Gigabit", "020000", given),
            pci("0000:03:00.0", "82599 Virtual Function", "020000", DeviceUsage::default()),
        ],
        usb: vec![usb],
    }
}

/// A NUMA node with huge pages.
pub(crate) fn node(id: u32, text: &str) -> MemoryNode {
    let huge_pages = vec![HugePages { size_kib: 2048, total: 1024, free: 512 }];
    MemoryNode { id, cpus: format!("0-15{text}"), memory_bytes: 32 << 30, huge_pages }
}

/// The devices that a machine has.
pub(crate) fn of_machine(text: &str) -> Vec<HostDevice> {
    let devices = devices("");
    let mut own = vec![devices.pci[2].known()];
    own.extend(devices.usb[0].known(UsbFollow::Serial));
    own.iter_mut().for_each(|device| device.name.push_str(text));
    own
}
