//! Devices that come, change and go while a machine exists, and how far its CPUs and memory can change while it runs.

use crate::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How far CPUs and memory can change while the machine runs. Without it they change at its next power-off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Headroom {
    /// Most CPUs it can be given while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus_max: Option<u32>,
    /// Most memory it can be given while it runs, MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_max_mib: Option<u64>,
    /// Least memory that may be left to it, MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_min_mib: Option<u64>,
}

impl Headroom {
    /// It is the default, which is left out of rows.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
    /// Most CPUs of a machine that has `cpus` now.
    pub fn most_cpus(&self, cpus: u32) -> u32 {
        self.cpus_max.unwrap_or(cpus).max(cpus)
    }
    /// Most memory of a machine that has `memory_mib` now, MiB.
    pub fn most_memory(&self, memory_mib: u64) -> u64 {
        self.memory_max_mib.unwrap_or(memory_mib).max(memory_mib)
    }
}

/// What a machine's spec says of its devices beside the lists of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VmHardware {
    /// How far CPUs and memory can change while it runs.
    #[serde(default, skip_serializing_if = "Headroom::is_default")]
    pub headroom: Headroom,
    /// Devices of its host that it has for itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_devices: Vec<HostDevice>,
    /// Folders of its host that its guest can mount.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<VmShare>,
    /// Changes of devices that are not finished, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<DeviceRequest>,
}

impl VmHardware {
    /// A disk is on its way out whose volume stays.
    pub fn is_detaching_to_keep(&self) -> bool {
        let stays =
            |request: &DeviceRequest| matches!(request.work, DeviceWork::DetachDisk { delete: false, .. });
        self.changes.iter().any(stays)
    }
    /// It is the default, which is left out of rows.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A change of a device that was asked for and is not finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceRequest {
    /// The task that reports on it.
    pub task: TaskId,
    /// The task has ended; what is left is done when the guest allows it, at the latest when the machine is off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// What is to be done.
    pub work: DeviceWork,
}

/// What is to be done, with what is needed to undo it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum DeviceWork {
    /// A disk of the machine is not in it yet.
    AttachDisk {
        /// Its volume.
        volume: VolumeId,
        /// The volume was made for it, and goes if it can't be attached.
        made: bool,
    },
    /// A disk is no more the machine's, but may still be in it.
    DetachDisk {
        /// The disk.
        disk: VmDisk,
        /// Where it was in the list.
        index: u32,
        /// Delete its volume when it is out.
        delete: bool,
    },
    /// A disk is to become larger.
    GrowDisk {
        /// Its volume.
        volume: VolumeId,
        /// Its new size.
        size_bytes: u64,
    },
    /// A disk is to behave otherwise.
    EditDisk {
        /// The disk as it was.
        before: VmDisk,
    },
    /// A card of the machine is not in it yet.
    AttachNic {
        /// Its hardware address.
        mac: String,
    },
    /// A card is on another network, or its cable was pulled or put in.
    EditNic {
        /// The card as it was.
        before: VmNic,
    },
    /// A card is no more the machine's, but may still be in it.
    DetachNic {
        /// The card.
        nic: VmNic,
        /// Where it was in the list.
        index: u32,
    },
    /// A device of the host is the machine's, and not in it yet.
    AttachHostDevice {
        /// The device's id.
        device: String,
    },
    /// A device of the host is no more the machine's, but may still be in it.
    DetachHostDevice {
        /// The device.
        device: HostDevice,
        /// Where it was in the list.
        index: u32,
    },
}

