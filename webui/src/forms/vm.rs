//! The form of a new machine.

use super::choice::{
    boot_order, disk_bus, firmware, firmware_value, guest_os, model, moment, nic_model, plain_breaks,
};
use super::cpu::CpuForm;
use super::customize::{CardForm, CustomizeForm};
use super::device::RoomForm;
use super::disk::DiskForm;
use super::drives::DrivesForm;
use super::filing::FilingForm;
use super::host_device::HostDevicesForm;
use super::options::OptionsForm;
use super::shares::SharesForm;
use super::tuning::NicOptionsForm;
use crate::fields::{Fields, Reading};
use hostd_types::*;

/// Most disks or cards the form offers.
const ROWS_MAX: usize = 8;

/// One network card of the form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NicForm {
    /// The network; empty for none.
    pub(crate) network: String,
    /// `virtio`, `e1000` or `e1000e`.
    pub(crate) model: String,
    /// Hardware address; empty for one of the machine's own.
    pub(crate) mac: String,
    pub(crate) options: NicOptionsForm,
}

impl NicForm {
    /// A virtio card on `network`.
    fn on(network: String) -> Self {
        Self { network, model: "virtio".into(), mac: String::new(), options: NicOptionsForm::default() }
    }
}

/// The form of a new machine, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VmForm {
    /// The host that will run it; empty: the one asked.
    pub(crate) host: String,
    pub(crate) name: String,
    pub(crate) description: String,
    /// [`GuestOs::as_str`]; empty: told by the images.
    pub(crate) guest_os: String,
    pub(crate) cpus: String,
    pub(crate) cpu: CpuForm,
    pub(crate) memory: String,
    pub(crate) memory_unit: String,
    pub(crate) room: RoomForm,
    pub(crate) firmware: String,
    pub(crate) options: OptionsForm,
    pub(crate) boot: [String; 3],
    pub(crate) autostart: bool,
    pub(crate) start: bool,
    /// When it is made, in UTC as browsers write it (`2027-01-31T20:00`); empty: now.
    pub(crate) at: String,
    pub(crate) cdrom: String,
    pub(crate) drives: DrivesForm,
    pub(crate) shares: SharesForm,
    pub(crate) disks: Vec<DiskForm>,
    pub(crate) nics: Vec<NicForm>,
    pub(crate) host_devices: HostDevicesForm,
    pub(crate) customize: CustomizeForm,
    pub(crate) filing: FilingForm,
}

