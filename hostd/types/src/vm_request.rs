//! What is asked for with a new virtual machine, and what can be changed of one.

use crate::vm_options::is_default;
use crate::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A disk asked for with a new machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum NewDisk {
    /// An empty disk.
    Blank {
        /// Size in bytes.
        size_bytes: u64,
        /// File format.
        #[serde(default)]
        format: DiskFormat,
        /// How it is attached.
        #[serde(default)]
        bus: DiskBus,
        /// How it behaves.
        #[serde(default, skip_serializing_if = "is_default")]
        options: DiskOptions,
    },
    /// A copy-on-write disk over an uploaded disk image.
    Image {
        /// The image.
        image: ImageId,
        /// Size in bytes; the image's own when absent, never smaller.
        #[serde(default)]
        size_bytes: Option<u64>,
        /// How it is attached.
        #[serde(default)]
        bus: DiskBus,
        /// How it behaves.
        #[serde(default, skip_serializing_if = "is_default")]
        options: DiskOptions,
    },
    /// A volume that is there already and unattached.
    Volume {
        /// The volume.
        volume: VolumeId,
        /// How it is attached.
        #[serde(default)]
        bus: DiskBus,
        /// How it behaves.
        #[serde(default, skip_serializing_if = "is_default")]
        options: DiskOptions,
    },
}

/// A network card asked for with a new machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewNic {
    /// The network.
    pub network: NetworkId,
    /// Hardware address; derived from the machine's id when absent.
    #[serde(default)]
    pub mac: Option<String>,
    /// Card model.
    #[serde(default)]
    pub model: NicModel,
    /// How it behaves.
    #[serde(default, skip_serializing_if = "is_default")]
    pub options: NicOptions,
}

impl NewDisk {
    /// How it is attached.
    pub const fn bus(&self) -> DiskBus {
        match self {
            NewDisk::Blank { bus, .. } | NewDisk::Image { bus, .. } | NewDisk::Volume { bus, .. } => *bus,
        }
    }
    /// How it behaves.
    pub const fn options(&self) -> &DiskOptions {
        match self {
            NewDisk::Blank { options, .. }
            | NewDisk::Image { options, .. }
            | NewDisk::Volume { options, .. } => options,
        }
    }
    /// It asks for something that came with [`crate::LIFE`].
    pub(crate) fn has_life(&self) -> bool {
        !is_default(self.options()) || matches!(self.bus(), DiskBus::Scsi | DiskBus::Nvme)
    }
}

impl NewNic {
    /// It asks for something that came with [`crate::LIFE`].
    pub(crate) fn has_life(&self) -> bool {
        !is_default(&self.options) || self.model == NicModel::E1000e
    }
}

/// Body of `POST /api/v1/vms`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateVm {
    /// Name.
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// What will run inside; told by the names of the images when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_os: Option<GuestOs>,
    /// Virtual CPUs.
    pub cpus: u32,
    /// What the guest sees of the processor.
    #[serde(default, skip_serializing_if = "CpuMode::is_default")]
    pub cpu_mode: CpuMode,
    /// How the CPUs are arranged; their number must be a multiple of sockets times threads.
    #[serde(default, skip_serializing_if = "CpuTopology::is_default")]
    pub topology: CpuTopology,
    /// The mainboard that QEMU emulates; the newest its host has when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_type: Option<String>,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// How far CPUs and memory can change while it runs.
    #[serde(default, skip_serializing_if = "Headroom::is_default")]
    pub headroom: Headroom,
    /// Firmware.
    #[serde(default)]
    pub firmware: Firmware,
    /// Boot order; disk, then CD-ROM, then network when absent.
    #[serde(default = "default_boot")]
    pub boot: Vec<BootDevice>,
    /// Start it when its host boots.
    #[serde(default)]
    pub autostart: bool,
    /// Disks.
    #[serde(default)]
    pub disks: Vec<NewDisk>,
    /// ISO in the CD-ROM drive.
    #[serde(default)]
    pub cdrom: Option<ImageId>,
    /// Further CD-ROM drives, three at most: each with the ISO in it, or null for an empty one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more_cdroms: Vec<Option<ImageId>>,
    /// Folders of its host that its guest can mount, eight at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<VmShare>,
    /// Network cards.
    #[serde(default)]
    pub nics: Vec<NewNic>,
    /// Devices of its host that it gets for itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_devices: Vec<AttachHostDevice>,
    /// TPM, watchdog, ports, screen and the rest.
    #[serde(default, skip_serializing_if = "is_default")]
    pub options: VmOptions,
    /// How its guest sets itself up at its first boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customization: Option<Customization>,
    /// Folder, tags and notes.
    #[serde(default, skip_serializing_if = "NewFiling::is_default")]
    pub filing: NewFiling,
    /// Start it as soon as it is made.
    #[serde(default)]
    pub start: bool,
    /// Make it at this moment, not now. Its name, addresses and images are taken from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_at: Option<Timestamp>,
}

