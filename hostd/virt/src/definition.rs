//! Reading libvirt's domain XML back: only what we set, whoever wrote it.

use crate::domain_xml::{NAMESPACE, SEED_FILE};
use crate::element::Element;
use crate::plan::{Consoles, DomainShape};
use hostd_types::{CpuMode, CpuTopology, Firmware};
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
    let shape = DomainShape {
        name: text(&["name"]).unwrap_or_default(),
        cpus: text(&["vcpu"]).and_then(|t| t.parse().ok()).unwrap_or(0),
        cpu_mode: domain.child("cpu").and_then(cpu_mode),
        topology: domain.at(&["cpu", "topology"]).and_then(topology),
        machine_type: domain.at(&["os", "type"]).and_then(|t| t.get("machine")).unwrap_or_default().into(),
        seed: drives("cdrom").any(is_seed),
        memory_mib: domain.child("memory").map_or(0, mebibytes),
        firmware: firmware(&domain),
        disks: drives("disk").filter_map(source_of).collect(),
        cdrom: drives("cdrom").find(|drive| !is_seed(drive)).and_then(source_of),
        nics: devices.all("interface").map(card).collect(),
    };
    Ok(Definition { shape, generation: generation(&domain), consoles: consoles(devices) })
}

fn cpu_mode(cpu: &Element) -> Option<CpuMode> {
    match cpu.get("mode")? {
        "host-model" => Some(CpuMode::Flexible),
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
    let pflash = os.child("loader").and_then(|l| l.get("type")) == Some("pflash");
    if os.get("firmware") == Some("efi") || pflash { Firmware::Uefi } else { Firmware::Bios }
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

fn card(interface: &Element) -> (String, String) {
    let mac = interface.child("mac").and_then(|m| m.get("address")).unwrap_or_default();
    let source = interface.child("source");
    let bridge = source.and_then(|s| s.get("bridge").or_else(|| s.get("network")).or_else(|| s.get("dev")));
    (mac.to_ascii_lowercase(), bridge.unwrap_or_default().to_owned())
}

fn generation(domain: &Element) -> Option<u64> {
    let ours = domain.child("metadata")?.children.iter().find(|c| {
        let mut parts = c.name.split(':');
        let (prefix, local) = (parts.next().unwrap_or_default(), parts.next());
        let declared = match local {
            Some(_) => c.get(&format!("xmlns:{prefix}")),
            None => c.get("xmlns"),
        };
        declared == Some(NAMESPACE) && local.unwrap_or(prefix) == "domain"
    })?;
    ours.get("generation")?.parse().ok()
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
        let xml = "<domain type='kvm'><name>other &amp; old</name><memory unit='GiB'>2</memory>\
            <vcpu current='1'>4</vcpu><cpu mode='host-passthrough'><topology sockets='2' cores='2' \
            threads='1'/></cpu><os><type machine='pc-q35-9.2'>hvm</type><loader type='pflash'>/x</loader></os><metadata>\
            <a:domain xmlns:a='http://elsewhere' generation='9'/></metadata><devices>\
            <disk type='block'><source dev='/dev/sdb'/></disk>\
            <disk type='network' device='disk'><source name='pool/image'/></disk>\
            <disk device='cdrom'><source file='/x/cidata.iso'/></disk><disk device='cdrom'/><interface type='network'><mac address='52:54:00:AA:00:01'/>\
            <source network='default'/></interface><graphics type='spice'/></devices></domain>";
        let seen = read(xml).expect("well-formed");
        assert_eq!(seen.generation, None);
        assert_eq!(seen.consoles, Consoles::default());
        let shape = DomainShape {
            name: "other & old".into(),
            cpus: 4,
            cpu_mode: Some(CpuMode::Performance),
            topology: Some(CpuTopology { sockets: 2, threads: 1 }),
            machine_type: "pc-q35-9.2".into(),
            seed: true,
            memory_mib: 2048,
            firmware: Firmware::Uefi,
            disks: vec!["/dev/sdb".into(), "pool/image".into()],
            cdrom: None,
            nics: vec![("52:54:00:aa:00:01".into(), "default".into())],
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
