//! Which device a machine may have. Pure rules over what was read, in the user's words.

use crate::admit::Fields;
use hostd_types::*;

/// Said of a device that is not there.
const UNKNOWN: &str =
    "The machine's host has no such device now. Its page and `qx host devices` list what it has.";
/// Driver that keeps a device for machines.
const VFIO: &str = "vfio-pci";

/// Notes who uses each device and why it can't be given to a machine; what `of` has is not refused to it.
pub(crate) fn judge(devices: &mut HostDevices, vms: &[Vm], of: Option<VmId>) {
    let holder = |is: &dyn Fn(&HostDevice) -> bool| {
        vms.iter().find(|vm| {
            let hardware = &vm.spec.hardware;
            let leaving = hardware.changes.iter().filter_map(|request| match &request.work {
                DeviceWork::DetachHostDevice { device, .. } => Some(device),
                DeviceWork::AttachDisk { .. }
                | DeviceWork::DetachDisk { .. }
                | DeviceWork::GrowDisk { .. }
                | DeviceWork::EditDisk { .. }
                | DeviceWork::AttachNic { .. }
                | DeviceWork::EditNic { .. }
                | DeviceWork::DetachNic { .. }
                | DeviceWork::AttachHostDevice { .. } => None,
            });
            hardware.host_devices.iter().chain(leaving).any(is)
        })
    };
    let own = vms.iter().find(|vm| Some(vm.id) == of).map(|vm| vm.spec.name.clone());
    for pci in &mut devices.pci {
        pci.usage.machine = holder(&|known| known.is_at(pci)).map(|vm| vm.spec.name.clone());
    }
    for usb in &mut devices.usb {
        usb.usage.machine = holder(&|known| known.is_plugged(usb)).map(|vm| vm.spec.name.clone());
        usb.usage.refusal = taken(&usb.usage, own.as_deref()).or_else(|| held(&usb.usage));
    }
    let refusals: Vec<Option<String>> =
        devices.pci.iter().map(|pci| pci_refusal(pci, devices, own.as_deref())).collect();
    for (pci, refusal) in devices.pci.iter_mut().zip(refusals) {
        pci.usage.refusal = refusal;
    }
}

fn taken(usage: &DeviceUsage, own: Option<&str>) -> Option<String> {
    let machine = usage.machine.as_deref().filter(|machine| Some(*machine) != own)?;
    Some(format!("{machine} has it. Detach it there first."))
}

/// What the host itself does with a device.
fn held(usage: &DeviceUsage) -> Option<String> {
    if !usage.disks_in_use.is_empty() {
        return Some(format!("The host uses it: {} on it is mounted.", usage.disks_in_use.join(", ")));
    }
    if !usage.links_in_use.is_empty() {
        let links = usage.links_in_use.join(", ");
        return Some(format!("The host uses it: its network runs over {links}."));
    }
    None
}

fn pci_refusal(pci: &PciDevice, all: &HostDevices, own: Option<&str>) -> Option<String> {
    if pci.is_bridge() {
        return Some("It joins the host's buses; there is nothing in it for a machine.".into());
    }
    if let Some(refusal) = taken(&pci.usage, own).or_else(|| held(&pci.usage)) {
        return Some(refusal);
    }
    if !pci.virtual_functions.is_empty() {
        let count = pci.virtual_functions.len();
        return Some(format!(
            "Its {count} virtual functions would vanish with it. Give these to machines instead."
        ));
    }
    let Some(group) = pci.iommu_group else {
        return Some(if all.iommu {
            "It is in no IOMMU group, so nothing would keep it out of the memory of others.".into()
        } else {
            "This host has no IOMMU, so nothing would keep the device out of the memory of others. Switch on VT-d or AMD-Vi \
             (IOMMU) in the host's firmware, if the machine has it."
                .into()
        });
    };
    let others = all.pci.iter().filter(|other| pci.group_with.contains(&other.address) && !other.is_bridge());
    let (mut others, member) = (others, |other: &PciDevice| {
        format!("Its IOMMU group {group} also holds {} ({})", other.address, other.name())
    });
    others.find_map(|other| {
        if let Some(why) = held(&other.usage) {
            return Some(format!("{}. {why}", member(other)));
        }
        let machine = other.usage.machine.as_deref().filter(|machine| Some(*machine) != own)?;
        Some(format!("{}, which {machine} has. Devices of one group go to one machine.", member(other)))
    })
}

