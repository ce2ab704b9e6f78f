//! Devices of a host: what it has, and which of them a machine uses in its place.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most devices of its host that one machine can have.
pub const HOST_DEVICES_MAX: usize = 16;

/// What a host has on its PCI and USB buses at this moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostDevices {
    /// The host keeps devices apart in memory (VT-d, AMD-Vi); without it no PCI device can be given to a machine.
    pub iommu: bool,
    /// PCI devices, by address.
    pub pci: Vec<PciDevice>,
    /// USB devices, by bus and port; hubs are left out.
    pub usb: Vec<UsbDevice>,
}

/// A device on the PCI bus.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PciDevice {
    /// What it is called in requests: `pci-0000:01:00.0`.
    pub id: String,
    /// Domain, bus, slot and function: `0000:01:00.0`.
    pub address: String,
    /// Vendor, four digits in hexadecimal.
    pub vendor_id: String,
    /// Product of that vendor, likewise.
    pub product_id: String,
    /// Base class, subclass and programming interface, six digits in hexadecimal.
    pub class_id: String,
    /// The vendor's name, when the PCI ID database knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// The product's name, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// What kind of device it is, in words, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The kernel driver that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Its IOMMU group: devices that can reach each other, and so go to one machine or to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iommu_group: Option<u32>,
    /// Addresses of the other devices in that group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group_with: Vec<String>,
    /// Address of the card that it is a virtual function of (SR-IOV).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub physical_function: Option<String>,
    /// Addresses of its virtual functions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub virtual_functions: Vec<String>,
    /// How many virtual functions it could have.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub virtual_functions_max: u32,
    /// It shows the host's own console.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub boot_display: bool,
    /// The NUMA node it is near to, on hosts that have several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numa_node: Option<u32>,
    /// What the host has of it, and who uses it.
    #[serde(flatten)]
    pub usage: DeviceUsage,
}

/// A device on the USB.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsbDevice {
    /// What it is called in requests, by where it is plugged in: `usb-1-2.3`.
    pub id: String,
    /// The bus.
    pub bus: u32,
    /// Its number on that bus, another one each time it is plugged in.
    pub device: u32,
    /// Where it is plugged in: bus, port, and the ports of hubs in between: `1-2.3`.
    pub port: String,
    /// Vendor, four digits in hexadecimal.
    pub vendor_id: String,
    /// Product of that vendor, likewise.
    pub product_id: String,
    /// The vendor's name, as the device says it or the USB ID database knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// The product's name, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Serial number, when the device has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Kernel drivers of its interfaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drivers: Vec<String>,
    /// Mbit/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed_mbit: Option<u32>,
    /// What the host has of it, and who uses it.
    #[serde(flatten)]
    pub usage: DeviceUsage,
}

/// Who uses a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceUsage {
    /// Network links that the host has through it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// Block devices that the host has through it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<String>,
    /// Those of them that are mounted, swapped to, or part of something else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks_in_use: Vec<String>,
    /// Those links that something runs over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links_in_use: Vec<String>,
    /// Name of the machine that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// Why it can't be given to a machine, in a sentence; absent when it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A device of its host that a machine has, by what stays the same when the host boots or the device is plugged in again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostDevice {
    /// What it is called in requests: `pci-0000:01:00.0`, `usb-1-2.3`, or `usb-0781:5581-4C53` when it is known by its
    /// serial number.
    pub id: String,
    /// What it was called when it was attached, for people.
    pub name: String,
    /// How it is found again.
    pub known_by: KnownBy,
}

