//! The product's words and colours for states, actions and kinds: one place, so that every page says the same.

use hostd_core::{Liveness, MemberRole, NoticeLevel};
use hostd_types::*;

pub(crate) use crate::actions::action;

/// The tabs of a machine: the last part of their address, and their names.
pub(crate) const VM_TABS: [(&str, &str); 7] = [
    ("summary", "Summary"),
    ("hardware", "Hardware"),
    ("snapshots", "Snapshots"),
    ("customization", "Customization"),
    ("console", "Console"),
    ("events", "Events"),
    ("diagnosis", "Diagnosis"),
];

/// Colour class of a machine's state.
pub(crate) fn vm_tone(state: &VmState) -> &'static str {
    match state {
        VmState::Running => "good",
        VmState::Off => "idle",
        VmState::Starting | VmState::Stopping => "busy",
        VmState::Paused => "warn",
        VmState::Crashed => "bad",
        VmState::Unknown => "unknown",
    }
}

/// A machine's state in one word.
pub(crate) fn vm_state(state: &VmState) -> &'static str {
    match state {
        VmState::Running => "Running",
        VmState::Off => "Off",
        VmState::Starting => "Starting",
        VmState::Stopping => "Stopping",
        VmState::Paused => "Paused",
        VmState::Crashed => "Crashed",
        VmState::Unknown => "Unknown",
    }
}

/// The operating systems a form offers, by family.
pub(crate) fn guests() -> Vec<(&'static str, Vec<&'static GuestProfile>)> {
    let families = [
        (GuestFamily::Linux, "Linux"),
        (GuestFamily::Windows, "Windows"),
        (GuestFamily::Bsd, "BSD"),
        (GuestFamily::Other, "Other"),
    ];
    let of = |family| GUEST_PROFILES.iter().filter(move |profile| profile.family == family).collect();
    families.into_iter().map(|(family, name)| (name, of(family))).collect()
}

/// What the maker of a guest asks for, in a sentence.
pub(crate) fn wants(profile: &GuestProfile) -> String {
    if profile.min_memory_mib == 0 {
        return String::new();
    }
    format!(
        "It asks for at least {}, {} of memory and a disk of {}; it boots by {} and knows {} disks from the start.",
        crate::units::count(&profile.min_cpus, "CPU"),
        crate::units::bytes(profile.min_memory_mib << 20),
        crate::units::bytes(profile.min_disk_gib << 30),
        firmware(&profile.firmware),
        disk_bus(&profile.disk_bus),
    )
}

/// Colour class and word of a resource's phase; a fault outweighs `ready`.
pub(crate) fn phase(phase: &Phase, fault: &Option<String>) -> (&'static str, &'static str) {
    match (phase, fault) {
        (Phase::Creating, _) => ("busy", "Creating"),
        (Phase::Deleting, _) => ("busy", "Deleting"),
        (Phase::Ready, Some(_)) => ("bad", "Fault"),
        (Phase::Ready, None) => ("good", "Ready"),
    }
}

/// Colour class and word of a task's state.
pub(crate) fn task_state(task: &Task) -> (&'static str, &'static str) {
    match &task.state {
        TaskState::Running if task.cancelling => ("busy", "Cancelling"),
        TaskState::Running => ("busy", "Running"),
        TaskState::Succeeded => ("good", "Done"),
        TaskState::Failed { problem } if problem.kind == ProblemKind::Cancelled => ("idle", "Cancelled"),
        TaskState::Failed { .. } => ("bad", "Failed"),
    }
}

/// Colour class and word of an event's result.
pub(crate) fn event_result(result: &EventResult) -> (&'static str, &'static str) {
    match result {
        EventResult::Ok => ("good", "OK"),
        EventResult::Refused => ("warn", "Refused"),
        EventResult::Failed => ("bad", "Failed"),
        EventResult::Observed => ("idle", "Observed"),
    }
}

/// Colour class and word of whether a host is there.
pub(crate) fn liveness(liveness: &Liveness) -> (&'static str, &'static str) {
    match liveness {
        Liveness::Up => ("good", "Up"),
        Liveness::Suspect => ("warn", "Suspect"),
        Liveness::Down => ("bad", "Down"),
        Liveness::Fenced => ("bad", "Fenced"),
        Liveness::Unknown => ("unknown", "Unknown"),
    }
}

