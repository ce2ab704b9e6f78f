//! The form of a new machine, and the power buttons.

use super::cpu::CpuForm;
use super::customize::{CardForm, CustomizeForm};
use super::device::RoomForm;
use super::disk::DiskForm;
use super::filing::FilingForm;
use crate::fields::{Fields, Reading};
use hostd_types::*;

/// Most disks or cards the form offers.
const ROWS_MAX: usize = 8;

/// One network card of the form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NicForm {
    /// The network; empty for none.
    pub(crate) network: String,
    /// `virtio` or `e1000`.
    pub(crate) model: String,
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
    pub(crate) boot: [String; 3],
    pub(crate) autostart: bool,
    pub(crate) start: bool,
    /// When it is made, in UTC as browsers write it (`2027-01-31T20:00`); empty: now.
    pub(crate) at: String,
    pub(crate) cdrom: String,
    pub(crate) disks: Vec<DiskForm>,
    pub(crate) nics: Vec<NicForm>,
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
            boot: ["disk", "cdrom", "network"].map(String::from),
            autostart: false,
            start: true,
            at: String::new(),
            cdrom: String::new(),
            disks: vec![DiskForm::default()],
            nics: vec![NicForm { network, model: "virtio".into() }],
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
            boot: ["boot0", "boot1", "boot2"].map(|name| fields.text(name)),
            autostart: fields.ticked("autostart"),
            start: fields.ticked("start"),
            at: fields.text("at"),
            cdrom: fields.text("cdrom"),
            disks: (0..rows("disks")).map(|index| DiskForm::read(fields, index)).collect(),
            nics: (0..rows("nics")).map(nic).collect(),
            customize: CustomizeForm::read(fields, "/customization", rows("nics")),
            filing: FilingForm::read(fields),
        }
    }
    /// Adds or removes a row, when a button for that was pressed: `disk+`, `disk-1`, `nic+`, `nic-0`; or takes
    /// another host (`host-ID`), which has other images, volumes and networks.
    pub(crate) fn change(&mut self, button: &str) {
        match button {
            "disk+" if self.disks.len() < ROWS_MAX => self.disks.push(DiskForm::default()),
            "nic+" if self.nics.len() < ROWS_MAX => {
                let network = self.nics.first().map(|n| n.network.clone()).unwrap_or_default();
                self.nics.push(NicForm { network, model: "virtio".into() });
            }
            other => {
                if let Some(host) = other.strip_prefix("host-") {
                    self.host = host.to_owned();
                    self.cdrom.clear();
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
        self.firmware = crate::wording::firmware(&profile.firmware).to_ascii_lowercase();
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
        let model = match profile.nic {
            NicModel::Virtio => "virtio",
            NicModel::E1000 => "e1000",
        };
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
            if let Some(network) =
                reading.chosen(&format!("/nics/{index}/network"), &form.network, "a network")
            {
                let model = if form.model == "e1000" { NicModel::E1000 } else { NicModel::Virtio };
                nics.push(NewNic { network, mac: None, model });
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
            boot: boot_order(&self.boot),
            autostart: self.autostart,
            disks,
            cdrom,
            nics,
            filing,
            start: self.start,
            scheduled_at: moment(&mut reading, &self.at),
        };
        reading.done(machine)
    }
}

/// Browsers send line breaks as CR LF; texts keep LF alone.
pub(crate) fn plain_breaks(text: &str) -> String {
    text.replace("\r\n", "\n").trim_end().to_owned()
}

/// A moment in UTC as a browser's field or a person writes it; nothing: now.
fn moment(reading: &mut Reading, text: &str) -> Option<Timestamp> {
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
fn disk_bus(bus: DiskBus) -> &'static str {
    match bus {
        DiskBus::Virtio => "virtio",
        DiskBus::Sata => "sata",
    }
}

/// The firmware chosen.
pub(crate) fn firmware(text: &str) -> Firmware {
    if text == "uefi" { Firmware::Uefi } else { Firmware::Bios }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        Fields::new(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn a_whole_form_becomes_a_machine() {
        let (image, volume, network) = (ImageId::new(), VolumeId::new(), NetworkId::new());
        let (i, v, n) = (image.to_string(), volume.to_string(), network.to_string());
        let form = VmForm::read(&fields(&[
            ("name", " web-1 "),
            ("description", "a\r\nb\r\n"),
            ("guest_os", "windows10"),
            ("at", "2027-01-31T20:00"),
            ("cpus", "4"),
            ("cpu_mode", "performance"),
            ("sockets", "2"),
            ("threads", "1"),
            ("memory", "1.5"),
            ("memory_unit", "gib"),
            ("cpus_max", "8"),
            ("memory_max", "4096"),
            ("memory_min", "512"),
            ("firmware", "uefi"),
            ("boot0", "cdrom"),
            ("boot1", "disk"),
            ("boot2", "cdrom"),
            ("start", "on"),
            ("cdrom", &i),
            ("disks", "3"),
            ("disk0_from", "blank"),
            ("disk0_size", "20"),
            ("disk0_unit", "gib"),
            ("disk0_bus", "sata"),
            ("disk0_format", "raw"),
            ("disk1_from", "image"),
            ("disk1_image", &i),
            ("disk1_grow", "30"),
            ("disk2_from", "volume"),
            ("disk2_volume", &v),
            ("nics", "2"),
            ("nic0_network", &n),
            ("nic0_model", "e1000"),
            ("nic1_network", ""),
        ]));
        let machine = form.machine().expect("a good form");
        assert_eq!((machine.name.as_str(), machine.description.as_str()), ("web-1", "a\nb"));
        assert_eq!((machine.cpus, machine.memory_mib, machine.firmware), (4, 1536, Firmware::Uefi));
        assert_eq!(machine.guest_os, Some(GuestOs::Windows10));
        assert_eq!(machine.scheduled_at, Timestamp::parse("2027-01-31T20:00:00Z"));
        assert_eq!(machine.cpu_mode, CpuMode::Performance);
        assert_eq!(machine.topology, CpuTopology { sockets: 2, threads: 1 });
        let room = Headroom { cpus_max: Some(8), memory_max_mib: Some(4096), memory_min_mib: Some(512) };
        assert_eq!(machine.headroom, room);
        assert_eq!(machine.boot, [BootDevice::Cdrom, BootDevice::Disk]);
        assert!(machine.start && !machine.autostart);
        assert_eq!(machine.cdrom, Some(image));
        let size_bytes = 20 << 30;
        assert_eq!(
            machine.disks,
            [
                NewDisk::Blank { size_bytes, format: DiskFormat::Raw, bus: DiskBus::Sata },
                NewDisk::Image { image, size_bytes: Some(30 << 30), bus: DiskBus::Virtio },
                NewDisk::Volume { volume, bus: DiskBus::Virtio },
            ]
        );
        assert_eq!(machine.nics, [NewNic { network, mac: None, model: NicModel::E1000 }]);
    }

    #[test]
    fn each_wrong_field_gets_its_own_message() {
        let mut form = VmForm::fresh(None);
        form.cpus = "many".into();
        form.cpu.sockets = "two".into();
        form.memory = "-1".into();
        form.cdrom = "no-id".into();
        form.disks = vec![
            DiskForm { size: "x".into(), ..DiskForm::default() },
            DiskForm { from: "image".into(), ..DiskForm::default() },
        ];
        let problem = form.machine().expect_err("a bad form");
        for pointer in
            ["/cpus", "/topology", "/memory_mib", "/cdrom", "/disks/0/size_bytes", "/disks/1/image"]
        {
            assert!(problem.at(pointer).is_some(), "{pointer}");
        }
        assert_eq!(problem.kind, ProblemKind::Invalid);
    }

    #[test]
    fn a_form_takes_what_the_guest_asks_for_and_never_less_than_it_had() {
        let mut form = VmForm::fresh(None);
        form.cpus = "8".into();
        form.adopt(GuestOs::Windows11.profile());
        let machine = form.machine().expect("a good form");
        assert_eq!((machine.guest_os, machine.firmware), (Some(GuestOs::Windows11), Firmware::Uefi));
        assert_eq!((machine.cpus, machine.memory_mib), (8, 4096));
        let size_bytes = 64 << 30;
        let disk = NewDisk::Blank { size_bytes, format: DiskFormat::Qcow2, bus: DiskBus::Sata };
        assert_eq!(machine.disks, [disk]);
        (form.guest_os, form.at) = ("dos".into(), "tomorrow".into());
        let problem = form.machine().expect_err("unknown");
        assert!(problem.at("/guest_os").is_some() && problem.at("/scheduled_at").is_some());
    }

    #[test]
    fn rows_come_and_go_without_scripts() {
        let mut form = VmForm::fresh(None);
        form.change("disk+");
        form.disks[1].size = "7".into();
        form.change("disk-0");
        assert_eq!((form.disks.len(), form.disks[0].size.as_str()), (1, "7"));
        form.change("disk-9");
        form.change("nic-0");
        assert!(form.nics.is_empty());
        for _ in 0..20 {
            form.change("nic+");
        }
        assert_eq!(form.nics.len(), ROWS_MAX);
    }

    #[test]
    fn only_known_power_actions_are_taken() {
        assert_eq!(power_action(&fields(&[("action", "force_off")])), Ok(PowerAction::ForceOff));
        assert!(power_action(&fields(&[("action", "explode")])).is_err());
        assert!(power_action(&fields(&[])).is_err());
    }
}