impl VmForm {
    /// What a new form shows: a small machine on `network`, that starts at once.
    pub(crate) fn fresh(network: Option<NetworkId>) -> Self {
        let network = network.map(|n| n.to_string()).unwrap_or_default();
        Self {
            host: String::new(),
            name: String::new(),
            description: String::new(),
            guest_os: String::new(),
            cpus: "2".into(),
            cpu: CpuForm::default(),
            memory: "2".into(),
            memory_unit: "gib".into(),
            room: RoomForm::default(),
            firmware: "bios".into(),
            options: OptionsForm::default(),
            boot: ["disk", "cdrom", "network"].map(String::from),
            autostart: false,
            start: true,
            at: String::new(),
            cdrom: String::new(),
            drives: DrivesForm::default(),
            shares: SharesForm::default(),
            disks: vec![DiskForm::default()],
            nics: vec![NicForm::on(network)],
            host_devices: HostDevicesForm::default(),
            customize: CustomizeForm::fresh(),
            filing: FilingForm::default(),
        }
    }
    /// What was sent.
    pub(crate) fn read(fields: &Fields) -> Self {
        let rows = |name: &str| fields.parsed::<usize>(name).unwrap_or(0).min(ROWS_MAX);
        let nic = |index: usize| NicForm {
            network: fields.text(&format!("nic{index}_network")),
            model: fields.text(&format!("nic{index}_model")),
            mac: fields.text(&format!("nic{index}_mac")),
            options: NicOptionsForm::read(fields, &format!("nic{index}")),
        };
        Self {
            host: fields.text("host"),
            name: fields.text("name"),
            description: fields.verbatim("description"),
            guest_os: fields.text("guest_os"),
            cpus: fields.text("cpus"),
            cpu: CpuForm::read(fields, CpuForm::default()),
            memory: fields.text("memory"),
            memory_unit: fields.text("memory_unit"),
            room: RoomForm::read(fields, RoomForm::default()),
            firmware: fields.text("firmware"),
            options: OptionsForm::read(fields, OptionsForm::default()),
            boot: ["boot0", "boot1", "boot2"].map(|name| fields.text(name)),
            autostart: fields.ticked("autostart"),
            start: fields.ticked("start"),
            at: fields.text("at"),
            cdrom: fields.text("cdrom"),
            drives: DrivesForm::read(fields, DrivesForm::default()),
            shares: SharesForm::read(fields, SharesForm::default()),
            disks: (0..rows("disks")).map(|index| DiskForm::read(fields, index)).collect(),
            nics: (0..rows("nics")).map(nic).collect(),
            host_devices: HostDevicesForm::read(fields),
            customize: CustomizeForm::read(fields, "/customization", rows("nics")),
            filing: FilingForm::read(fields),
        }
    }
    /// Adds or removes a row, when a button for that was pressed: `disk+`, `disk-1`, `nic+`, `nic-0`; or takes
    /// another host (`host-ID`), which has other images, volumes, networks and devices.
    pub(crate) fn change(&mut self, button: &str) {
        match button {
            "disk+" if self.disks.len() < ROWS_MAX => self.disks.push(DiskForm::default()),
            "nic+" if self.nics.len() < ROWS_MAX => {
                let network = self.nics.first().map(|n| n.network.clone()).unwrap_or_default();
                self.nics.push(NicForm::on(network));
            }
            other => {
                if let Some(host) = other.strip_prefix("host-") {
                    self.host = host.to_owned();
                    self.cdrom.clear();
                    self.drives.eject();
                    self.host_devices = HostDevicesForm::default();
                    self.disks.iter_mut().for_each(|disk| {
                        disk.image.clear();
                        disk.volume.clear();
                    });
                    self.nics.iter_mut().for_each(|nic| nic.network.clear());
                }
                let row = |prefix| other.strip_prefix(prefix).and_then(|n| n.parse::<usize>().ok());
                if let Some(index) = row("disk-").filter(|n| *n < self.disks.len()) {
                    self.disks.remove(index);
                }
                if let Some(index) = row("nic-").filter(|n| *n < self.nics.len()) {
                    self.nics.remove(index);
                    self.customize.cards.remove(index);
                }
            }
        }
        self.customize.cards.resize(self.nics.len(), CardForm::default());
        self.customize.change(button);
    }
    /// Takes what the guest's maker asks for: firmware, buses and cards it has drivers for, and at least the least sizes.
    pub(crate) fn adopt(&mut self, profile: &GuestProfile) {
        self.guest_os = profile.os.as_str().into();
        self.firmware = firmware_value(profile.firmware).into();
        self.options.tpm = if profile.tpm { "on" } else { "off" }.into();
        if self.cpus.parse().is_ok_and(|cpus: u32| cpus < profile.min_cpus) {
            self.cpus = profile.min_cpus.to_string();
        }
        let mut reading = Reading::default();
        if reading.bytes("", &self.memory, &self.memory_unit) >> 20 < profile.min_memory_mib {
            let (memory, unit) = crate::units::split(profile.min_memory_mib << 20);
            (self.memory, self.memory_unit) = (memory, unit.into());
        }
        for (index, disk) in self.disks.iter_mut().enumerate() {
            disk.bus = disk_bus(profile.disk_bus).into();
            if index == 0 && reading.bytes("", &disk.size, &disk.unit) < profile.min_disk_gib << 30 {
                (disk.size, disk.unit) = (profile.min_disk_gib.to_string(), "gib".into());
            }
        }
        let model = nic_model(profile.nic);
        self.nics.iter_mut().for_each(|nic| nic.model = model.into());
    }
    /// The machine asked for.
    pub(crate) fn machine(&self) -> Result<CreateVm, Problem> {
        let mut reading = Reading::default();
        let mut disks = Vec::new();
        for (index, form) in self.disks.iter().enumerate() {
            disks.extend(form.disk(&mut reading, &format!("/disks/{index}")));
        }
        let mut nics = Vec::new();
        for (index, form) in self.nics.iter().enumerate().filter(|(_, n)| !n.network.is_empty()) {
            let at = format!("/nics/{index}");
            let options = form.options.options(&mut reading, &at);
            let model = model(&mut reading, &format!("{at}/model"), &form.model);
            if let Some(network) = reading.chosen(&format!("{at}/network"), &form.network, "a network") {
                let mac = Some(&form.mac).filter(|mac| !mac.is_empty()).cloned();
                nics.push(NewNic { network, mac, model, options });
            }
        }
        let cdrom = match self.cdrom.as_str() {
            "" => None,
            id => reading.chosen("/cdrom", id, "an image"),
        };
        let connected: Vec<bool> = self.nics.iter().map(|nic| !nic.network.is_empty()).collect();
        let customization = self.customize.customization(&mut reading, &connected);
        let (cpu_mode, topology) = self.cpu.cpu(&mut reading);
        let filing = self.filing.new_filing(&mut reading);
        let headroom = self.room.headroom(&mut reading);
        let machine = CreateVm {
            name: self.name.clone(),
            description: plain_breaks(&self.description),
            guest_os: guest_os(&mut reading, &self.guest_os),
            cpus: reading.whole("/cpus", &self.cpus),
            cpu_mode,
            topology,
            machine_type: None,
            customization,
            memory_mib: reading.bytes("/memory_mib", &self.memory, &self.memory_unit) >> 20,
            headroom,
            firmware: firmware(&self.firmware),
            options: self.options.options(&mut reading),
            boot: boot_order(&self.boot),
            autostart: self.autostart,
            disks,
            cdrom,
            more_cdroms: self.drives.cdroms(&mut reading),
            shares: self.shares.shares(),
            nics,
            host_devices: self.host_devices.asked(),
            filing,
            start: self.start,
            scheduled_at: moment(&mut reading, &self.at),
        };
        reading.done(machine)
    }
}

#[cfg(test)]
#[path = "vm_tests.rs"]
mod tests;
