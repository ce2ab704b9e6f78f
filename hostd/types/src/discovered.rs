//! Virtual machines that libvirt has and Quantix did not make.

use crate::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A domain of a host's libvirt that Quantix did not make. Nothing about it is changed unless somebody takes it over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiscoveredVm {
    /// Its UUID, which is its id when it is taken over.
    pub id: VmId,
    /// The host that has it.
    pub host: HostId,
    /// Its name inside libvirt.
    pub name: String,
    /// What it does.
    pub state: VmState,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// What starts its guest.
    pub firmware: Firmware,
    /// The mainboard that QEMU emulates.
    pub machine_type: String,
    /// libvirt starts it when the host boots.
    pub autostart: bool,
    /// Its disks.
    pub disks: Vec<DiscoveredDisk>,
    /// Its network cards.
    pub nics: Vec<DiscoveredNic>,
    /// What stands in the way of taking it over, each with the way out; none when nothing does.
    pub obstacles: Vec<String>,
    /// What is different after it was taken over.
    pub differences: Vec<String>,
}

/// A disk of such a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiscoveredDisk {
    /// Its name on its bus: `vda`.
    pub target: String,
    /// Its bus, in libvirt's word.
    pub bus: String,
    /// Its file, or whatever else it is.
    pub source: String,
    /// Format of the file, when it is one we take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<DiskFormat>,
    /// Size the guest sees, bytes, when it can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
}

/// A network card of such a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiscoveredNic {
    /// Hardware address.
    pub mac: String,
    /// Its model, in QEMU's word.
    pub model: String,
    /// What it is plugged into, in libvirt's words: `bridge br0`, `network default`.
    pub source: String,
    /// The network of Quantix that this is; absent: one must be chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkId>,
}

/// Machines that Quantix did not make, on all hosts that tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiscoveredView {
    /// They, by host and name.
    pub items: Vec<DiscoveredVm>,
    /// Hosts that did not tell.
    pub silent: Vec<HostId>,
}

/// Body of `POST /api/v1/discovered/{host}/{id}/adopt`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdoptVm {
    /// Another name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For network cards, by their hardware address, the network they are plugged into from now on. Needed for those whose
    /// bridge belongs to no network of Quantix.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub networks: BTreeMap<String, NetworkId>,
}

/// What a machine becomes that is taken over; filled in by its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Adoption {
    /// The machine: its disks are `blank`, of the size and format of the files.
    pub vm: CreateVm,
    /// For each disk the file it is in.
    pub files: Vec<String>,
}
