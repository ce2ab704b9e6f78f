//! Devices of the host that come and go while a machine runs.

use crate::Hypervisor;
use crate::domain_xml;
use crate::element::Element;
use crate::error::VirtError;
use crate::plan::HostSource;
use hostd_types::VmId;
use virt::domain::Domain;
use virt_sys as sys;

impl Hypervisor {
    /// Gives the running machine a device of the host.
    ///
    /// # Errors
    /// libvirt's or QEMU's refusal: it is gone, a driver does not let go of it.
    pub async fn plug_host_device(&self, vm: VmId, source: &HostSource) -> Result<(), VirtError> {
        let xml = domain_xml::host_device(source).to_xml();
        let plug = move |domain: &Domain| domain.attach_device_flags(&xml, sys::VIR_DOMAIN_AFFECT_LIVE);
        self.touch(vm, "plug a device of the host in", plug).await
    }

    /// Takes a device of the host out of the running machine; fine if it is out.
    ///
    /// # Errors
    /// libvirt's or QEMU's refusal.
    pub async fn unplug_host_device(&self, vm: VmId, source: &HostSource) -> Result<(), VirtError> {
        let alias = source.device.alias();
        let pull = move |domain: &Domain| {
            // It may be gone from the host, and has the number it was plugged in with: libvirt's own words for it match.
            let live = domain.xml_desc(0)?;
            match with_alias(&live, &alias) {
                Some(device) => domain.detach_device_flags(&device.to_xml(), sys::VIR_DOMAIN_AFFECT_LIVE),
                None => Ok(()),
            }
        };
        self.touch(vm, "pull a device of the host out", pull).await
    }
}

/// The device of the host with this alias.
fn with_alias(xml: &str, alias: &str) -> Option<Element> {
    let domain = Element::parse(xml).ok()?;
    let mut all = domain.child("devices")?.all("hostdev");
    let is = |device: &&Element| device.child("alias").and_then(|a| a.get("name")) == Some(alias);
    all.find(is).cloned()
}
