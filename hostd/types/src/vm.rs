//! Virtual machines.

use crate::meta::resource;
use crate::vm_options::is_default;
use crate::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most disks of a machine.
pub const DISKS_MAX: usize = 16;
/// Most network cards of a machine.
pub const NICS_MAX: usize = 8;

/// Smallest memory of a virtual machine, MiB.
pub const MEMORY_MIN_MIB: u64 = 16;
/// Most virtual CPUs of one machine.
pub const CPUS_MAX: u32 = 255;
/// Most CD-ROM drives of one machine beside the first, which every machine has.
pub const MORE_CDROMS_MAX: usize = 3;
/// Seconds a guest has to shut down before the task fails (the machine keeps running).
pub const SHUTDOWN_DEADLINE_S: u32 = 120;

/// What starts the guest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Firmware {
    /// SeaBIOS.
    #[default]
    Bios,
    /// OVMF, without Secure Boot.
    Uefi,
    /// OVMF with Secure Boot, enforced with the keys that Microsoft signs by.
    UefiSecure,
}

/// A device class the firmware tries, in the order of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BootDevice {
    /// The disks, in their order.
    Disk,
    /// The CD-ROM drive.
    Cdrom,
    /// The network cards, by PXE.
    Network,
}

/// How a disk is attached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiskBus {
    /// virtio-blk: fast, needs a driver in the guest.
    #[default]
    Virtio,
    /// SATA: works with every guest.
    Sata,
    /// virtio-scsi: nearly as fast as virtio-blk, with the commands of SCSI; needs a driver in the guest.
    Scsi,
    /// NVMe: fast, and known to newer guests without a driver of their own. Needs libvirt 11.5.
    Nvme,
}

/// Model of a virtual network card.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NicModel {
    /// virtio-net: fast, needs a driver in the guest.
    #[default]
    Virtio,
    /// Intel E1000: works with every guest.
    E1000,
    /// Intel 82574L: works with most guests, and can come and go while the machine runs.
    E1000e,
}

/// A disk of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VmDisk {
    /// The volume.
    pub volume: VolumeId,
    /// How it is attached.
    #[serde(default)]
    pub bus: DiskBus,
    /// Its place on that bus, which it keeps whatever comes and goes beside it; its place in the list when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// How it behaves.
    #[serde(default, skip_serializing_if = "is_default")]
    pub options: DiskOptions,
}

/// A network card of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VmNic {
    /// The network it is plugged into.
    pub network: NetworkId,
    /// Hardware address, `52:54:00:…` unless given.
    pub mac: String,
    /// Card model.
    #[serde(default)]
    pub model: NicModel,
    /// Its number, which it keeps whatever comes and goes beside it; its place in the list when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// Its cable is pulled: the guest sees no carrier.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unplugged: bool,
    /// How it behaves.
    #[serde(default, skip_serializing_if = "is_default")]
    pub options: NicOptions,
}

/// Something to do with a machine's power, asked for once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PowerAction {
    /// Start it.
    Start,
    /// Ask the guest to shut down (ACPI power button), with a deadline.
    Shutdown,
    /// Ask the guest to reboot.
    Reboot,
    /// Press the reset button.
    Reset,
    /// Pull the plug.
    ForceOff,
    /// Freeze the virtual CPUs.
    Pause,
    /// Let them go on.
    Resume,
}

impl PowerAction {
    /// Name in URLs, tasks and events: `start`, `force_off`, …
    pub const fn as_str(self) -> &'static str {
        match self {
            PowerAction::Start => "start",
            PowerAction::Shutdown => "shutdown",
            PowerAction::Reboot => "reboot",
            PowerAction::Reset => "reset",
            PowerAction::ForceOff => "force_off",
            PowerAction::Pause => "pause",
            PowerAction::Resume => "resume",
        }
    }
}

/// The latest power action asked for. A newer request replaces it; it is pending while `seq` is above
/// [`VmStatus::power_done`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PowerRequest {
    /// Counts the machine's power requests, from 1.
    pub seq: u64,
    /// What to do.
    pub action: PowerAction,
    /// The task that reports on it; none for autostart.
    pub task: TaskId,
    /// When it was asked for.
    pub at: Timestamp,
    /// Seconds a guest has to obey `shutdown` or `reboot`.
    pub deadline_s: u32,
}