/// How a device of a host is found again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "bus", rename_all = "snake_case")]
pub enum KnownBy {
    /// A PCI device of these ids at this address.
    Pci {
        /// Domain, bus, slot and function.
        address: String,
        /// Vendor.
        vendor_id: String,
        /// Product.
        product_id: String,
    },
    /// A USB device of these ids in this port.
    UsbPort {
        /// Bus and ports.
        port: String,
        /// Vendor.
        vendor_id: String,
        /// Product.
        product_id: String,
    },
    /// The USB device of these ids with this serial number, wherever it is plugged in.
    UsbSerial {
        /// Serial number.
        serial: String,
        /// Vendor.
        vendor_id: String,
        /// Product.
        product_id: String,
    },
}

/// By what a USB device is found again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsbFollow {
    /// The port: whatever of its kind is plugged in there.
    Port,
    /// Its serial number: that one device, in any port.
    Serial,
}

/// Body of `POST /api/v1/vms/{id}/host-devices`; a new machine is given several at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttachHostDevice {
    /// Its id among the devices of the machine's host, such as `pci-0000:01:00.0` or `usb-1-2`.
    pub device: String,
    /// By what a USB device is found again; its serial number when it has one of its own, its port otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow: Option<UsbFollow>,
}

impl HostDevice {
    /// It sits on the PCI bus.
    pub const fn is_pci(&self) -> bool {
        match self.known_by {
            KnownBy::Pci { .. } => true,
            KnownBy::UsbPort { .. } | KnownBy::UsbSerial { .. } => false,
        }
    }
    /// It can come and go while a machine runs.
    pub const fn hot_plugs(&self) -> bool {
        !self.is_pci()
    }
    /// The same in libvirt's domain, whose names have fewer signs.
    pub fn alias(&self) -> String {
        let sign = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        format!("ua-{}", self.id.chars().map(sign).collect::<String>())
    }
    /// It is this one.
    pub fn is_at(&self, other: &PciDevice) -> bool {
        match &self.known_by {
            KnownBy::Pci { address, vendor_id, product_id } => {
                *address == other.address && *vendor_id == other.vendor_id && *product_id == other.product_id
            }
            KnownBy::UsbPort { .. } | KnownBy::UsbSerial { .. } => false,
        }
    }
    /// It is this one.
    pub fn is_plugged(&self, other: &UsbDevice) -> bool {
        let kind = |vendor: &str, product: &str| vendor == other.vendor_id && product == other.product_id;
        match &self.known_by {
            KnownBy::Pci { .. } => false,
            KnownBy::UsbPort { port, vendor_id, product_id } => {
                *port == other.port && kind(vendor_id, product_id)
            }
            KnownBy::UsbSerial { serial, vendor_id, product_id } => {
                other.serial.as_ref() == Some(serial) && kind(vendor_id, product_id)
            }
        }
    }
    /// What it is, with how it is found again, for messages.
    pub fn described(&self) -> String {
        match &self.known_by {
            KnownBy::Pci { address, vendor_id, product_id } => {
                format!("PCI device {address}, {} ({vendor_id}:{product_id})", self.name)
            }
            KnownBy::UsbPort { port, vendor_id, product_id } => {
                format!("USB device {} ({vendor_id}:{product_id}) in port {port}", self.name)
            }
            KnownBy::UsbSerial { serial, vendor_id, product_id } => {
                format!("USB device {} ({vendor_id}:{product_id}) with the serial number {serial}", self.name)
            }
        }
    }
}

impl PciDevice {
    /// It, as a machine has it.
    pub fn known(&self) -> HostDevice {
        HostDevice {
            id: self.id.clone(),
            name: self.name(),
            known_by: KnownBy::Pci {
                address: self.address.clone(),
                vendor_id: self.vendor_id.clone(),
                product_id: self.product_id.clone(),
            },
        }
    }
    /// What people call it.
    pub fn name(&self) -> String {
        named(self.vendor.as_deref(), self.product.as_deref())
            .or_else(|| self.class.clone())
            .unwrap_or_else(|| format!("{}:{}", self.vendor_id, self.product_id))
    }
    /// It joins buses, and is nothing that a machine could use.
    pub fn is_bridge(&self) -> bool {
        self.class_id.starts_with("06")
    }
}

