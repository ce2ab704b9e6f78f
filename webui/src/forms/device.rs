//! Forms about the devices of a machine that exists, and how far its CPUs and memory can change while it runs.

use super::disk::DiskForm;
use super::host_device::HostDeviceForm;
use super::tuning::{DiskOptionsForm, NicOptionsForm};
use crate::fields::{Fields, Reading};
use crate::page::Dialog;
use hostd_types::*;

/// Limits, as typed; empty: none beyond what the machine has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RoomForm {
    pub(crate) cpus_max: String,
    pub(crate) memory_max: String,
    pub(crate) memory_min: String,
}

impl RoomForm {
    /// Filled from what is there; memory in MiB.
    pub(crate) fn of(room: &Headroom) -> Self {
        let said = |value: Option<u64>| value.map(|v| v.to_string()).unwrap_or_default();
        Self {
            cpus_max: said(room.cpus_max.map(u64::from)),
            memory_max: said(room.memory_max_mib),
            memory_min: said(room.memory_min_mib),
        }
    }
    /// What was sent; what was not stays as `now`.
    pub(crate) fn read(fields: &Fields, now: Self) -> Self {
        let or = |name: &str, now: String| if fields.ticked(name) { fields.text(name) } else { now };
        Self {
            cpus_max: or("cpus_max", now.cpus_max),
            memory_max: or("memory_max", now.memory_max),
            memory_min: or("memory_min", now.memory_min),
        }
    }
    /// What it means.
    pub(crate) fn headroom(&self, reading: &mut Reading) -> Headroom {
        let mut number = |field: &str, text: &str| -> Option<u64> {
            (!text.is_empty()).then(|| reading.whole(&format!("/headroom/{field}"), text))
        };
        let cpus = number("cpus_max", &self.cpus_max);
        Headroom {
            cpus_max: cpus.map(|cpus| u32::try_from(cpus).unwrap_or(u32::MAX)),
            memory_max_mib: number("memory_max_mib", &self.memory_max),
            memory_min_mib: number("memory_min_mib", &self.memory_min),
        }
    }
}

/// The form of one more card.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NewNicForm {
    pub(crate) network: String,
    pub(crate) model: String,
    /// Hardware address; empty for a free one.
    pub(crate) mac: String,
    pub(crate) options: NicOptionsForm,
}

impl NewNicForm {
    fn read(fields: &Fields) -> Self {
        Self {
            network: fields.text("network"),
            model: fields.text("model"),
            mac: fields.text("mac"),
            options: NicOptionsForm::read(fields, "nic"),
        }
    }
    fn nic(&self) -> Result<NewNic, Problem> {
        let mut reading = Reading::default();
        let network = reading.chosen("/network", &self.network, "a network");
        let model = super::choice::model(&mut reading, "/model", &self.model);
        let options = self.options.options(&mut reading, "");
        let mac = Some(&self.mac).filter(|mac| !mac.is_empty()).cloned();
        let nic = network.map(|network| NewNic { network, mac, model, options });
        reading.done(nic)?.ok_or_else(|| Problem::field("/network", "Choose a network."))
    }
}

/// What the page of a machine's hardware offers to add, and what its dialogs change, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeviceForms {
    pub(crate) disk: DiskForm,
    pub(crate) nic: NewNicForm,
    pub(crate) host_device: HostDeviceForm,
    pub(crate) grow: GrowForm,
    /// Of a disk that is there.
    pub(crate) options: DiskOptionsForm,
    /// Of a card that is there.
    pub(crate) edit: EditNicForm,
}

/// A new size of a disk, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GrowForm {
    pub(crate) size: String,
    pub(crate) unit: String,
}

impl Default for GrowForm {
    fn default() -> Self {
        Self { size: String::new(), unit: "gib".into() }
    }
}

/// What can change about a card, as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EditNicForm {
    pub(crate) network: String,
    pub(crate) plugged: bool,
    pub(crate) options: NicOptionsForm,
}

impl EditNicForm {
    /// Filled from what is there.
    pub(crate) fn of(nic: &VmNic) -> Self {
        let options = NicOptionsForm::of(&nic.options);
        Self { network: nic.network.to_string(), plugged: !nic.unplugged, options }
    }
}

impl Default for DeviceForms {
    fn default() -> Self {
        let nic = NewNicForm { model: "virtio".into(), ..NewNicForm::default() };
        Self {
            disk: DiskForm::default(),
            nic,
            host_device: HostDeviceForm::default(),
            grow: GrowForm::default(),
            options: DiskOptionsForm::default(),
            edit: EditNicForm::default(),
        }
    }
}

