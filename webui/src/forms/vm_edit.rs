//! The form that changes a machine's settings.

use super::choice::{boot_order, firmware, firmware_value, guest_os, plain_breaks};
use super::cpu::CpuForm;
use super::device::RoomForm;
use super::drives::DrivesForm;
use super::options::OptionsForm;
use super::shares::SharesForm;
use crate::fields::{Fields, Reading};
use crate::wording::boot_value;
use hostd_types::*;

/// The form, as typed. Fields that are not sent stay as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EditForm {
    pub(crate) name: String,
    pub(crate) description: String,
    /// [`GuestOs::as_str`].
    pub(crate) guest_os: String,
    pub(crate) cpus: String,
    pub(crate) cpu: CpuForm,
    /// The machine type it is raised to; empty: it stays.
    pub(crate) raise: String,
    pub(crate) memory: String,
    pub(crate) memory_unit: String,
    pub(crate) room: RoomForm,
    pub(crate) firmware: String,
    pub(crate) options: OptionsForm,
    pub(crate) boot: [String; 3],
    pub(crate) autostart: bool,
    pub(crate) cdrom: String,
    pub(crate) drives: DrivesForm,
    pub(crate) shares: SharesForm,
    /// The generation of the machine that the form was filled from.
    pub(crate) generation: u64,
}