impl CreateVm {
    /// The ISOs for its CD-ROM drives.
    pub fn media(&self) -> impl Iterator<Item = ImageId> {
        self.cdrom.into_iter().chain(self.more_cdroms.iter().flatten().copied())
    }
    /// It asks for something that came with [`crate::HARDWARE`].
    pub(crate) fn has_hardware(&self) -> bool {
        !self.cpu_mode.is_default() || !self.topology.is_default() || self.machine_type.is_some()
    }
    /// It asks for something that came with [`crate::LIFE`].
    pub(crate) fn has_life(&self) -> bool {
        self.guest_os.is_some()
            || self.scheduled_at.is_some()
            || self.customization.is_some()
            || !self.filing.is_default()
            || !self.headroom.is_default()
            || !is_default(&self.options)
            || !self.more_cdroms.is_empty()
            || !self.host_devices.is_empty()
            || !self.shares.is_empty()
            || self.firmware == Firmware::UefiSecure
            || self.disks.iter().any(NewDisk::has_life)
            || self.nics.iter().any(NewNic::has_life)
    }
}

impl EditVm {
    /// It changes something that came with [`crate::HARDWARE`].
    pub(crate) fn has_hardware(&self) -> bool {
        self.cpu_mode.is_some() || self.topology.is_some() || self.machine_type.is_some()
    }
    /// It changes something that came with [`crate::LIFE`].
    pub(crate) fn has_life(&self) -> bool {
        self.guest_os.is_some()
            || self.customization.is_some()
            || self.headroom.is_some()
            || self.options.is_some()
            || self.more_cdroms.is_some()
            || self.shares.is_some()
            || self.firmware == Some(Firmware::UefiSecure)
    }
}

/// The boot order of a machine that names none.
pub fn default_boot() -> Vec<BootDevice> {
    vec![BootDevice::Disk, BootDevice::Cdrom, BootDevice::Network]
}

/// Body of `PATCH /api/v1/vms/{id}`: absent fields stay. Of a running machine, what can't change while it runs is taken
/// and applies at its next power-off; until then it is among `pending` of its status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EditVm {
    /// New name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// New description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Another guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_os: Option<GuestOs>,
    /// New number of virtual CPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// Another mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_mode: Option<CpuMode>,
    /// Another arrangement of the CPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology: Option<CpuTopology>,
    /// Another mainboard, one that its host has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_type: Option<String>,
    /// New memory, MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// How far CPUs and memory can change while it runs, as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headroom: Option<Headroom>,
    /// New firmware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<Firmware>,
    /// New boot order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<Vec<BootDevice>>,
    /// New autostart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autostart: Option<bool>,
    /// CD-ROM: `{"eject": true}` or `{"image": id}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cdrom: Option<CdromChange>,
    /// The further CD-ROM drives as a whole, each with the ISO in it or null for an empty one. What is in the drives it
    /// has changes at once; another number of drives applies at its next power-off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_cdroms: Option<Vec<Option<ImageId>>>,
    /// Folders of its host that its guest can mount, as a whole. They come and go at its next power-off; what is in a
    /// folder stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shares: Option<Vec<VmShare>>,
    /// TPM, watchdog, ports, screen and the rest, as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<VmOptions>,
    /// Another customization: `{"do": "set", "to": {…}}`, `{"do": "run_again"}` or `{"do": "remove"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customization: Option<CustomizationChange>,
}

/// What to do with the CD-ROM drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum CdromChange {
    /// Empty the drive.
    Eject,
    /// Put this image in.
    Insert {
        /// The image (an ISO).
        image: ImageId,
    },
}
