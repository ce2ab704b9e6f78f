//! Domains that somebody else made: what they are, and how one becomes ours or is given back. Nothing here changes a domain
//! unless it is asked to.

use crate::Hypervisor;
use crate::call::QUICK;
use crate::definition;
use crate::domain_xml;
use crate::element::Element;
use crate::error::VirtError;
use crate::observe::SeenDomain;
use crate::plan::DomainShape;
use crate::variables::copy_whole;
use hostd_types::{VmId, VmState};
use std::path::PathBuf;
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::Error;
use virt_sys as sys;

/// A domain that Quantix did not make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignDomain {
    /// Its UUID.
    pub vm: VmId,
    /// What it does.
    pub state: VmState,
    /// What its next start uses, as far as we set such things.
    pub shape: DomainShape,
    /// Its processor's architecture.
    pub arch: String,
    /// libvirt starts it when it is started itself.
    pub autostart: bool,
    /// libvirt keeps its memory.
    pub saved: bool,
    /// How many snapshots libvirt keeps of it.
    pub snapshots: u32,
    /// Its firmware insists on Secure Boot.
    pub secure_boot: bool,
    /// File of its UEFI variables.
    pub nvram: Option<PathBuf>,
    /// Its disks, not its drives for CDs and floppies.
    pub disks: Vec<ForeignDisk>,
    /// Its network cards.
    pub nics: Vec<ForeignNic>,
    /// Its drives for CDs and floppies that hold something.
    pub media: usize,
    /// Kinds of all other devices, in libvirt's words.
    pub others: Vec<String>,
}

/// A disk of such a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignDisk {
    /// Its name on its bus.
    pub target: String,
    /// Its bus.
    pub bus: String,
    /// `file`, `block`, `network`, …
    pub kind: String,
    /// Its file, device or address.
    pub source: PathBuf,
    /// Format that QEMU is told.
    pub format: String,
    /// Nothing is written to it, or others write to it, too.
    pub shared: bool,
}

/// A network card of such a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignNic {
    /// Hardware address.
    pub mac: String,
    /// Model.
    pub model: String,
    /// `bridge`, `network`, `direct`, …
    pub kind: String,
    /// What it is plugged into.
    pub source: String,
    /// Its cable is in.
    pub plugged: bool,
}

impl Hypervisor {
    /// What there is to know about the domains of `seen`.
    ///
    /// # Errors
    /// When libvirt does not answer.
    pub async fn foreign(&self, seen: Vec<SeenDomain>) -> Result<Vec<ForeignDomain>, VirtError> {
        let work = move |connect: &Connect| {
            let mut found = Vec::new();
            for domain in &seen {
                match look(connect, domain) {
                    Ok(foreign) => found.extend(foreign),
                    Err(error) if error.code().to_raw() == sys::VIR_ERR_NO_DOMAIN => {} // gone meanwhile
                    Err(error) => return Err(error),
                }
            }
            Ok(found)
        };
        self.shared.call(&self.shared.observe, "look at other domains", QUICK, work).await
    }

    /// The definition of a domain with everything in it, secrets too, for putting it back some day.
    ///
    /// # Errors
    /// When there is no such domain.
    pub async fn whole_xml(&self, vm: VmId) -> Result<String, VirtError> {
        let flags = sys::VIR_DOMAIN_XML_INACTIVE | sys::VIR_DOMAIN_XML_SECURE;
        self.shared.on_domain("read its definition", vm, QUICK, move |_, domain| domain.xml_desc(flags)).await
    }

    /// Before a domain is defined as ours: libvirt starts it no more by itself, and its UEFI variables are where ours are.
    ///
    /// # Errors
    /// libvirt's refusal, or that the variables can't be copied.
    pub async fn prepare_adoption(&self, vm: VmId, nvram: Option<PathBuf>) -> Result<(), VirtError> {
        if let Some(from) = nvram {
            let copy = move || copy_whole(&from, &domain_xml::nvram(vm, false));
            let copied = tokio::task::spawn_blocking(copy).await.map_err(std::io::Error::other);
            copied.and_then(|done| done).map_err(|e| VirtError::local("copy the UEFI variables", e))?;
        }
        self.shared.on_domain("take over", vm, QUICK, |_, domain| domain.set_autostart(false)).await
    }

    /// Defines a domain as somebody else had done it.
    ///
    /// # Errors
    /// libvirt's refusal.
    pub async fn give_back(&self, vm: VmId, xml: String, autostart: bool) -> Result<(), VirtError> {
        let name = Element::parse(&xml).ok().and_then(|d| d.child("name").map(|name| name.text.clone()));
        let back = move |connect: &Connect| {
            if let (Ok(ours), Some(name)) = (connect.lookup_domain_by_uuid(vm.uuid()), name)
                && ours.name()? != name
            {
                ours.rename(&name, 0)?;
            }
            connect.define_domain_xml(&xml)?.set_autostart(autostart)
        };
        let done = self.shared.call(&self.shared.control, "give back", QUICK, back).await;
        self.shared.forget(vm);
        done
    }
}

