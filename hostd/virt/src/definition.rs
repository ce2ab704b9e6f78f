//! Reading libvirt's domain XML back: only what we set, whoever wrote it.

use crate::domain_xml::{NAMESPACE, SEED_FILE, seen_host_devices};
use crate::element::Element;
use crate::facets;
use crate::plan::{Consoles, DomainShape, SeenDisk, SeenDrive, SeenNic};
use hostd_types::{BootDevice, CpuMode, CpuTopology, Firmware};
use std::path::PathBuf;

/// What one definition (live or persistent) says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definition {
    /// The things we set.
    pub shape: DomainShape,
    /// Generation in our metadata; none when Quantix did not make it.
    pub generation: Option<u64>,
    /// Its consoles, whether it runs or not.
    pub consoles: Consoles,
}

/// Reads a domain's XML.
///
/// # Errors
/// A sentence when it is not well-formed.
pub fn read(xml: &str) -> Result<Definition, String> {
    let domain = Element::parse(xml)?;
    let text = |path: &[&str]| domain.at(path).map(|e| e.text.trim().to_owned());
    let none = Element::default();
    let devices = domain.child("devices").unwrap_or(&none);
    let drives =
        |kind: &'static str| devices.all("disk").filter(move |d| d.get("device").unwrap_or("disk") == kind);
    let cpus_max = text(&["vcpu"]).and_then(|t| t.parse().ok()).unwrap_or(0);
    let cpus = domain.child("vcpu").and_then(|vcpu| vcpu.get("current")?.parse().ok());
    let memory_max_mib = domain.child("memory").map_or(0, mebibytes);
    let ours = ours(&domain);
    let shape = DomainShape {
        name: text(&["name"]).unwrap_or_default(),
        cpus: cpus.unwrap_or(cpus_max),
        cpus_max,
        cpus_given: ours.and_then(|ours| ours.get("cpus")?.parse().ok()),
        cpu_model: ours.and_then(|ours| ours.get("cpu")).map(str::to_owned),
        cpu_mode: domain.child("cpu").and_then(cpu_mode),
        topology: domain.at(&["cpu", "topology"]).and_then(topology),
        machine_type: domain.at(&["os", "type"]).and_then(|t| t.get("machine")).unwrap_or_default().into(),
        seed: devices.all("disk").any(is_seed),
        memory_mib: domain.child("currentMemory").map_or(memory_max_mib, mebibytes),
        memory_max_mib,
        firmware: firmware(&domain),
        boot: boot(devices),
        disks: drives("disk").filter(|drive| !is_seed(drive)).filter_map(disk).collect(),
        cdrom: drives("cdrom").find(|drive| !is_seed(drive)).and_then(source_of),
        more_cdroms: drives("cdrom").filter(|drive| !is_seed(drive)).skip(1).map(drive).collect(),
        nics: devices.all("interface").map(card).collect(),
        facets: facets::facets(&domain),
        host_devices: seen_host_devices(devices),
    };
    let generation = ours.and_then(|ours| ours.get("generation")?.parse().ok());
    Ok(Definition { shape, generation, consoles: consoles(devices) })
}

fn cpu_mode(cpu: &Element) -> Option<CpuMode> {
    match cpu.get("mode")? {
        // libvirt writes a running machine's `host-model` as the named one that it became.
        "host-model" | "custom" => Some(CpuMode::Flexible),
        "host-passthrough" => Some(CpuMode::Performance),
        _ => None,
    }
}

fn topology(element: &Element) -> Option<CpuTopology> {
    let number = |name| element.get(name)?.parse().ok();
    Some(CpuTopology { sockets: number("sockets")?, threads: number("threads")? })
}

fn firmware(domain: &Element) -> Firmware {
    let Some(os) = domain.child("os") else { return Firmware::Bios };
    let loader = |key: &str| os.child("loader").and_then(|loader| loader.get(key));
    if os.get("firmware") != Some("efi") && loader("type") != Some("pflash") {
        return Firmware::Bios;
    }
    if loader("secure") == Some("yes") { Firmware::UefiSecure } else { Firmware::Uefi }
}

/// A size element in MiB; libvirt writes KiB, people write anything its documentation lists.
fn mebibytes(size: &Element) -> u64 {
    let number: u64 = size.text.trim().parse().unwrap_or(0);
    let bytes = match size.get("unit").unwrap_or("KiB") {
        "b" | "bytes" => number,
        "KB" => number.saturating_mul(1000),
        "MB" => number.saturating_mul(1_000_000),
        "GB" => number.saturating_mul(1_000_000_000),
        "M" | "MiB" => number.saturating_mul(1 << 20),
        "G" | "GiB" => number.saturating_mul(1 << 30),
        "T" | "TiB" => number.saturating_mul(1 << 40),
        _ => number.saturating_mul(1 << 10),
    };
    bytes >> 20
}

fn source_of(drive: &Element) -> Option<PathBuf> {
    let source = drive.child("source")?;
    ["file", "dev", "name", "volume"].iter().find_map(|key| source.get(key)).map(PathBuf::from)
}

fn is_seed(drive: &Element) -> bool {
    source_of(drive).is_some_and(|file| file.ends_with(SEED_FILE))
}

fn name_of(drive: &Element) -> String {
    drive.child("target").and_then(|target| target.get("dev")).unwrap_or_default().into()
}

fn disk(disk: &Element) -> Option<SeenDisk> {
    source_of(disk).map(|path| SeenDisk { path, target: name_of(disk) })
}

fn drive(drive: &Element) -> SeenDrive {
    SeenDrive { target: name_of(drive), file: source_of(drive) }
}