impl DeviceForms {
    /// The size that is typed in the dialog `id`.
    pub(crate) fn grow_in(&self, id: &str, dialog: &Dialog) -> GrowForm {
        if dialog.is(id) { self.grow.clone() } else { GrowForm::default() }
    }
    /// The options of a disk in the dialog `id`: as typed, or as they are.
    pub(crate) fn options_in(&self, id: &str, dialog: &Dialog, disk: &VmDisk) -> DiskOptionsForm {
        if dialog.is(id) { self.options.clone() } else { DiskOptionsForm::of(&disk.options) }
    }
    /// The same of a card.
    pub(crate) fn nic_in(&self, id: &str, dialog: &Dialog, nic: &VmNic) -> EditNicForm {
        if dialog.is(id) { self.edit.clone() } else { EditNicForm::of(nic) }
    }
    /// The disk that was asked for.
    pub(crate) fn disk(&mut self, fields: &Fields) -> Result<DeviceChange, Problem> {
        self.disk = DiskForm::read(fields, 0);
        let mut reading = Reading::default();
        let disk = self.disk.disk(&mut reading, "");
        let disk = reading.done(disk)?;
        let disk = disk.ok_or_else(|| Problem::field("/from", "Choose where the disk comes from."))?;
        Ok(DeviceChange::AttachDisk { id: VolumeId::new(), disk })
    }
    /// The card that was asked for.
    pub(crate) fn nic(&mut self, fields: &Fields) -> Result<DeviceChange, Problem> {
        self.nic = NewNicForm::read(fields);
        Ok(DeviceChange::AttachNic { nic: self.nic.nic()? })
    }
    /// The device of the host that was asked for.
    pub(crate) fn host_device(&mut self, fields: &Fields) -> Result<DeviceChange, Problem> {
        self.host_device = HostDeviceForm::read(fields);
        self.host_device.change()
    }
    /// The new size of a disk.
    pub(crate) fn grown(&mut self, fields: &Fields, volume: VolumeId) -> Result<DeviceChange, Problem> {
        self.grow = GrowForm { size: fields.text("size"), unit: fields.text("unit") };
        let mut reading = Reading::default();
        let size_bytes = reading.bytes("/size_bytes", &self.grow.size, &self.grow.unit);
        reading.done(DeviceChange::GrowDisk { volume, size_bytes })
    }
    /// How a disk is to behave: all fields are always sent.
    pub(crate) fn tuned(&mut self, fields: &Fields, volume: VolumeId) -> Result<DeviceChange, Problem> {
        self.options = DiskOptionsForm::read(fields, "disk0", DiskOptionsForm::default());
        let mut reading = Reading::default();
        let options = self.options.options(&mut reading, "");
        reading.done(DeviceChange::EditDisk { volume, options })
    }
    /// What changes about a card: all fields are always sent.
    pub(crate) fn edited(&mut self, fields: &Fields, mac: &str) -> Result<DeviceChange, Problem> {
        self.edit = EditNicForm {
            network: fields.text("network"),
            plugged: fields.ticked("plugged"),
            options: NicOptionsForm::read(fields, "nic"),
        };
        let mut reading = Reading::default();
        let network = reading.chosen("/network", &self.edit.network, "a network");
        let options = self.edit.options.options(&mut reading, "");
        let edit = EditNic { network, plugged: Some(self.edit.plugged), options: Some(options) };
        reading.done(DeviceChange::EditNic { mac: mac.to_owned(), edit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        Fields::new(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn each_field_arrives_in_the_change() {
        let mut forms = DeviceForms::default();
        let sent =
            [("disk0_from", "blank"), ("disk0_size", "3"), ("disk0_unit", "gib"), ("disk0_bus", "sata")];
        let Ok(DeviceChange::AttachDisk { disk, .. }) = forms.disk(&fields(&sent)) else { panic!("a disk") };
        let wanted = NewDisk::Blank {
            size_bytes: 3 << 30,
            format: DiskFormat::Qcow2,
            bus: DiskBus::Sata,
            options: DiskOptions::default(),
        };
        assert_eq!(disk, wanted);
        let network = NetworkId::new();
        let sent = [("network", &*network.to_string()), ("model", "e1000"), ("mac", "52:54:00:00:00:01")];
        let mac = Some("52:54:00:00:00:01".to_owned());
        let wanted = DeviceChange::AttachNic {
            nic: NewNic { network, mac, model: NicModel::E1000, options: NicOptions::default() },
        };
        assert_eq!(forms.nic(&fields(&sent)), Ok(wanted));
        let volume = VolumeId::new();
        let grow = forms.grown(&fields(&[("size", "1.5"), ("unit", "gib")]), volume);
        assert_eq!(grow, Ok(DeviceChange::GrowDisk { volume, size_bytes: 3 << 29 }));
        let edit = forms.edited(&fields(&[("network", &network.to_string())]), "52:54:00:00:00:01");
        let wanted =
            EditNic { network: Some(network), plugged: Some(false), options: Some(NicOptions::default()) };
        assert_eq!(edit, Ok(DeviceChange::EditNic { mac: "52:54:00:00:00:01".into(), edit: wanted }));
    }

    #[test]
    fn wrong_fields_are_told_where_they_are() {
        let mut forms = DeviceForms::default();
        let problem =
            forms.disk(&fields(&[("disk0_from", "blank"), ("disk0_size", "x")])).expect_err("no size");
        assert!(problem.at("/size_bytes").is_some() && forms.disk.size == "x");
        assert!(forms.nic(&fields(&[])).expect_err("no network").at("/network").is_some());
        let mut reading = Reading::default();
        let room = RoomForm { cpus_max: "many".into(), ..RoomForm::default() };
        room.headroom(&mut reading);
        assert!(reading.done(()).expect_err("no number").at("/headroom/cpus_max").is_some());
    }
}
