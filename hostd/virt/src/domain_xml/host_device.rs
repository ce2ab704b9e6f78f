//! Devices of the host in a domain. libvirt takes them from the host's drivers at the start and gives them back
//! (`managed`); each carries an alias by which it is found again.

use crate::element::{Element, element};
use crate::plan::{DomainPlan, HostSource};
use hostd_types::KnownBy;

/// The plan's devices of the host.
pub fn host_devices(plan: &DomainPlan) -> impl Iterator<Item = Element> {
    plan.host.devices.iter().map(host_device)
}

/// How many of them take a port of their own on the PCI bus.
pub fn ports(plan: &DomainPlan) -> usize {
    plan.host.devices.iter().filter(|source| source.device.is_pci()).count()
}

/// One device of the host.
pub fn host_device(source: &HostSource) -> Element {
    let device = element("hostdev").with("mode", "subsystem");
    let device = match &source.device.known_by {
        KnownBy::Pci { address, .. } => {
            let place = element("source").holding_all(pci_address(address));
            device.with("type", "pci").with("managed", "yes").holding(place)
        }
        KnownBy::UsbPort { vendor_id, product_id, .. } | KnownBy::UsbSerial { vendor_id, product_id, .. } => {
            let id = |name: &'static str, id: &str| element(name).with("id", format!("0x{id}"));
            let place = element("source").holding(id("vendor", vendor_id)).holding(id("product", product_id));
            // Its number on the bus is another one each time it is plugged in, and tells two of a kind apart.
            let number =
                source.usb.map(|(bus, number)| element("address").with("bus", bus).with("device", number));
            device.with("type", "usb").with("managed", "yes").holding(place.holding_all(number))
        }
    };
    device.holding(element("alias").with("name", source.device.alias()))
}

/// `0000:01:00.0` as libvirt writes it.
fn pci_address(address: &str) -> Option<Element> {
    let (place, function) = address.rsplit_once('.')?;
    let mut parts = place.split(':');
    let (domain, bus, slot) = (parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str| format!("0x{text}");
    Some(
        element("address")
            .with("domain", hex(domain))
            .with("bus", hex(bus))
            .with("slot", hex(slot))
            .with("function", hex(function)),
    )
}

/// What a definition calls its devices of the host: by our alias, or by their place when somebody else put them in.
pub fn seen(devices: &Element) -> Vec<String> {
    let named = |device: &Element| {
        let alias = device.child("alias").and_then(|alias| alias.get("name"));
        if let Some(alias) = alias.filter(|alias| alias.starts_with("ua-")) {
            return alias.to_owned();
        }
        let source = device.child("source");
        let parts = source.into_iter().flat_map(|source| &source.children).flat_map(|part| &part.attributes);
        let parts: Vec<&str> = parts.map(|(_, value)| value.as_str()).collect();
        format!("{} {}", device.get("type").unwrap_or("unknown"), parts.join(":"))
    };
    devices.all("hostdev").map(named).collect()
}
