//! Devices of a running machine: plugged in, changed, pulled out. What is kept for its next start is [`Hypervisor::define`]'s.
//!
//! Each call may be done again after a crash: the caller looks first at what the machine has.

use crate::Hypervisor;
use crate::call::{QUICK, SLOW};
use crate::domain_xml::{self, NAMESPACE};
use crate::element::element;
use crate::error::VirtError;
use crate::lifecycle::takes_direct_io;
use crate::plan::{DiskSource, NicSource};
use hostd_types::{DiskBus, VmId};
use virt::domain::Domain;
use virt::error::Error;
use virt_sys as sys;

impl Hypervisor {
    /// Plugs a disk in.
    ///
    /// # Errors
    /// libvirt's or QEMU's refusal: the file can't be opened, no slot is free.
    pub async fn plug_disk(&self, vm: VmId, disk: &DiskSource) -> Result<(), VirtError> {
        let disk = disk.clone();
        let plug = move |domain: &Domain| {
            if disk.bus == DiskBus::Scsi && !has_scsi(&domain.xml_desc(0)?) {
                // libvirt would add one of another kind.
                let controller = domain_xml::scsi_controller().to_xml();
                domain.attach_device_flags(&controller, sys::VIR_DOMAIN_AFFECT_LIVE)?;
            }
            let xml = domain_xml::disk(&disk, takes_direct_io(&disk.path), None).to_xml();
            domain.attach_device_flags(&xml, sys::VIR_DOMAIN_AFFECT_LIVE)
        };
        self.touch(vm, "plug a disk in", plug).await
    }

    /// Asks the guest to let go of a disk, and waits a few seconds for it; look again to see whether it did.
    ///
    /// # Errors
    /// libvirt's or QEMU's refusal.
    pub async fn unplug_disk(&self, vm: VmId, disk: &DiskSource) -> Result<(), VirtError> {
        let xml = domain_xml::disk(disk, false, None).to_xml();
        let pull = move |domain: &Domain| domain.detach_device_flags(&xml, sys::VIR_DOMAIN_AFFECT_LIVE);
        self.touch(vm, "pull a disk out", pull).await
    }

    /// Lets a disk of a running machine have `size_bytes`; done again it does nothing.
    ///
    /// # Errors
    /// libvirt's or QEMU's refusal; also when it is larger already.
    pub async fn grow_disk(&self, vm: VmId, disk: &DiskSource, size_bytes: u64) -> Result<(), VirtError> {
        let target = domain_xml::target(disk.bus, disk.slot);
        let grow = move |domain: &Domain| {
            let has = domain.block_info(&target, 0)?.capacity;
            if has == size_bytes {
                return Ok(());
            }
            // QEMU would cut the end off.
            let size_bytes = size_bytes.max(has);
            domain.block_resize(&target, size_bytes, sys::VIR_DOMAIN_BLOCK_RESIZE_BYTES)
        };
        self.touch(vm, "grow a disk", grow).await
    }

    /// Plugs a network card in.
    ///
    /// # Errors
    /// libvirt's or QEMU's refusal: its bridge is not there, no slot is free.
    pub async fn plug_nic(&self, vm: VmId, nic: &NicSource) -> Result<(), VirtError> {
        let xml = domain_xml::card(nic, None).to_xml();
        let plug = move |domain: &Domain| domain.attach_device_flags(&xml, sys::VIR_DOMAIN_AFFECT_LIVE);
        self.touch(vm, "plug a network card in", plug).await
    }

    /// Asks the guest to let go of a network card, and waits a few seconds for it; look again to see whether it did.
    ///
    /// # Errors
    /// libvirt's or QEMU's refusal.
    pub async fn unplug_nic(&self, vm: VmId, nic: &NicSource) -> Result<(), VirtError> {
        let xml = domain_xml::card(nic, None).to_xml();
        let pull = move |domain: &Domain| domain.detach_device_flags(&xml, sys::VIR_DOMAIN_AFFECT_LIVE);
        self.touch(vm, "pull a network card out", pull).await
    }

    /// Moves a card to another bridge, pulls its cable or puts it in.
    ///
    /// # Errors
    /// libvirt's refusal: the bridge is not there.
    pub async fn update_nic(&self, vm: VmId, nic: &NicSource) -> Result<(), VirtError> {
        let nic = nic.clone();
        let change = move |domain: &Domain| {
            let live = domain.xml_desc(0)?;
            // libvirt takes a card's own place in the boot order as a change when it is left out.
            let order = boot_place(&live, &nic.mac);
            let xml = domain_xml::card(&nic, order).to_xml();
            domain.update_device_flags(&xml, sys::VIR_DOMAIN_AFFECT_LIVE).map(drop)
        };
        self.touch(vm, "change a network card", change).await
    }

    /// Gives a running machine more CPUs, within what it was started with, and notes that Quantix did.
    ///
    /// # Errors
    /// libvirt's or QEMU's refusal.
    pub async fn set_cpus(&self, vm: VmId, cpus: u32, generation: u64) -> Result<(), VirtError> {
        let give = move |domain: &Domain| {
            domain.set_vcpus_flags(cpus, sys::VIR_DOMAIN_VCPU_LIVE)?;
            // What it was started with stays noted.
            let cpu = crate::definition::noted_cpu(&domain.xml_desc(0)?);
            let note = element("domain").with("generation", generation).with("cpus", cpus);
            let note = note.with_some("cpu", cpu).to_xml();
            let kind = i32::try_from(sys::VIR_DOMAIN_METADATA_ELEMENT).unwrap_or_default();
            let (key, uri) = (Some("quantix"), Some(NAMESPACE));
            domain.set_metadata(kind, Some(&note), key, uri, sys::VIR_DOMAIN_AFFECT_LIVE)
        };
        self.touch(vm, "add CPUs", give).await
    }

    /// Asks a running guest to give memory back or to take it, within what it was started with, MiB. One without a
    /// driver for it does neither.
    ///
    /// # Errors
    /// libvirt's or QEMU's refusal.
    pub async fn set_memory(&self, vm: VmId, memory_mib: u64) -> Result<(), VirtError> {
        let ask = move |domain: &Domain| {
            domain.set_memory_flags(memory_mib.saturating_mul(1024), sys::VIR_DOMAIN_MEM_LIVE)
        };
        self.touch(vm, "change the memory", ask).await
    }

    pub(crate) async fn touch(
        &self,
        vm: VmId,
        doing: &'static str,
        work: impl FnOnce(&Domain) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), VirtError> {
        let limit = if doing.starts_with("plug") { SLOW } else { QUICK };
        let done = self.shared.on_domain(doing, vm, limit, move |_, domain| work(domain)).await;
        self.shared.forget(vm);
        done
    }
}

/// The machine has what SCSI disks are on.
fn has_scsi(xml: &str) -> bool {
    let Ok(domain) = crate::element::Element::parse(xml) else { return false };
    let devices = domain.child("devices");
    devices.is_some_and(|devices| devices.all("controller").any(|c| c.get("type") == Some("scsi")))
}

/// The place in the boot order of the card with this address.
fn boot_place(xml: &str, mac: &str) -> Option<u32> {
    let domain = crate::element::Element::parse(xml).ok()?;
    let mut cards = domain.child("devices")?.all("interface");
    let own = cards.find(|card| {
        let address = card.child("mac").and_then(|m| m.get("address"));
        address.is_some_and(|address| address.eq_ignore_ascii_case(mac))
    })?;
    own.child("boot")?.get("order")?.parse().ok()
}