impl DeviceWork {
    /// It is about this disk.
    pub fn is_about_disk(&self, id: VolumeId) -> bool {
        match self {
            DeviceWork::AttachDisk { volume, .. } | DeviceWork::GrowDisk { volume, .. } => *volume == id,
            DeviceWork::DetachDisk { disk, .. } | DeviceWork::EditDisk { before: disk } => disk.volume == id,
            DeviceWork::AttachNic { .. }
            | DeviceWork::EditNic { .. }
            | DeviceWork::DetachNic { .. }
            | DeviceWork::AttachHostDevice { .. }
            | DeviceWork::DetachHostDevice { .. } => false,
        }
    }
    /// It is about the card with this hardware address.
    pub fn is_about_nic(&self, address: &str) -> bool {
        match self {
            DeviceWork::AttachNic { mac } => mac == address,
            DeviceWork::EditNic { before: nic } | DeviceWork::DetachNic { nic, .. } => nic.mac == address,
            DeviceWork::AttachDisk { .. }
            | DeviceWork::DetachDisk { .. }
            | DeviceWork::GrowDisk { .. }
            | DeviceWork::EditDisk { .. }
            | DeviceWork::AttachHostDevice { .. }
            | DeviceWork::DetachHostDevice { .. } => false,
        }
    }
    /// It is about the device of the host with this id.
    pub fn is_about_host_device(&self, id: &str) -> bool {
        match self {
            DeviceWork::AttachHostDevice { device } => device == id,
            DeviceWork::DetachHostDevice { device, .. } => device.id == id,
            DeviceWork::AttachDisk { .. }
            | DeviceWork::DetachDisk { .. }
            | DeviceWork::GrowDisk { .. }
            | DeviceWork::EditDisk { .. }
            | DeviceWork::AttachNic { .. }
            | DeviceWork::EditNic { .. }
            | DeviceWork::DetachNic { .. } => false,
        }
    }
}

/// A change of a machine's devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum DeviceChange {
    /// Attach a disk.
    AttachDisk {
        /// Id of the volume that is made for it; not used for a volume that is there.
        id: VolumeId,
        /// The disk.
        disk: NewDisk,
    },
    /// Detach a disk; its volume stays unless it is to be deleted.
    DetachDisk {
        /// Its volume.
        volume: VolumeId,
        /// Delete the volume when it is out.
        delete: bool,
    },
    /// Make a disk larger.
    GrowDisk {
        /// Its volume.
        volume: VolumeId,
        /// Its new size, bytes.
        size_bytes: u64,
    },
    /// Let a disk behave otherwise.
    EditDisk {
        /// Its volume.
        volume: VolumeId,
        /// How, as a whole.
        options: DiskOptions,
    },
    /// Attach a network card.
    AttachNic {
        /// The card.
        nic: NewNic,
    },
    /// Plug a card's cable into another network, pull it or put it in.
    EditNic {
        /// The card's hardware address.
        mac: String,
        /// What changes.
        edit: EditNic,
    },
    /// Take a network card out.
    DetachNic {
        /// Its hardware address.
        mac: String,
    },
    /// Give the machine a device of its host.
    AttachHostDevice {
        /// What is asked for.
        asked: AttachHostDevice,
        /// The device, which its host fills in.
        found: Option<HostDevice>,
    },
    /// Give a device back to the host.
    DetachHostDevice {
        /// Its id.
        device: String,
    },
}

impl DeviceChange {
    /// Name in tasks and events.
    pub const fn as_str(&self) -> &'static str {
        match self {
            DeviceChange::AttachDisk { .. } => "attach_disk",
            DeviceChange::DetachDisk { .. } => "detach_disk",
            DeviceChange::GrowDisk { .. } => "grow_disk",
            DeviceChange::EditDisk { .. } => "edit_disk",
            DeviceChange::AttachNic { .. } => "attach_nic",
            DeviceChange::EditNic { .. } => "edit_nic",
            DeviceChange::DetachNic { .. } => "detach_nic",
            DeviceChange::AttachHostDevice { .. } => "attach_host_device",
            DeviceChange::DetachHostDevice { .. } => "detach_host_device",
        }
    }
}

/// How a change of a device came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum ChangeEnd {
    /// It is done.
    Done,
    /// It will be, at the latest when the machine is off. The task ends: as failed when there is a problem.
    Later {
        /// Why not now, when that is a failure.
        problem: Option<Problem>,
    },
    /// It can't be done, and everything is as it was before.
    Failed {
        /// Why.
        problem: Problem,
    },
}

/// Body of `PATCH /api/v1/vms/{id}/nics/{mac}`: absent fields stay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EditNic {
    /// Another network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkId>,
    /// The cable is in (`true`) or pulled (`false`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugged: Option<bool>,
    /// Its limits and its place in the boot order, as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<NicOptions>,
}

/// Body of `PATCH /api/v1/vms/{id}/disks/{volume}`: a new size or new options, one at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EditDisk {
    /// Its new size, bytes; never less than it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// How it behaves, as a whole. Limits change at once, the rest at the next power-off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<DiskOptions>,
}

impl DiskBus {
    /// A disk on it can come and go while the machine runs.
    pub const fn hot_plugs(self) -> bool {
        match self {
            DiskBus::Virtio | DiskBus::Scsi => true,
            DiskBus::Sata | DiskBus::Nvme => false,
        }
    }
}

