//! Snapshots: what a machine's disks held at a moment, kept as layers of its volumes, and if wanted its memory.

use crate::meta::resource;
use crate::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// Most layers one over the other, so most snapshots one after the other: each makes reading a little slower.
pub const LAYERS_MAX: usize = 32;
/// Most characters of a snapshot's description.
pub const SNAPSHOT_TEXT_MAX: usize = 1000;

/// For each volume a layer of it.
pub type LayerMap = BTreeMap<VolumeId, LayerId>;

/// What a snapshot is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotSpec {
    /// Name, unique among the machine's snapshots, letter case ignored.
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// The machine.
    pub vm: VmId,
    /// The host that has its disks.
    pub host: HostId,
    /// The snapshot it was taken after, if any.
    pub parent: Option<SnapshotId>,
    /// Ask the guest to write everything out before.
    pub quiesce: bool,
    /// Keep the memory of the running guest too, of the same instant.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub memory: bool,
    /// For each disk the layer that holds what it held: empty until the snapshot is taken.
    pub layers: LayerMap,
    /// While it is being taken: the new active layer of each disk.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub next: LayerMap,
    /// The machine's settings at that moment, for reading: going back leaves them as they are then.
    pub machine: Box<VmSpec>,
    /// The task of its making or deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// It was taken for copies, and goes with the last of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub for_copies: bool,
}

/// What was last seen of a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotStatus {
    /// Where it is in its life.
    pub phase: Phase,
    /// The moment the disks are of, once it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<Timestamp>,
    /// The machine ran.
    #[serde(default)]
    pub running: bool,
    /// The guest had written everything out.
    #[serde(default)]
    pub quiesced: bool,
    /// Bytes of the file that keeps its memory, when it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Its deletion was cancelled when a part of it was merged: it can't be gone back to any more, and the rest is merged
    /// when it is deleted again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
}

resource! {
    /// A snapshot of a machine's disks, and of its memory if that was wanted.
    Snapshot, SnapshotId, SnapshotSpec, SnapshotStatus, Kind::Snapshot
}

/// Where a machine is among its snapshots, and where it is to go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VmSnapshots {
    /// The snapshot that what is written now comes after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<SnapshotId>,
    /// Going back to a snapshot was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revert: Option<Revert>,
}

impl VmSnapshots {
    /// It never had a snapshot, which is left out of rows.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Going back to a snapshot, asked for and not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Revert {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The new active layer of each disk.
    pub next: LayerMap,
    /// Start the machine afterwards.
    pub start: bool,
    /// Let the guest go on from the memory that the snapshot keeps.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resume: bool,
    /// The task that reports on it.
    pub task: TaskId,
}

/// Body of `POST /api/v1/vms/{id}/snapshots`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateSnapshot {
    /// Name.
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// Keep the memory of the running guest too, so that it can go on from there. Refused when the machine does not run, and
    /// in the CPU mode Performance.
    #[serde(default)]
    pub include_memory: bool,
    /// Ask the guest's agent to write everything out before; refused when the machine does not run.
    #[serde(default)]
    pub quiesce: bool,
}

/// Body of `POST /api/v1/vms/{id}/snapshots/{snapshot}/revert`. The disks become what they were; what was written since the
/// newest snapshot is lost unless `snapshot_first` is given. Disks that were attached after it was taken are detached: their volumes
/// stay, with all they hold. A running machine is switched off; the guest goes on from the kept
/// memory if there is one. Settings stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevertSnapshot {
    /// Take a snapshot of this name of what the disks hold now, before going back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_first: Option<String>,
    /// Start the machine afterwards, anew.
    #[serde(default)]
    pub start: bool,
    /// Let the guest go on from the kept memory; `false` leaves the machine off, or starts it anew with `start`. When absent
    /// it goes on if the snapshot keeps memory and `start` is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<bool>,
}

impl Snapshot {
    /// What going back to it does with its memory, when nobody says.
    pub fn resumes(&self, asked: Option<bool>, start: bool) -> bool {
        asked.unwrap_or(self.status.memory_bytes.is_some() && !start)
    }
}

impl Vm {
    /// Disks that were attached after `snapshot` was taken: going back to it detaches them.
    pub fn disks_added_since<'a>(&'a self, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a VmDisk> {
        self.spec.disks.iter().filter(|disk| !snapshot.spec.layers.contains_key(&disk.volume))
    }
}

/// The layers of a volume that some of `snapshots` own; one that is being deleted owns nothing.
pub fn owned_layers(snapshots: &[Snapshot], volume: VolumeId) -> BTreeSet<LayerId> {
    let kept = snapshots.iter().filter(|snapshot| snapshot.status.phase != Phase::Deleting);
    kept.filter_map(|snapshot| snapshot.spec.layers.get(&volume).copied()).collect()
}
