//! Devices of the host that a new machine can be given: the host's inventory with what was ticked.

use crate::forms::host_device::HostDevicesForm;
use crate::page::Refusal;
use hostd_types::{DeviceUsage, HostDevices, PciDevice, UsbDevice, UsbFollow};

/// One device of the list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct DeviceRow {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Where it is, and its IOMMU group.
    pub(crate) place: String,
    /// Why it can't be given; empty when it can.
    pub(crate) why_not: String,
    pub(crate) ticked: bool,
    /// By what it is found again, where there is a choice.
    pub(crate) follow: Option<String>,
    /// What was refused about it.
    pub(crate) error: String,
}

/// The list.
#[derive(Debug, Default)]
pub(crate) struct DeviceRows {
    /// Those that can be given, and those that were ticked.
    pub(crate) offered: Vec<DeviceRow>,
    /// The others, which say why.
    pub(crate) others: Vec<DeviceRow>,
}

impl DeviceRows {
    /// The devices of a host, bridges left out.
    pub(crate) fn of(devices: &HostDevices, form: &HostDevicesForm, refusal: &Refusal) -> Self {
        let pci = devices.pci.iter().filter(|pci| !pci.is_bridge()).map(of_pci);
        let mut rows: Vec<DeviceRow> = pci.chain(devices.usb.iter().map(of_usb)).collect();
        for (index, chosen) in form.chosen.iter().enumerate() {
            let at = |field| refusal.at(&format!("/host_devices/{index}/{field}"));
            let error = if at("device").is_empty() { at("follow") } else { at("device") };
            let at = rows.iter().position(|row| row.id == chosen.device).unwrap_or_else(|| {
                rows.push(gone(&chosen.device));
                rows.len() - 1
            });
            let row = &mut rows[at];
            row.ticked = true;
            row.follow = row.follow.take().map(|_| chosen.follow.clone());
            if row.error.is_empty() {
                error.clone_into(&mut row.error);
            }
        }
        let (offered, others) = rows.into_iter().partition(|row| row.ticked || row.why_not.is_empty());
        Self { offered, others }
    }
    /// Something of it is to be seen at once.
    pub(crate) fn open(&self) -> bool {
        self.offered.iter().any(|row| row.ticked)
    }
}

/// One that was ticked and is not there now: it stays to be seen, and is refused as long as it stays away.
fn gone(id: &str) -> DeviceRow {
    DeviceRow {
        id: id.to_owned(),
        name: id.to_owned(),
        place: "Not there now".into(),
        why_not: "The host does not show it now. Plug it in again, or untick it.".into(),
        follow: id.starts_with("usb-").then(String::new),
        ..DeviceRow::default()
    }
}

fn why_not(usage: &DeviceUsage) -> String {
    match (&usage.refusal, &usage.machine) {
        (Some(refusal), _) => refusal.clone(),
        (None, Some(machine)) => format!("{machine} has it."),
        (None, None) => String::new(),
    }
}

fn of_pci(pci: &PciDevice) -> DeviceRow {
    let group = match (pci.iommu_group, pci.group_with.as_slice()) {
        (None, _) => "no IOMMU group".to_owned(),
        (Some(group), []) => format!("IOMMU group {group}"),
        (Some(group), others) => format!("IOMMU group {group} with {}", others.join(", ")),
    };
    DeviceRow {
        id: pci.id.clone(),
        name: pci.name(),
        place: format!("PCI {}, {group}", pci.address),
        why_not: why_not(&pci.usage),
        ..DeviceRow::default()
    }
}

fn of_usb(usb: &UsbDevice) -> DeviceRow {
    let told = usb.known(UsbFollow::Serial).is_some();
    let serial = usb.serial.as_ref().filter(|_| told).map(|serial| format!(", serial number {serial}"));
    DeviceRow {
        id: usb.id.clone(),
        name: usb.name(),
        place: format!("USB port {}{}", usb.port, serial.unwrap_or_default()),
        why_not: why_not(&usb.usage),
        follow: told.then(String::new),
        ..DeviceRow::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forms::host_device::HostDeviceForm;
    use hostd_types::{FieldError, Problem};

    #[test]
    fn what_can_be_given_is_offered_and_the_rest_says_why() {
        let devices = crate::tests::host_devices::devices("");
        let rows = DeviceRows::of(&devices, &HostDevicesForm::default(), &Refusal::default());
        let ids: Vec<&str> = rows.offered.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids, ["pci-0000:03:00.0", "usb-1-2.3"]);
        assert_eq!(rows.offered[0].place, "PCI 0000:03:00.0, IOMMU group 12 with 0000:01:00.1");
        assert!(rows.offered[0].follow.is_none() && rows.offered[1].follow.is_some());
        let why: Vec<&str> = rows.others.iter().map(|row| row.why_not.as_str()).collect();
        assert_eq!(why, ["The host uses it: its network runs over eth0.", "web-1 has it."], "no bridge");
        assert!(!rows.open());

        let chosen = |device: &str| HostDeviceForm { device: device.into(), follow: "port".into() };
        let form =
            HostDevicesForm { chosen: ["usb-9-9", "pci-0000:02:00.0", "usb-1-2.3"].map(chosen).into() };
        let error = |pointer: &str| FieldError { pointer: pointer.into(), detail: "Refused.".into() };
        let errors =
            ["/host_devices/0/device", "/host_devices/1/device", "/host_devices/2/follow"].map(error);
        let rows = DeviceRows::of(&devices, &form, &Refusal(Some(Problem::invalid(errors.into()))));
        let wrong: Vec<&str> =
            rows.offered.iter().filter(|row| !row.error.is_empty()).map(|row| row.id.as_str()).collect();
        assert_eq!(wrong, ["pci-0000:02:00.0", "usb-1-2.3", "usb-9-9"], "what was ticked stays to be seen");
        // Nothing was refused yet, and the host may not tell what it has.
        let rows = DeviceRows::of(&HostDevices::default(), &form, &Refusal::default());
        assert!(
            rows.offered.len() == 3 && rows.offered.iter().all(|row| row.ticked && !row.why_not.is_empty())
        );
        assert_eq!(rows.offered[2].follow.as_deref(), Some("port"));
        assert!(rows.open());
    }
}