/// What a member does in the group, in a word.
pub(crate) fn member_role(role: &MemberRole, host: &HostRole) -> &'static str {
    match (role, host) {
        (MemberRole::Leader, HostRole::Host) => "Leader",
        (MemberRole::Leader, HostRole::Witness) => "Witness, leads",
        (MemberRole::Voter, HostRole::Host) => "Voter",
        (MemberRole::Voter, HostRole::Witness) => "Witness",
        (MemberRole::Learner, HostRole::Host) => "Follower",
        (MemberRole::Learner, HostRole::Witness) => "Witness, no vote now",
        (MemberRole::Outside, HostRole::Host | HostRole::Witness) => "Not in yet",
    }
}

/// Colour class of a notice.
pub(crate) fn notice_tone(level: &NoticeLevel) -> &'static str {
    match level {
        NoticeLevel::Info => "info",
        NoticeLevel::Warning => "warn",
        NoticeLevel::Critical => "bad",
    }
}

/// The name of a CPU mode.
pub(crate) fn cpu_mode(mode: &CpuMode) -> &'static str {
    match mode {
        CpuMode::Flexible => "Quantix Flexible",
        CpuMode::Performance => "Quantix Performance",
    }
}

/// How a machine's CPUs are arranged: `2 sockets, 4 cores each`.
pub(crate) fn topology(spec: &VmSpec) -> String {
    let CpuTopology { sockets, threads } = spec.topology;
    let cores = spec.topology.cores(spec.cpus).unwrap_or(spec.cpus);
    let many = |n: u32, one: &str| crate::units::count(&n, one);
    let each = if sockets == 1 { "" } else { " each" };
    let threads = if threads == 1 { String::new() } else { format!(", {threads} threads a core") };
    format!("{}, {}{each}{threads}", many(sockets, "socket"), many(cores, "core"))
}

/// A resource's kind, for people.
pub(crate) fn kind(kind: &Kind) -> &'static str {
    match kind {
        Kind::Cluster => "Cluster",
        Kind::JoinToken => "Join token",
        Kind::Host => "Host",
        Kind::Vm => "Machine",
        Kind::Volume => "Volume",
        Kind::Snapshot => "Snapshot",
        Kind::Image => "Image",
        Kind::Network => "Network",
        Kind::Task => "Task",
        Kind::Event => "Event",
        Kind::User => "User",
        Kind::Token => "Token",
        Kind::Session => "Session",
        Kind::ConsoleLink => "Console link",
        Kind::Folder => "Folder",
        Kind::View => "Saved view",
        Kind::Specification => "Customization specification",
    }
}

/// The page that shows a resource.
pub(crate) fn path_of(subject: &Subject) -> String {
    match subject.kind {
        Kind::Vm => format!("/vms/{}", subject.id),
        Kind::Task => format!("/tasks/{}", subject.id),
        Kind::Volume => "/volumes".into(),
        // Snapshots are a tab of their machine, which the subject does not name.
        Kind::Snapshot => "/vms".into(),
        Kind::Image => "/images".into(),
        Kind::Network => "/networks".into(),
        Kind::Cluster | Kind::JoinToken => "/cluster".into(),
        Kind::Host => format!("/host/{}", subject.id),
        Kind::Event => "/events".into(),
        Kind::Token => "/tokens".into(),
        Kind::User | Kind::Session => "/account".into(),
        Kind::ConsoleLink => "/vms".into(),
        Kind::Folder => format!("/folders/{}", subject.id),
        Kind::View => "/vms".into(),
        Kind::Specification => format!("/specifications/{}", subject.id),
    }
}

/// What is said after a power action was accepted.
pub(crate) fn power_said(action: &PowerAction) -> &'static str {
    match action {
        PowerAction::Start => "Starting.",
        PowerAction::Shutdown => "The guest was asked to shut down.",
        PowerAction::Reboot => "The guest was asked to reboot.",
        PowerAction::Reset => "The reset button was pressed.",
        PowerAction::ForceOff => "Forcing the machine off.",
        PowerAction::Pause => "Pausing.",
        PowerAction::Resume => "Resuming.",
    }
}

/// The power action of this wire name makes sense in a state.
pub(crate) fn power_offered(state: &VmState, action: &str) -> bool {
    let action = PowerAction::ALL.into_iter().find(|known| known.as_str() == action);
    action.is_some_and(|action| action.possible_in(*state).is_ok())
}

/// How a clone came by its disks, in words.
pub(crate) fn clone_mode(mode: &hostd_types::CloneMode) -> &'static str {
    match mode {
        hostd_types::CloneMode::Full => "Full clone",
        hostd_types::CloneMode::Linked => "Linked clone: its disks are over those of its source",
        hostd_types::CloneMode::Test => "Test clone: linked, on isolated networks of its own",
    }
}

