//! Devices of the host: one more of a machine, or those of a new one.

use crate::fields::Fields;
use hostd_types::{AttachHostDevice, DeviceChange, Problem, UsbFollow};

/// As sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HostDeviceForm {
    pub(crate) device: String,
    /// `port`, `serial`, or empty for what fits.
    pub(crate) follow: String,
}

impl HostDeviceForm {
    /// What was sent.
    pub(crate) fn read(fields: &Fields) -> Self {
        Self { device: fields.text("device"), follow: fields.text("follow") }
    }
    /// What it means.
    ///
    /// # Errors
    /// The field that is wrong.
    pub(crate) fn change(&self) -> Result<DeviceChange, Problem> {
        if self.device.is_empty() {
            return Err(Problem::field("/device", "Choose a device."));
        }
        Ok(DeviceChange::AttachHostDevice { asked: self.asked(), found: None })
    }
    fn asked(&self) -> AttachHostDevice {
        // A PCI device is not followed, whatever the list beside it says.
        let usb = self.device.starts_with("usb-");
        let follow = match self.follow.as_str() {
            "port" if usb => Some(UsbFollow::Port),
            "serial" if usb => Some(UsbFollow::Serial),
            _ => None,
        };
        AttachHostDevice { device: self.device.clone(), follow }
    }
}

/// Devices for a new machine, as ticked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HostDevicesForm {
    pub(crate) chosen: Vec<HostDeviceForm>,
}

impl HostDevicesForm {
    /// What was sent.
    pub(crate) fn read(fields: &Fields) -> Self {
        let one = |device: &str| HostDeviceForm {
            device: device.trim().to_owned(),
            follow: fields.text(&format!("follow_{device}")),
        };
        Self { chosen: fields.all("host_device").map(one).collect() }
    }
    /// What it means.
    pub(crate) fn asked(&self) -> Vec<AttachHostDevice> {
        self.chosen.iter().map(HostDeviceForm::asked).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_arrives_and_a_pci_device_is_not_followed() {
        let sent = |device: &str, follow: &str| {
            let pairs = [("device", device), ("follow", follow)];
            HostDeviceForm::read(&Fields::new(pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).into()))
                .change()
        };
        let wanted = |device: &str, follow| {
            let asked = AttachHostDevice { device: device.into(), follow };
            Ok(DeviceChange::AttachHostDevice { asked, found: None })
        };
        assert_eq!(sent("usb-1-2", "serial"), wanted("usb-1-2", Some(UsbFollow::Serial)));
        assert_eq!(sent("usb-1-2", "port"), wanted("usb-1-2", Some(UsbFollow::Port)));
        assert_eq!(sent("usb-1-2", ""), wanted("usb-1-2", None));
        assert_eq!(sent("pci-0000:01:00.0", "port"), wanted("pci-0000:01:00.0", None));
        let pairs = [("host_device", "usb-1-2"), ("follow_usb-1-2", "port"), ("follow_usb-1-3", "serial")];
        let fields = Fields::new(pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).into());
        let asked = AttachHostDevice { device: "usb-1-2".into(), follow: Some(UsbFollow::Port) };
        assert_eq!(HostDevicesForm::read(&fields).asked(), [asked], "what is not ticked is not asked for");
        assert!(sent("", "").expect_err("none was chosen").at("/device").is_some());
    }
}