impl NicModel {
    /// Such a card can come and go while the machine runs.
    pub const fn hot_plugs(self) -> bool {
        match self {
            NicModel::Virtio | NicModel::E1000e => true,
            // A card of the older kind of slots, which can't be used while the machine runs.
            NicModel::E1000 => false,
        }
    }
}

/// The place of each disk on its bus. Those that have none yet count up among themselves, as they did before places
/// were kept.
pub fn disk_slots(disks: &[VmDisk]) -> Vec<u32> {
    let mut slots = Vec::with_capacity(disks.len());
    for (index, disk) in disks.iter().enumerate() {
        let before = disks[..index].iter().filter(|other| other.bus == disk.bus).count();
        slots.push(disk.slot.unwrap_or(u32::try_from(before).unwrap_or(u32::MAX)));
    }
    slots
}

/// The number of each card.
pub fn nic_slots(nics: &[VmNic]) -> Vec<u32> {
    let place = |(index, nic): (usize, &VmNic)| nic.slot.unwrap_or(u32::try_from(index).unwrap_or(u32::MAX));
    nics.iter().enumerate().map(place).collect()
}

/// The first number that is not `taken`.
pub fn free_slot(taken: impl Iterator<Item = u32>) -> u32 {
    let taken: std::collections::BTreeSet<u32> = taken.collect();
    (0..).find(|slot| !taken.contains(slot)).unwrap_or(u32::MAX)
}

/// Takes out what members below [`LIFE`] don't know; what was on its way out stays in.
pub(crate) fn forget_devices(vm: &mut Vm) {
    let spec = &mut vm.spec;
    for request in std::mem::take(&mut spec.hardware).changes.into_iter().rev() {
        match request.work {
            DeviceWork::DetachDisk { disk, index, .. } => {
                spec.disks.insert((index as usize).min(spec.disks.len()), disk);
            }
            DeviceWork::DetachNic { nic, index } => {
                spec.nics.insert((index as usize).min(spec.nics.len()), nic);
            }
            DeviceWork::AttachDisk { .. }
            | DeviceWork::GrowDisk { .. }
            | DeviceWork::EditDisk { .. }
            | DeviceWork::AttachNic { .. }
            | DeviceWork::EditNic { .. }
            | DeviceWork::AttachHostDevice { .. }
            | DeviceWork::DetachHostDevice { .. } => {}
        }
    }
    spec.disks.iter_mut().for_each(|disk| {
        (disk.slot, disk.options) = (None, DiskOptions::default());
        if matches!(disk.bus, DiskBus::Scsi | DiskBus::Nvme) {
            disk.bus = DiskBus::Sata;
        }
    });
    spec.nics.iter_mut().for_each(|nic| {
        (nic.slot, nic.unplugged, nic.options) = (None, false, NicOptions::default());
        if nic.model == NicModel::E1000e {
            nic.model = NicModel::E1000;
        }
    });
    spec.options = VmOptions::default();
    if spec.firmware == Firmware::UefiSecure {
        spec.firmware = Firmware::Uefi;
    }
    vm.status.pending.clear();
    vm.status.held_since = None;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(bus: DiskBus, slot: Option<u32>) -> VmDisk {
        VmDisk { volume: VolumeId::new(), bus, slot, options: DiskOptions::default() }
    }

    #[test]
    fn disks_without_a_place_count_up_on_their_bus_and_others_keep_theirs() {
        let old = [(DiskBus::Virtio, None), (DiskBus::Sata, None), (DiskBus::Virtio, None)];
        let old: Vec<VmDisk> = old.into_iter().map(|(bus, slot)| disk(bus, slot)).collect();
        assert_eq!(disk_slots(&old), [0, 0, 1]);
        let kept = [disk(DiskBus::Virtio, Some(4)), disk(DiskBus::Virtio, Some(1))];
        assert_eq!(disk_slots(&kept), [4, 1]);
        assert_eq!(free_slot([0, 1, 3].into_iter()), 2);
    }

    #[test]
    fn headroom_is_never_less_than_what_is_there() {
        let headroom = Headroom { cpus_max: Some(4), memory_max_mib: Some(1024), memory_min_mib: None };
        assert_eq!((headroom.most_cpus(2), headroom.most_cpus(8)), (4, 8));
        assert_eq!((headroom.most_memory(512), Headroom::default().most_memory(512)), (1024, 512));
    }
}