/// A firmware's name.
pub(crate) fn firmware(firmware: &Firmware) -> &'static str {
    match firmware {
        Firmware::Bios => "BIOS",
        Firmware::Uefi => "UEFI",
        Firmware::UefiSecure => "UEFI with Secure Boot",
    }
}

/// A boot device's name in forms.
pub(crate) const fn boot_value(device: BootDevice) -> &'static str {
    match device {
        BootDevice::Disk => "disk",
        BootDevice::Cdrom => "cdrom",
        BootDevice::Network => "network",
    }
}

/// A boot order in words.
pub(crate) fn boot_order(order: &[BootDevice]) -> String {
    let name = |device: &BootDevice| match device {
        BootDevice::Disk => "Disks",
        BootDevice::Cdrom => "CD-ROM",
        BootDevice::Network => "Network",
    };
    if order.is_empty() { "None".into() } else { order.iter().map(name).collect::<Vec<_>>().join(", ") }
}

/// How a disk is attached.
pub(crate) fn disk_bus(bus: &DiskBus) -> &'static str {
    match bus {
        DiskBus::Virtio => "virtio",
        DiskBus::Sata => "SATA",
        DiskBus::Scsi => "SCSI",
        DiskBus::Nvme => "NVMe",
    }
}

/// How disk `index` of a machine is attached.
pub(crate) fn bus_of(vm: &Vm, index: &usize) -> Option<&'static str> {
    vm.spec.disks.get(*index).map(|disk| disk_bus(&disk.bus))
}

/// The options of a machine's disk, as its form shows them.
pub(crate) fn disk_options(vm: &Vm, index: &usize) -> Option<crate::forms::tuning::DiskOptionsForm> {
    vm.spec.disks.get(*index).map(|disk| crate::forms::tuning::DiskOptionsForm::of(&disk.options))
}

/// The first message beside the list of channels.
pub(crate) fn channel_error(refusal: &crate::page::Refusal) -> &str {
    let errors = refusal.0.iter().flat_map(|problem| &problem.errors);
    let mut about = errors.filter(|error| error.pointer.starts_with("/options/channels"));
    about.next().map_or("", |error| &error.detail)
}

/// A network card's model.
pub(crate) fn nic_model(model: &NicModel) -> &'static str {
    match model {
        NicModel::Virtio => "virtio",
        NicModel::E1000 => "Intel E1000",
        NicModel::E1000e => "Intel E1000e",
    }
}

/// What an image is for.
pub(crate) fn image_kind(kind: &ImageKind) -> &'static str {
    match kind {
        ImageKind::Disk => "Disk image",
        ImageKind::Iso => "ISO",
    }
}

/// PCI devices that are more than a part of the way to others.
pub(crate) fn devices_of(devices: &HostDevices) -> Vec<&PciDevice> {
    devices.pci.iter().filter(|pci| !pci.is_bridge()).collect()
}

/// Devices that a machine can be given, by bus: id and name of each.
pub(crate) fn free_devices(devices: &HostDevices) -> Vec<(&'static str, Vec<(String, String)>)> {
    let free = |usage: &DeviceUsage| usage.refusal.is_none() && usage.machine.is_none();
    let pci = devices.pci.iter().filter(|pci| free(&pci.usage));
    let pci: Vec<_> = pci.map(|pci| (pci.id.clone(), format!("{} ({})", pci.name(), pci.address))).collect();
    let usb = devices.usb.iter().filter(|usb| free(&usb.usage));
    let usb: Vec<_> =
        usb.map(|usb| (usb.id.clone(), format!("{} (port {})", usb.name(), usb.port))).collect();
    [("PCI", pci), ("USB", usb)].into_iter().filter(|(_, devices)| !devices.is_empty()).collect()
}

/// How a device of the host is found again.
pub(crate) fn known_by(known: &KnownBy) -> String {
    match known {
        KnownBy::Pci { address, vendor_id, product_id } => {
            format!("PCI {address} ({vendor_id}:{product_id})")
        }
        KnownBy::UsbPort { port, vendor_id, product_id } => {
            format!("USB port {port} ({vendor_id}:{product_id})")
        }
        KnownBy::UsbSerial { serial, vendor_id, product_id } => {
            format!("USB, serial number {serial} ({vendor_id}:{product_id})")
        }
    }
}