/// Devices of the groups of `vm`'s devices that a driver of the host still has.
fn companions<'a>(vm: &Vm, all: &'a HostDevices) -> Vec<&'a PciDevice> {
    let own = |pci: &PciDevice| vm.spec.hardware.host_devices.iter().any(|known| known.is_at(pci));
    let groups: Vec<u32> = all.pci.iter().filter(|pci| own(pci)).filter_map(|pci| pci.iommu_group).collect();
    let bound = |pci: &&PciDevice| {
        let in_group = pci.iommu_group.is_some_and(|group| groups.contains(&group));
        let driver = pci.driver.as_deref().is_some_and(|driver| driver != VFIO);
        in_group && driver && !pci.is_bridge() && !own(pci)
    };
    all.pci.iter().filter(bound).collect()
}

/// The device that is asked for, as a machine has it.
pub(crate) fn find(asked: &AttachHostDevice, all: &HostDevices) -> Option<HostDevice> {
    if let Some(pci) = all.pci.iter().find(|pci| pci.id == asked.device) {
        return Some(pci.known());
    }
    let usb = all.usb.iter().find(|usb| usb.id == asked.device)?;
    match asked.follow {
        Some(follow) => usb.known(follow),
        None if is_alone(usb, all) => usb.known(UsbFollow::Serial).or_else(|| usb.known(UsbFollow::Port)),
        None => usb.known(UsbFollow::Port),
    }
}

/// No other device here has its ids and serial number.
fn is_alone(usb: &UsbDevice, all: &HostDevices) -> bool {
    let twin = |other: &&UsbDevice| {
        (&other.vendor_id, &other.product_id, &other.serial) == (&usb.vendor_id, &usb.product_id, &usb.serial)
    };
    all.usb.iter().filter(twin).count() == 1
}

/// May `vm` have the device that is asked for? `all` was judged for it.
pub(crate) fn check_attach(wrong: &mut Fields, asked: &AttachHostDevice, vm: &Vm, all: &HostDevices) {
    let hardware = &vm.spec.hardware;
    if hardware.host_devices.len() >= HOST_DEVICES_MAX {
        let name = &vm.spec.name;
        wrong.add("", format!("{name} has {HOST_DEVICES_MAX} devices of its host, which is the most."));
    }
    let Some(usage) = usage(&asked.device, all) else { return wrong.add("/device", UNKNOWN) };
    let busy = |request: &DeviceRequest| {
        find(asked, all).is_some_and(|known| request.work.is_about_host_device(&known.id))
    };
    if hardware.changes.iter().any(busy) {
        wrong.add("/device", "It is being attached or detached already; wait for that to end.");
    } else if usage.machine.as_ref() == Some(&vm.spec.name) {
        wrong.add("/device", format!("{} has it already.", vm.spec.name));
    } else if let Some(refusal) = &usage.refusal {
        wrong.add("/device", refusal.clone());
    }
    wrong.check("/follow", check_follow(asked, all));
}

/// May a new machine have the devices that are asked for? `all` was judged for no machine.
pub(crate) fn check_new(wrong: &mut Fields, asked: &[AttachHostDevice], all: &HostDevices) {
    if asked.len() > HOST_DEVICES_MAX {
        let detail = format!("A machine has at most {HOST_DEVICES_MAX} devices of its host.");
        return wrong.add("/host_devices", detail);
    }
    for (index, one) in asked.iter().enumerate() {
        let at = format!("/host_devices/{index}");
        match usage(&one.device, all) {
            None => wrong.add(format!("{at}/device"), UNKNOWN),
            Some(_) if asked[..index].iter().any(|other| other.device == one.device) => {
                wrong.add(format!("{at}/device"), "This device is listed twice.");
            }
            Some(usage) => {
                wrong.check(&format!("{at}/device"), usage.refusal.clone().map_or(Ok(()), Err));
                wrong.check(&format!("{at}/follow"), check_follow(one, all));
            }
        }
    }
}