/// What is wanted of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VmSpec {
    /// Name, unique in the cluster, letter case ignored.
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// What runs inside: it decides about timers and interfaces of the processor.
    #[serde(default, skip_serializing_if = "GuestOs::is_default")]
    pub guest_os: GuestOs,
    /// Its host makes it when this moment has come, and not before; until then it is `creating`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_at: Option<Timestamp>,
    /// The host that runs it.
    pub host: HostId,
    /// Counts the machine's placements: only the host named by the newest one may run it.
    #[serde(default)]
    pub placement_epoch: u64,
    /// Virtual CPUs.
    pub cpus: u32,
    /// What the guest sees of the processor.
    #[serde(default, skip_serializing_if = "CpuMode::is_default")]
    pub cpu_mode: CpuMode,
    /// How the CPUs are arranged.
    #[serde(default, skip_serializing_if = "CpuTopology::is_default")]
    pub topology: CpuTopology,
    /// The mainboard that QEMU emulates, by its version: `pc-q35-10.0`. It stays when QEMU becomes newer. Machines that
    /// were made before have none, and get the newest at each start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_type: Option<String>,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// Firmware.
    pub firmware: Firmware,
    /// Boot order.
    pub boot: Vec<BootDevice>,
    /// Start it when its host boots.
    pub autostart: bool,
    /// Disks, in order.
    pub disks: Vec<VmDisk>,
    /// Image in the CD-ROM drive; the drive is always there.
    pub cdrom: Option<ImageId>,
    /// Images in its further CD-ROM drives, which are there, empty or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_cdroms: Vec<Option<ImageId>>,
    /// Network cards, in order.
    pub nics: Vec<VmNic>,
    /// How its guest sets itself up at its first boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customization: Option<Customization>,
    /// Where it is among its snapshots.
    #[serde(default, skip_serializing_if = "VmSnapshots::is_default")]
    pub snapshots: VmSnapshots,
    /// What can grow while it runs, and changes of devices under way.
    #[serde(default, skip_serializing_if = "VmHardware::is_default")]
    pub hardware: VmHardware,
    /// TPM, watchdog, ports, screen and the rest.
    #[serde(default, skip_serializing_if = "is_default")]
    pub options: VmOptions,
    /// Latest power request.
    pub power: Option<PowerRequest>,
    /// Its folder and its notes.
    #[serde(default, skip_serializing_if = "Filing::is_default")]
    pub filing: Filing,
    /// What it is a copy of, and whether it is a template.
    #[serde(default, skip_serializing_if = "Lineage::is_default")]
    pub lineage: Lineage,
    /// Set when deletion was asked for.
    pub deleting: Option<Deletion>,
}

/// A deletion asked for and not finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deletion {
    /// Delete the disks too; otherwise they stay as unattached volumes.
    pub disks: bool,
    /// The task that reports on it.
    pub task: TaskId,
}

/// Where a resource is in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Being made; not usable yet.
    #[default]
    Creating,
    /// Usable.
    Ready,
    /// Being deleted.
    Deleting,
}

/// What a machine was last seen doing.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum VmState {
    /// Not running.
    Off,
    /// A start is under way.
    Starting,
    /// Running.
    Running,
    /// Frozen by `pause`, or by the host on an I/O error.
    Paused,
    /// A shutdown or force-off is under way.
    Stopping,
    /// Its QEMU ended unexpectedly or the guest panicked.
    Crashed,
    /// libvirt can't be asked at the moment.
    #[default]
    Unknown,
}

impl VmState {
    /// Name on the wire and in pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            VmState::Off => "off",
            VmState::Starting => "starting",
            VmState::Running => "running",
            VmState::Paused => "paused",
            VmState::Stopping => "stopping",
            VmState::Crashed => "crashed",
            VmState::Unknown => "unknown",
        }
    }
    /// A QEMU process exists (or may exist).
    pub const fn is_active(self) -> bool {
        match self {
            VmState::Off | VmState::Crashed => false,
            VmState::Starting | VmState::Running | VmState::Paused | VmState::Stopping | VmState::Unknown => {
                true
            }
        }
    }
}

/// What was last seen of a machine, reported by the host that runs it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VmStatus {
    /// Where it is in its life.
    pub phase: Phase,
    /// What it does.
    pub state: VmState,
    /// Why it is in that state, in words (`guest shut down`, `killed outside Quantix`), when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The last power request that was carried out or given up.
    pub power_done: u64,
    /// Generation of the spec that the running or defined domain was made from.
    pub applied_generation: u64,
    /// Settings found changed outside Quantix, in words; empty when the domain is as wanted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<String>,
    /// Settings that are taken and apply at its next power-off, in words; nothing is wrong with it until then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<String>,
    /// Its guest was asked to hold still for a snapshot at that moment, and its agent has not answered since that it goes on:
    /// it may hold back everything it writes. A reset ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_since: Option<Timestamp>,
    /// When this was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Timestamp>,
}

resource! {
    /// A virtual machine.
    Vm, VmId, VmSpec, VmStatus, Kind::Vm
}

impl VmSpec {
    /// The images in its CD-ROM drives.
    pub fn media(&self) -> impl Iterator<Item = ImageId> {
        self.cdrom.into_iter().chain(self.more_cdroms.iter().flatten().copied())
    }
}

impl Vm {
    /// When it will be made, if that is later than `now` and nothing of it is made yet.
    pub fn planned_for(&self, now: Timestamp) -> Option<Timestamp> {
        self.spec.scheduled_at.filter(|at| self.status.phase == Phase::Creating && *at > now)
    }
}

/// The hardware address of card `index` of machine `vm` when none is given: QEMU's prefix and three bytes of the id's
/// random tail, so that the proposer and every replica agree on it.
pub fn derived_mac(vm: VmId, index: usize) -> String {
    let uuid = vm.uuid();
    let tail = &uuid.as_bytes()[13..16];
    let last = tail[2].wrapping_add(u8::try_from(index % 256).unwrap_or(0));
    format!("52:54:00:{:02x}:{:02x}:{:02x}", tail[0], tail[1], last)
}

/// The id of the volume made for disk `index` of machine `vm`: the machine's id with the index mixed into its random
/// part, so that a repeated `apply` yields the same volume.
pub fn derived_volume(vm: VmId, index: usize) -> VolumeId {
    let mut bytes = *vm.uuid().as_bytes();
    bytes[8] ^= 0x20;
    bytes[9] = bytes[9].wrapping_add(u8::try_from(index % 256).unwrap_or(0)).wrapping_add(1);
    VolumeId::from_uuid(uuid::Uuid::from_bytes(bytes))
}
