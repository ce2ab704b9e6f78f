//! What a domain is made from: everything its XML says, and nothing libvirt decides by itself.

use crate::facets::Facets;
use hostd_types::{
    BootDevice, CpuMode, CpuModel, CpuTopology, DiskBus, DiskFormat, DiskOptions, Firmware, GuestOs,
    Headroom, HostDevice, NicModel, NicOptions, VmId, VmOptions, VolumeId,
};
use std::path::PathBuf;

/// Where libvirt is and where consoles live.
#[derive(Debug, Clone)]
pub struct VirtSettings {
    /// `qemu:///system` or a lab's `qemu+unix:///system?socket=…`.
    pub uri: String,
    /// Where serial sockets and logs of machines live, `/run/quantix/vm`. QEMU's user must be able to pass through
    /// its parent directories.
    pub run_dir: PathBuf,
}

impl VirtSettings {
    /// Settings for the libvirt at `uri`.
    pub fn new(uri: impl Into<String>, run_dir: impl Into<PathBuf>) -> Self {
        Self { uri: uri.into(), run_dir: run_dir.into() }
    }
}

/// A disk of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskSource {
    /// The volume; its id becomes the disk's serial number.
    pub volume: VolumeId,
    /// Its file.
    pub path: PathBuf,
    /// Format of the file.
    pub format: DiskFormat,
    /// How it is attached.
    pub bus: DiskBus,
    /// Its place on that bus.
    pub slot: u32,
    /// How it behaves.
    pub options: DiskOptions,
    /// A change of it is under way: a machine that runs may have it or not.
    pub changing: bool,
}

/// A network card of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NicSource {
    /// The bridge it is a port of; must exist when the machine starts.
    pub bridge: String,
    /// Hardware address.
    pub mac: String,
    /// Card model.
    pub model: NicModel,
    /// Its cable is in.
    pub plugged: bool,
    /// How it behaves.
    pub options: NicOptions,
    /// A change of it is under way: a machine that runs may have it or not.
    pub changing: bool,
}

/// A device of the host in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSource {
    /// The device.
    pub device: HostDevice,
    /// Bus and number of a USB device at this moment; none while it is not plugged in.
    pub usb: Option<(u32, u32)>,
    /// A change of it is under way: a machine that runs may have it or not.
    pub changing: bool,
}

/// A folder of the host in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareSource {
    /// What the guest mounts it by.
    pub tag: String,
    /// The folder; must exist when the machine starts.
    pub dir: PathBuf,
}

/// What of the host itself goes into a domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostParts {
    /// The processor that the mode Flexible shows; none: the one nearest to this host's.
    pub cpu: Option<CpuModel>,
    /// Devices that the machine has for itself.
    pub devices: Vec<HostSource>,
    /// Devices that are not its own any more; a machine that runs may still have them.
    pub leaving: Vec<HostSource>,
    /// Folders that its guest can mount.
    pub shares: Vec<ShareSource>,
}

/// What the drive is that a customization is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeedDrive {
    /// A CD-ROM drive, as Windows and its Setup have a driver for.
    Cdrom,
    /// A disk on virtio, for guests that boot from such a disk: kernels for clouds have no driver for the CD-ROM drive.
    Virtio,
}

/// Everything a domain's XML is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainPlan {
    /// The machine; its UUID is the domain's.
    pub vm: VmId,
    /// Name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Generation of the spec this was made from, written into the definition.
    pub generation: u64,
    /// What runs inside.
    pub guest_os: GuestOs,
    /// Virtual CPUs.
    pub cpus: u32,
    /// What the guest sees of the processor.
    pub cpu_mode: CpuMode,
    /// How the CPUs are arranged.
    pub topology: CpuTopology,
    /// The machine type; the newest when absent.
    pub machine_type: Option<String>,
    /// The drive that its customization is read from.
    pub seed: Option<SeedDrive>,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// How far CPUs and memory can change while it runs.
    pub headroom: Headroom,
    /// Firmware.
    pub firmware: Firmware,
    /// TPM, watchdog, ports, screen and the rest.
    pub options: VmOptions,
    /// Boot order.
    pub boot: Vec<BootDevice>,
    /// Run on KVM; otherwise in emulation.
    pub kvm: bool,
    /// Disks, in order.
    pub disks: Vec<DiskSource>,
    /// File in the CD-ROM drive.
    pub cdrom: Option<PathBuf>,
    /// Files in its further CD-ROM drives.
    pub more_cdroms: Vec<Option<PathBuf>>,
    /// Network cards, in order.
    pub nics: Vec<NicSource>,
    /// Disks that are not its own any more; a machine that runs may still have them.
    pub leaving_disks: Vec<DiskSource>,
    /// Cards that are not its own any more; a machine that runs may still have them.
    pub leaving_nics: Vec<NicSource>,
    /// What of the host itself it has.
    pub host: HostParts,
}

/// A disk of a definition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenDisk {
    /// Its file.
    pub path: PathBuf,
    /// Its name on its bus: `vda`.
    pub target: String,
}

/// A further CD-ROM drive of a definition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenDrive {
    /// Its name on its bus: `sdb`.
    pub target: String,
    /// The file in it.
    pub file: Option<PathBuf>,
}

/// A network card of a definition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenNic {
    /// Hardware address.
    pub mac: String,
    /// The bridge it is on.
    pub bridge: String,
    /// Its cable is in.
    pub plugged: bool,
}

/// What a definition says about the things we set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DomainShape {
    /// Name.
    pub name: String,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Most virtual CPUs it can be given.
    pub cpus_max: u32,
    /// Virtual CPUs that Quantix gave it last; none: unknown.
    pub cpus_given: Option<u32>,
    /// What the guest sees of the processor, when the definition says it: an emulated one has a made-up processor.
    pub cpu_mode: Option<CpuMode>,
    /// The processor that Quantix chose for the mode Flexible; none: the host's own, or not made by Quantix.
    pub cpu_model: Option<String>,
    /// How the CPUs are arranged, when the definition says it.
    pub topology: Option<CpuTopology>,
    /// The machine type.
    pub machine_type: String,
    /// It has the drive that its customization is read from.
    pub seed: bool,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// Most memory it can be given, MiB.
    pub memory_max_mib: u64,
    /// Firmware.
    pub firmware: Firmware,
    /// Kinds of devices the firmware tries, in order.
    pub boot: Vec<BootDevice>,
    /// Its disks.
    pub disks: Vec<SeenDisk>,
    /// File in its first CD-ROM drive.
    pub cdrom: Option<PathBuf>,
    /// Its further CD-ROM drives.
    pub more_cdroms: Vec<SeenDrive>,
    /// Its network cards.
    pub nics: Vec<SeenNic>,
    /// Options of its hardware, by name.
    pub facets: Facets,
    /// Devices of the host, by their alias; those that Quantix did not put in, by their place.
    pub host_devices: Vec<String>,
}

/// Where a running machine's consoles are; each is absent when the machine is off or its definition has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Consoles {
    /// Socket that speaks RFB (VNC), without authentication of its own.
    pub vnc: Option<PathBuf>,
    /// Socket of the first serial port; one client at a time.
    pub serial: Option<PathBuf>,
    /// What the first serial port has printed; also there when the machine is off, if it ever ran since the host booted.
    pub serial_log: Option<PathBuf>,
}