impl EditForm {
    /// Filled from a machine.
    pub(crate) fn of(vm: &Vm) -> Self {
        let (memory, memory_unit) = crate::units::split(vm.spec.memory_mib << 20);
        let boot = |n: usize| vm.spec.boot.get(n).map_or("", |d| boot_value(*d)).to_owned();
        Self {
            name: vm.spec.name.clone(),
            description: vm.spec.description.clone(),
            guest_os: vm.spec.guest_os.as_str().into(),
            cpus: vm.spec.cpus.to_string(),
            cpu: CpuForm::of(vm.spec.cpu_mode, vm.spec.topology),
            raise: String::new(),
            memory,
            memory_unit: memory_unit.into(),
            room: RoomForm::of(&vm.spec.hardware.headroom),
            firmware: firmware_value(vm.spec.firmware).into(),
            options: OptionsForm::of(&vm.spec.options),
            boot: [boot(0), boot(1), boot(2)],
            autostart: vm.spec.autostart,
            cdrom: vm.spec.cdrom.map(|i| i.to_string()).unwrap_or_default(),
            drives: DrivesForm::of(&vm.spec),
            shares: SharesForm::of(&vm.spec.hardware.shares),
            generation: vm.meta.generation,
        }
    }
    /// What was sent; what was not stays as `vm` has it.
    pub(crate) fn read(fields: &Fields, vm: &Vm) -> Self {
        let now = Self::of(vm);
        let or = |name: &str, now: String| if fields.ticked(name) { fields.text(name) } else { now };
        let [boot0, boot1, boot2] = now.boot;
        Self {
            name: or("name", now.name),
            description: fields.verbatim("description"),
            guest_os: or("guest_os", now.guest_os),
            cpus: or("cpus", now.cpus),
            cpu: CpuForm::read(fields, now.cpu),
            raise: fields.text("machine_type"),
            memory: or("memory", now.memory),
            memory_unit: or("memory_unit", now.memory_unit),
            room: RoomForm::read(fields, now.room),
            firmware: or("firmware", now.firmware),
            options: OptionsForm::read(fields, now.options),
            boot: [or("boot0", boot0), or("boot1", boot1), or("boot2", boot2)],
            autostart: fields.ticked("autostart"),
            cdrom: fields.text("cdrom"),
            drives: DrivesForm::read(fields, now.drives),
            shares: SharesForm::read(fields, now.shares),
            generation: fields.parsed("generation").unwrap_or(now.generation),
        }
    }
    /// What is to change about `vm`; only what differs.
    pub(crate) fn edit(&self, vm: &Vm) -> Result<EditVm, Problem> {
        let mut reading = Reading::default();
        let cpus = reading.whole("/cpus", &self.cpus);
        let memory = reading.bytes("/memory_mib", &self.memory, &self.memory_unit) >> 20;
        let cdrom = match self.cdrom.as_str() {
            "" => None,
            id => reading.chosen("/cdrom", id, "an image"),
        };
        let (cpu_mode, topology) = self.cpu.cpu(&mut reading);
        let room = self.room.headroom(&mut reading);
        let drives = self.drives.cdroms(&mut reading);
        let shares = self.shares.shares();
        let options = self.options.options(&mut reading);
        let description = plain_breaks(&self.description);
        let (firmware, boot) = (firmware(&self.firmware), boot_order(&self.boot));
        let edit = EditVm {
            name: (self.name != vm.spec.name).then(|| self.name.clone()),
            description: (description != vm.spec.description).then_some(description),
            guest_os: guest_os(&mut reading, &self.guest_os).filter(|os| *os != vm.spec.guest_os),
            customization: None,
            cpus: (cpus != vm.spec.cpus).then_some(cpus),
            cpu_mode: (cpu_mode != vm.spec.cpu_mode).then_some(cpu_mode),
            topology: (topology != vm.spec.topology).then_some(topology),
            machine_type: Some(&self.raise).filter(|raise| !raise.is_empty()).cloned(),
            memory_mib: (memory != vm.spec.memory_mib).then_some(memory),
            headroom: (room != vm.spec.hardware.headroom).then_some(room),
            firmware: (firmware != vm.spec.firmware).then_some(firmware),
            options: (options != vm.spec.options).then_some(options),
            boot: (boot != vm.spec.boot).then_some(boot),
            autostart: (self.autostart != vm.spec.autostart).then_some(self.autostart),
            more_cdroms: (drives != vm.spec.more_cdroms).then_some(drives),
            shares: (shares != vm.spec.hardware.shares).then_some(shares),
            cdrom: (cdrom != vm.spec.cdrom)
                .then(|| cdrom.map_or(CdromChange::Eject, |image| CdromChange::Insert { image })),
        };
        reading.done(edit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample;

    #[test]
    fn only_what_differs_is_sent() {
        let vm = sample::vm("web-1", VmState::Off);
        assert_eq!(EditForm::of(&vm).edit(&vm), Ok(EditVm::default()));
        let mut form = EditForm::of(&vm);
        form.cpus = "7".into();
        form.guest_os = "fedora".into();
        form.autostart = !form.autostart;
        form.cdrom = String::new();
        form.cpu = CpuForm { mode: "performance".into(), sockets: "1".into(), threads: "7".into() };
        form.raise = "pc-q35-10.0".into();
        form.room.cpus_max = "8".into();
        let edit = form.edit(&vm).expect("a good form");
        assert_eq!((edit.cpus, edit.autostart), (Some(7), Some(!vm.spec.autostart)));
        assert_eq!(edit.cdrom, vm.spec.cdrom.map(|_| CdromChange::Eject));
        assert_eq!((edit.name.as_ref(), edit.guest_os), (None, Some(GuestOs::Fedora)));
        assert_eq!(edit.cpu_mode, Some(CpuMode::Performance));
        assert_eq!(edit.topology, Some(CpuTopology { sockets: 1, threads: 7 }));
        assert_eq!(edit.machine_type.as_deref(), Some("pc-q35-10.0"));
        assert_eq!(edit.headroom, Some(Headroom { cpus_max: Some(8), ..Headroom::default() }));
    }

    #[test]
    fn fields_that_were_not_sent_stay() {
        let vm = sample::vm("web-1", VmState::Running);
        let fields = Fields::new(vec![("description".into(), "new".into())]);
        let edit = EditForm::read(&fields, &vm).edit(&vm).expect("a good form");
        assert_eq!(edit.description.as_deref(), Some("new"));
        assert_eq!(
            (edit.name, edit.cpus, edit.memory_mib, edit.firmware, edit.boot),
            (None, None, None, None, None)
        );
        assert_eq!((edit.cpu_mode, edit.topology, edit.machine_type), (None, None, None));
    }
}