/// The kinds of devices that have a place in the firmware's list, in its order.
fn boot(devices: &Element) -> Vec<BootDevice> {
    let kind = |device: &Element| match device.name.as_ref() {
        "interface" => Some(BootDevice::Network),
        "disk" if device.get("device") == Some("cdrom") => Some(BootDevice::Cdrom),
        "disk" => Some(BootDevice::Disk),
        _ => None,
    };
    let place = |device: &Element| device.child("boot")?.get("order")?.parse::<u32>().ok();
    let mut places: Vec<(u32, BootDevice)> =
        devices.children.iter().filter_map(|device| Some((place(device)?, kind(device)?))).collect();
    places.sort_by_key(|(place, _)| *place);
    let mut order: Vec<BootDevice> = places.into_iter().map(|(_, kind)| kind).collect();
    order.dedup();
    order
}

fn card(interface: &Element) -> SeenNic {
    let mac = interface.child("mac").and_then(|m| m.get("address")).unwrap_or_default();
    let source = interface.child("source");
    let bridge = source.and_then(|s| s.get("bridge").or_else(|| s.get("network")).or_else(|| s.get("dev")));
    let plugged = interface.child("link").and_then(|link| link.get("state")) != Some("down");
    SeenNic { mac: mac.to_ascii_lowercase(), bridge: bridge.unwrap_or_default().to_owned(), plugged }
}

/// The processor that Quantix noted in a definition.
pub(crate) fn noted_cpu(xml: &str) -> Option<String> {
    Some(ours(&Element::parse(xml).ok()?)?.get("cpu")?.to_owned())
}

/// Our element in the metadata.
fn ours(domain: &Element) -> Option<&Element> {
    domain.child("metadata")?.children.iter().find(|c| {
        let mut parts = c.name.split(':');
        let (prefix, local) = (parts.next().unwrap_or_default(), parts.next());
        let declared = match local {
            Some(_) => c.get(&format!("xmlns:{prefix}")),
            None => c.get("xmlns"),
        };
        declared == Some(NAMESPACE) && local.unwrap_or(prefix) == "domain"
    })
}

fn consoles(devices: &Element) -> Consoles {
    let vnc = devices.all("graphics").find(|g| g.get("type") == Some("vnc"));
    let listen = vnc.and_then(|g| g.all("listen").find(|l| l.get("type") == Some("socket")));
    let serial = devices.child("serial");
    let socket = serial.filter(|s| s.get("type") == Some("unix")).and_then(|s| s.child("source"));
    let path = |value: Option<&str>| value.map(PathBuf::from);
    Consoles {
        vnc: path(listen.and_then(|l| l.get("socket")).or_else(|| vnc.and_then(|g| g.get("socket")))),
        serial: path(socket.and_then(|s| s.get("path"))),
        serial_log: path(serial.and_then(|s| s.child("log")).and_then(|l| l.get("file"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_definition_made_by_somebody_else_is_read_as_far_as_it_goes() {
        let xml = "<domain type='kvm'><name>other &amp; old</name><memory unit='GiB'>2</memory><currentMemory>1048576</currentMemory>\
            <vcpu current='1'>4</vcpu><cpu mode='host-passthrough'><topology sockets='2' cores='2' \
            threads='1'/></cpu><os><type machine='pc-q35-9.2'>hvm</type><loader type='pflash'>/x</loader></os><metadata>\
            <a:domain xmlns:a='http://elsewhere' generation='9'/></metadata><devices>\
            <disk type='block'><source dev='/dev/sdb'/><target dev='hda'/><boot order='2'/></disk>\
            <disk type='network' device='disk'><source name='pool/image'/></disk>\
            <disk device='cdrom'><source file='/x/cidata.iso'/></disk><disk device='cdrom'/><interface type='network'><mac address='52:54:00:AA:00:01'/>\
            <source network='default'/><link state='down'/><boot order='1'/></interface><graphics type='spice'/></devices></domain>";
        let seen = read(xml).expect("well-formed");
        assert_eq!(seen.generation, None);
        assert_eq!(seen.consoles, Consoles::default());
        let shape = DomainShape {
            name: "other & old".into(),
            cpus: 1,
            cpus_max: 4,
            cpus_given: None,
            cpu_model: None,
            cpu_mode: Some(CpuMode::Performance),
            topology: Some(CpuTopology { sockets: 2, threads: 1 }),
            machine_type: "pc-q35-9.2".into(),
            seed: true,
            memory_mib: 1024,
            memory_max_mib: 2048,
            firmware: Firmware::Uefi,
            boot: vec![BootDevice::Network, BootDevice::Disk],
            disks: vec![
                SeenDisk { path: "/dev/sdb".into(), target: "hda".into() },
                SeenDisk { path: "pool/image".into(), target: String::new() },
            ],
            cdrom: None,
            more_cdroms: Vec::new(),
            nics: vec![SeenNic { mac: "52:54:00:aa:00:01".into(), bridge: "default".into(), plugged: false }],
            facets: seen.shape.facets.clone(),
            host_devices: Vec::new(),
        };
        assert_eq!(seen.shape, shape);
        assert!(read("<domain>").is_err());
        read("<domain/>").expect("an empty definition is well-formed");
    }

    #[test]
    fn our_element_is_found_under_any_prefix() {
        for xml in ["<q:domain xmlns:q='NS' generation='3'/>", "<domain xmlns='NS' generation='3'/>"] {
            let xml = format!("<domain><metadata>{}</metadata></domain>", xml.replace("NS", NAMESPACE));
            assert_eq!(read(&xml).expect("well-formed").generation, Some(3));
        }
    }

    proptest! {
        #[test]
        fn reading_anything_never_panics(xml in any::<String>()) {
            let _ = read(&xml);
        }
    }
}
