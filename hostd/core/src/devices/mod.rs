//! Devices of this host: what is on its buses, who uses it, and which of them a machine may have.
//!
//! Everything is read anew from sysfs each time, because devices come and go; nothing of it is kept.

mod pci;
mod rules;
mod sysfs;
#[cfg(test)]
pub(crate) mod tests;
mod usb;

pub(crate) use rules::{check_attach, check_new, find, judge, may_start, missing};

use crate::Core;
use crate::error::{internal, net};
use crate::federation::Ask;
use hostd_types::*;
use hostd_virt::HostSource;
use std::collections::BTreeSet;
use sysfs::{Tree, Uses};

/// What is on the buses, with what the host has of each; `addressed`: links that carry an address of the host.
fn read(tree: &Tree, addressed: &BTreeSet<String>) -> HostDevices {
    let uses = Uses::read(tree, addressed);
    let pci = pci::list(tree, &uses);
    HostDevices { iommu: pci.iter().any(|d| d.iommu_group.is_some()), pci, usb: usb::list(tree, &uses) }
}

impl Core {
    /// Devices of a host, with who uses each and why it can't be given to a machine.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` when it is another one that does not answer.
    pub async fn host_devices(&self, id: HostId) -> Result<HostDevices, Problem> {
        if id == self.host() {
            return self.own_devices(None).await;
        }
        self.ask(id, &Ask::HostDevices).await
    }

    /// The same of this host; `of`: what this machine has is not refused to itself.
    pub(crate) async fn own_devices(&self, of: Option<VmId>) -> Result<HostDevices, Problem> {
        let vms = self.store().vms_on(self.host()).await?;
        let links = self.0.nets.links().await.map_err(net)?;
        let addressed = links.into_iter().filter(|link| !link.addresses.is_empty()).map(|link| link.name);
        let addressed: BTreeSet<String> = addressed.collect();
        let look = move || {
            let mut devices = read(&Tree::default(), &addressed);
            judge(&mut devices, &vms, of);
            devices
        };
        let looked = tokio::task::spawn_blocking(look).await;
        looked.map_err(|error| internal("The host's devices can't be read", error))
    }
}

/// What a domain needs to know of `device` at this moment.
pub(crate) fn source(device: &HostDevice, vm: &Vm, now: Option<&HostDevices>) -> HostSource {
    let usb = now.and_then(|now| now.usb.iter().find(|usb| device.is_plugged(usb)));
    let changing = |request: &DeviceRequest| request.work.is_about_host_device(&device.id);
    HostSource {
        device: device.clone(),
        usb: usb.map(|usb| (usb.bus, usb.device)),
        changing: vm.spec.hardware.changes.iter().any(changing),
    }
}

/// The machine has, or had until now, a device of its host.
pub(crate) fn concerns(vm: &Vm) -> bool {
    let leaving = |request: &DeviceRequest| matches!(request.work, DeviceWork::DetachHostDevice { .. });
    !vm.spec.hardware.host_devices.is_empty() || vm.spec.hardware.changes.iter().any(leaving)
}