fn look(connect: &Connect, seen: &SeenDomain) -> Result<Option<ForeignDomain>, Error> {
    let domain: Domain = connect.lookup_domain_by_uuid(seen.vm.uuid())?;
    let xml = domain.xml_desc(sys::VIR_DOMAIN_XML_INACTIVE)?;
    let Some(read) = read(&xml) else {
        tracing::warn!(vm = %seen.vm, "the definition of another domain can't be read");
        return Ok(None);
    };
    Ok(Some(ForeignDomain {
        vm: seen.vm,
        state: seen.state,
        // What can't be asked of a domain that is not kept does not stand in the way of anything.
        autostart: domain.autostart().unwrap_or_default(),
        saved: domain.has_managed_save(0).unwrap_or_default(),
        snapshots: domain.num_snapshots(0).unwrap_or_default(),
        ..read
    }))
}

fn read(xml: &str) -> Option<ForeignDomain> {
    let domain = Element::parse(xml).ok()?;
    let shape = definition::read(xml).ok()?.shape;
    let none = Element::default();
    let os = domain.child("os").unwrap_or(&none);
    let devices = domain.child("devices").unwrap_or(&none);
    let attribute = |element: &Element, child: &str, name: &str| {
        element.child(child).and_then(|child| child.get(name)).unwrap_or_default().to_owned()
    };
    let kind = |element: &Element| element.get("type").unwrap_or_default().to_owned();
    let is_disk = |disk: &&Element| matches!(disk.get("device").unwrap_or("disk"), "disk" | "lun");
    let source = |element: &Element, names: &[&str]| {
        let source = element.child("source");
        let found = names.iter().find_map(|name| source.and_then(|source| source.get(name)));
        found.unwrap_or_default().to_owned()
    };
    let disk = |disk: &Element| ForeignDisk {
        target: attribute(disk, "target", "dev"),
        bus: attribute(disk, "target", "bus"),
        kind: kind(disk),
        source: source(disk, &["file", "dev", "name", "volume", "dir"]).into(),
        format: attribute(disk, "driver", "type"),
        shared: disk.child("readonly").is_some()
            || disk.child("shareable").is_some()
            || disk.child("transient").is_some()
            || disk.child("encryption").is_some(),
    };
    let nic = |nic: &Element| ForeignNic {
        mac: attribute(nic, "mac", "address").to_ascii_lowercase(),
        model: attribute(nic, "model", "type"),
        kind: kind(nic),
        source: source(nic, &["bridge", "network", "dev", "path"]),
        plugged: nic.child("link").and_then(|link| link.get("state")) != Some("down"),
    };
    let enforced = |feature: &Element| {
        feature.get("name") == Some("secure-boot") && feature.get("enabled") == Some("yes")
    };
    let secure = os.child("loader").and_then(|loader| loader.get("secure")) == Some("yes")
        || os.child("firmware").is_some_and(|firmware| firmware.all("feature").any(enforced));
    let drives = devices.all("disk").filter(|disk| !is_disk(disk));
    Some(ForeignDomain {
        vm: VmId::from_uuid(uuid::Uuid::nil()),
        state: VmState::Unknown,
        shape,
        arch: attribute(os, "type", "arch"),
        autostart: false,
        saved: false,
        snapshots: 0,
        secure_boot: secure,
        nvram: os.child("nvram").map(|file| file.text.trim()).filter(|file| !file.is_empty()).map(Into::into),
        disks: devices.all("disk").filter(is_disk).map(disk).collect(),
        nics: devices.all("interface").map(nic).collect(),
        media: drives.filter(|drive| drive.child("source").is_some()).count(),
        others: others(devices),
    })
}

/// Kinds of the devices that are neither disks nor cards, each once.
fn others(devices: &Element) -> Vec<String> {
    let mut kinds: Vec<String> = devices.children.iter().map(|device| device.name.to_string()).collect();
    kinds.retain(|kind| !matches!(kind.as_str(), "disk" | "interface" | "emulator" | "controller"));
    kinds.sort();
    kinds.dedup();
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn what_matters_of_another_domain_is_read() {
        let xml = "<domain type='kvm'><name>old</name><memory unit='MiB'>512</memory><vcpu>2</vcpu>\
            <os firmware='efi'><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type><firmware><feature enabled='yes' name='secure-boot'/>\
            </firmware><nvram>/n/old.fd</nvram></os><devices><emulator>/q</emulator>\
            <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/p/a.raw'/><target dev='hda' bus='ide'/></disk>\
            <disk type='block'><source dev='/dev/sdb'/><target dev='vda' bus='virtio'/><shareable/></disk>\
            <disk type='file' device='cdrom'><source file='/x.iso'/><target dev='hdc' bus='ide'/></disk>\
            <interface type='network'><mac address='52:54:00:AA:00:01'/><source network='default'/><model type='rtl8139'/></interface>\
            <tpm model='tpm-crb'/><hostdev/><hostdev/><serial/></devices></domain>";
        let seen = read(xml).expect("well-formed");
        assert!(seen.secure_boot && seen.nvram == Some("/n/old.fd".into()));
        assert_eq!((seen.arch.as_str(), seen.media), ("x86_64", 1));
        assert_eq!(seen.others, ["hostdev", "serial", "tpm"]);
        let disks: Vec<_> =
            seen.disks.iter().map(|d| (d.target.as_str(), d.kind.as_str(), d.shared)).collect();
        assert_eq!(disks, [("hda", "file", false), ("vda", "block", true)]);
        assert_eq!(seen.disks[0].source, Path::new("/p/a.raw"));
        assert_eq!(
            (seen.nics[0].mac.as_str(), seen.nics[0].source.as_str()),
            ("52:54:00:aa:00:01", "default")
        );
        assert!(read("<domain>").is_none());
    }
}
