//! What words of forms mean.

use crate::fields::{Fields, Reading};
use hostd_types::*;

/// Browsers send line breaks as CR LF; texts keep LF alone.
pub(crate) fn plain_breaks(text: &str) -> String {
    text.replace("\r\n", "\n").trim_end().to_owned()
}

/// A moment in UTC as a browser's field or a person writes it; nothing: now.
pub(super) fn moment(reading: &mut Reading, text: &str) -> Option<Timestamp> {
    let full = match text.len() {
        0 => return None,
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    };
    let moment = Timestamp::parse(&full);
    if moment.is_none() {
        reading.wrong("/scheduled_at", "Give date and time in UTC, such as 2027-01-31T20:00.");
    }
    moment
}

/// The operating system chosen; nothing: told by the images.
pub(crate) fn guest_os(reading: &mut Reading, text: &str) -> Option<GuestOs> {
    let chosen = GuestOs::named(text);
    if chosen.is_none() && !text.is_empty() {
        reading.wrong("/guest_os", "Choose an operating system of the list.");
    }
    chosen
}

/// The word of a bus in forms.
pub(crate) fn disk_bus(bus: DiskBus) -> &'static str {
    match bus {
        DiskBus::Virtio => "virtio",
        DiskBus::Sata => "sata",
        DiskBus::Scsi => "scsi",
        DiskBus::Nvme => "nvme",
    }
}

/// The bus chosen.
pub(crate) fn bus(reading: &mut Reading, at: &str, word: &str) -> DiskBus {
    let all = [DiskBus::Virtio, DiskBus::Sata, DiskBus::Scsi, DiskBus::Nvme];
    let chosen = all.into_iter().find(|bus| disk_bus(*bus) == word);
    if chosen.is_none() && !word.is_empty() {
        reading.wrong(at, "Choose a bus of the list.");
    }
    chosen.unwrap_or_default()
}

/// The word of a card's model in forms.
pub(crate) fn nic_model(model: NicModel) -> &'static str {
    match model {
        NicModel::Virtio => "virtio",
        NicModel::E1000 => "e1000",
        NicModel::E1000e => "e1000e",
    }
}

/// The card's model chosen.
pub(crate) fn model(reading: &mut Reading, at: &str, word: &str) -> NicModel {
    let all = [NicModel::Virtio, NicModel::E1000, NicModel::E1000e];
    let chosen = all.into_iter().find(|model| nic_model(*model) == word);
    if chosen.is_none() && !word.is_empty() {
        reading.wrong(at, "Choose a card of the list.");
    }
    chosen.unwrap_or_default()
}

/// The word of a firmware in forms.
pub(crate) fn firmware_value(firmware: Firmware) -> &'static str {
    match firmware {
        Firmware::Bios => "bios",
        Firmware::Uefi => "uefi",
        Firmware::UefiSecure => "uefi_secure",
    }
}

/// The firmware chosen.
pub(crate) fn firmware(text: &str) -> Firmware {
    match text {
        "uefi" => Firmware::Uefi,
        "uefi_secure" => Firmware::UefiSecure,
        _ => Firmware::Bios,
    }
}

/// The boot order of three lists; a device named twice counts once.
pub(crate) fn boot_order(chosen: &[String; 3]) -> Vec<BootDevice> {
    let mut order = Vec::new();
    for text in chosen {
        let device = match text.as_str() {
            "disk" => BootDevice::Disk,
            "cdrom" => BootDevice::Cdrom,
            "network" => BootDevice::Network,
            _ => continue,
        };
        if !order.contains(&device) {
            order.push(device);
        }
    }
    order
}

/// The action of a power button.
pub(crate) fn power_action(fields: &Fields) -> Result<PowerAction, Problem> {
    const ALL: [PowerAction; 7] = [
        PowerAction::Start,
        PowerAction::Shutdown,
        PowerAction::Reboot,
        PowerAction::Reset,
        PowerAction::ForceOff,
        PowerAction::Pause,
        PowerAction::Resume,
    ];
    let name = fields.text("action");
    let found = ALL.into_iter().find(|a| a.as_str() == name);
    found.ok_or_else(|| Problem::field("/action", "Choose what to do: start, shut down, reboot, …"))
}