/// Who uses the device with this id.
fn usage<'a>(id: &str, all: &'a HostDevices) -> Option<&'a DeviceUsage> {
    let pci = all.pci.iter().find(|pci| pci.id == id).map(|pci| &pci.usage);
    pci.or_else(|| all.usb.iter().find(|usb| usb.id == id).map(|usb| &usb.usage))
}

/// Can the device be found again like that?
fn check_follow(asked: &AttachHostDevice, all: &HostDevices) -> Result<(), String> {
    let usb = all.usb.iter().find(|usb| usb.id == asked.device);
    match (usb, asked.follow) {
        (None, Some(_)) => Err("Only a USB device is followed; a PCI device stays in its slot.".into()),
        (Some(usb), Some(UsbFollow::Serial)) if usb.known(UsbFollow::Serial).is_none() => {
            Err("The device has no serial number to know it by. Follow its port.".into())
        }
        (Some(usb), Some(UsbFollow::Serial)) if !is_alone(usb, all) => {
            Err("Another device here has the same serial number. Follow its port.".into())
        }
        (_, None | Some(UsbFollow::Port | UsbFollow::Serial)) => Ok(()),
    }
}

/// Everything is there that `vm` needs for its start; `all` was judged for it.
///
/// # Errors
/// The device that is missing or can't be given to it now, with the way out.
pub(crate) fn may_start(vm: &Vm, all: &HostDevices) -> Result<(), Problem> {
    let name = &vm.spec.name;
    for known in &vm.spec.hardware.host_devices {
        let pci = all.pci.iter().find(|pci| known.is_at(pci)).map(|pci| &pci.usage);
        let usb = all.usb.iter().find(|usb| known.is_plugged(usb)).map(|usb| &usb.usage);
        let Some(usage) = pci.or(usb) else {
            let detail = format!(
                "{name} can't start: its host has no {} now. Put it back, or detach it from the machine.",
                known.described()
            );
            return Err(Problem::new(ProblemKind::Unavailable, detail));
        };
        if let Some(refusal) = &usage.refusal {
            let detail = format!("{name} can't start with the {}: {refusal}", known.described());
            return Err(Problem::new(ProblemKind::Conflict, detail));
        }
    }
    match companions(vm, all).as_slice() {
        [] => Ok(()),
        missing => {
            let detail = format!(
                "{name} can't start: {} in an IOMMU group with its devices, and the host's own drivers have {}. Attach {} to the \
                 machine, too.",
                listed(missing),
                if missing.len() == 1 { "it" } else { "them" },
                if missing.len() == 1 { "it" } else { "them" }
            );
            Err(Problem::new(ProblemKind::Conflict, detail))
        }
    }
}

fn listed(devices: &[&PciDevice]) -> String {
    let names: Vec<String> = devices.iter().map(|pci| format!("{} ({})", pci.address, pci.name())).collect();
    format!("{} {}", names.join(", "), if devices.len() == 1 { "is" } else { "are" })
}

/// What `vm` can't start without and its host does not have for it now, in sentences.
pub(crate) fn missing(vm: &Vm, all: &HostDevices) -> Vec<String> {
    let here = |known: &&HostDevice| {
        all.pci.iter().any(|pci| known.is_at(pci)) || all.usb.iter().any(|usb| known.is_plugged(usb))
    };
    let gone = vm.spec.hardware.host_devices.iter().filter(|known| !here(known));
    let mut found: Vec<String> = gone
        .map(|known| {
            format!("Its host has no {} now; the machine can't start without it.", known.described())
        })
        .collect();
    let companions = companions(vm, all);
    if !companions.is_empty() {
        let are = listed(&companions);
        found.push(format!(
            "{are} in an IOMMU group with its devices; the machine can't start without having them, too."
        ));
    }
    found
}
