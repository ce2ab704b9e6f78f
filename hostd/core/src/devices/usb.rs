//! USB devices, from `/sys/bus/usb/devices`.

use super::sysfs::{Tree, Uses};
use hostd_types::UsbDevice;

/// Class of hubs, which are part of the way and not devices of their own.
const HUB: &str = "09";

/// All but hubs, by bus and port.
pub(super) fn list(tree: &Tree, uses: &Uses) -> Vec<UsbDevice> {
    let names = tree.names("bus/usb/devices");
    let ports = names.iter().filter(|name| is_port(name));
    let mut devices: Vec<UsbDevice> = ports.filter_map(|port| read(tree, uses, &names, port)).collect();
    devices.sort_by_key(|device| (device.bus, path(&device.port)));
    devices
}

/// `1-2.3`: bus and ports. Root hubs are called `usb1`, and interfaces have a colon.
fn is_port(name: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let Some((bus, ports)) = name.split_once('-') else { return false };
    number(bus) && ports.split('.').all(number)
}

/// A port to sort by.
fn path(port: &str) -> Vec<u32> {
    port.split(['-', '.']).filter_map(|part| part.parse().ok()).collect()
}

fn read(tree: &Tree, uses: &Uses, all: &[String], port: &str) -> Option<UsbDevice> {
    let at = |file: &str| format!("bus/usb/devices/{port}/{file}");
    let (vendor_id, product_id) = (tree.hex(&at("idVendor"), 4)?, tree.hex(&at("idProduct"), 4)?);
    if tree.text(&at("bDeviceClass")).as_deref() == Some(HUB) {
        return None;
    }
    let (maker, kind) = names(&vendor_id, &product_id);
    let interface = |name: &&String| name.strip_prefix(port).is_some_and(|rest| rest.starts_with(':'));
    let interfaces = all.iter().filter(interface);
    let mut drivers: Vec<String> =
        interfaces.filter_map(|name| tree.link(&format!("bus/usb/devices/{name}/driver"))).collect();
    drivers.sort();
    drivers.dedup();
    Some(UsbDevice {
        id: format!("usb-{port}"),
        bus: tree.number(&at("busnum"))?,
        device: tree.number(&at("devnum"))?,
        port: port.to_owned(),
        vendor: tree.text(&at("manufacturer")).or(maker),
        product: tree.text(&at("product")).or(kind),
        serial: tree.text(&at("serial")),
        drivers,
        speed_mbit: tree.text(&at("speed")).and_then(|speed| speed.split('.').next()?.parse().ok()),
        usage: uses.of(port),
        vendor_id,
        product_id,
    })
}

fn names(vendor: &str, product: &str) -> (Option<String>, Option<String>) {
    let (Ok(vendor), Ok(product)) = (u16::from_str_radix(vendor, 16), u16::from_str_radix(product, 16))
    else {
        return (None, None);
    };
    let known = usb_ids::Device::from_vid_pid(vendor, product);
    let maker = match known {
        Some(device) => Some(device.vendor().name()),
        None => usb_ids::Vendors::iter().find(|maker| maker.id() == vendor).map(|maker| maker.name()),
    };
    (maker.map(str::to_owned), known.map(|device| device.name().to_owned()))
}