impl UsbDevice {
    /// It, as a machine has it; `alone`: no other device of the host has its ids and its serial number.
    pub fn known(&self, follow: UsbFollow) -> Option<HostDevice> {
        let (vendor_id, product_id) = (self.vendor_id.clone(), self.product_id.clone());
        let (id, known_by) = match follow {
            UsbFollow::Port => {
                (self.id.clone(), KnownBy::UsbPort { port: self.port.clone(), vendor_id, product_id })
            }
            UsbFollow::Serial => {
                let serial = self.serial.clone().filter(|serial| is_telling(serial))?;
                let id = format!("usb-{vendor_id}:{product_id}-{serial}");
                (id, KnownBy::UsbSerial { serial, vendor_id, product_id })
            }
        };
        Some(HostDevice { id, name: self.name(), known_by })
    }
    /// What people call it.
    pub fn name(&self) -> String {
        named(self.vendor.as_deref(), self.product.as_deref())
            .unwrap_or_else(|| format!("{}:{}", self.vendor_id, self.product_id))
    }
}

/// A serial number that a device can be found by: short, and of signs that an address of the API carries.
fn is_telling(serial: &str) -> bool {
    let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=64).contains(&serial.len()) && serial.chars().all(sign)
}

fn named(vendor: Option<&str>, product: Option<&str>) -> Option<String> {
    match (vendor, product) {
        (Some(vendor), Some(product)) if product.starts_with(vendor) => Some(product.to_owned()),
        (Some(vendor), Some(product)) => Some(format!("{vendor} {product}")),
        (Some(one), None) | (None, Some(one)) => Some(one.to_owned()),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stick(port: &str, serial: Option<&str>) -> UsbDevice {
        UsbDevice {
            id: format!("usb-{port}"),
            port: port.into(),
            vendor_id: "0781".into(),
            product_id: "5581".into(),
            vendor: Some("SanDisk".into()),
            product: Some("SanDisk Ultra".into()),
            serial: serial.map(str::to_owned),
            ..UsbDevice::default()
        }
    }

    #[test]
    fn a_usb_device_is_found_again_by_its_port_or_its_serial_number() {
        let (one, other) = (stick("1-2", Some("A1")), stick("1-3", Some("B2")));
        let port = one.known(UsbFollow::Port).expect("a port");
        assert_eq!((port.id.as_str(), port.name.as_str()), ("usb-1-2", "SanDisk Ultra"));
        assert!(port.is_plugged(&one) && !port.is_plugged(&other));
        let serial = one.known(UsbFollow::Serial).expect("a serial number");
        assert_eq!(serial.id, "usb-0781:5581-A1");
        assert!(serial.is_plugged(&stick("2-1", Some("A1"))), "in any port");
        assert!(!serial.is_plugged(&stick("1-2", Some("B2"))), "another one in its port");
        assert_eq!(serial.alias(), "ua-usb-0781-5581-A1");
        for untelling in [None, Some(""), Some("a b"), Some("a/b")] {
            assert_eq!(stick("1-2", untelling).known(UsbFollow::Serial), None, "{untelling:?}");
        }
    }

    #[test]
    fn a_pci_device_is_another_one_when_another_card_is_in_its_slot() {
        let card = PciDevice {
            id: "pci-0000:01:00.0".into(),
            address: "0000:01:00.0".into(),
            vendor_id: "8086".into(),
            product_id: "1533".into(),
            class_id: "020000".into(),
            ..PciDevice::default()
        };
        let known = card.known();
        assert!(known.is_at(&card) && known.is_pci() && !known.hot_plugs());
        assert!(!known.is_at(&PciDevice { product_id: "10d3".into(), ..card.clone() }));
        assert_eq!(known.alias(), "ua-pci-0000-01-00-0");
        assert_eq!(known.described(), "PCI device 0000:01:00.0, 8086:1533 (8086:1533)");
    }
}
