//! Commands about snapshots and the layers of volumes.

use crate::*;
use serde::{Deserialize, Serialize};

/// A snapshot to be taken; its ids are chosen by the proposer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSnapshot {
    /// Its id.
    pub id: SnapshotId,
    /// What is asked for.
    pub asked: CreateSnapshot,
    /// The new active layer of each disk of the machine.
    pub next: LayerMap,
}

/// Commands about snapshots.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotCommand {
    /// Take one. Starts a task.
    Create {
        /// The machine.
        vm: VmId,
        /// The snapshot.
        new: NewSnapshot,
    },
    /// The disks were switched to the new layers: what was written before is the snapshot's.
    Taken {
        /// The snapshot.
        id: SnapshotId,
        /// The machine ran.
        running: bool,
        /// The guest had written everything out.
        quiesced: bool,
        /// Bytes of the file that keeps its memory.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        memory_bytes: Option<u64>,
    },
    /// It could not be taken, and the disks are what they were: drop the row; its task fails.
    CreateFailed {
        /// The snapshot.
        id: SnapshotId,
        /// Why.
        problem: Problem,
        /// The machine went off, and may have written to the new layers before: they stay, and are merged.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        switched: bool,
    },
    /// Go back to a snapshot. Starts a task.
    Revert {
        /// The snapshot.
        id: SnapshotId,
        /// The new active layer of each disk that goes back.
        next: LayerMap,
        /// The snapshot to take before.
        first: Option<NewSnapshot>,
        /// Start the machine afterwards.
        start: bool,
        /// Let the guest go on from the memory that it keeps.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        resume: bool,
    },
    /// The machine's disks are what the snapshot holds; it is off, or goes on from the snapshot's memory.
    Reverted {
        /// The machine.
        vm: VmId,
    },
    /// Going back was given up; the disks are what they were.
    RevertFailed {
        /// The machine.
        vm: VmId,
        /// Why.
        problem: Problem,
    },
    /// Delete one; what its layers hold goes into the layers after it. Starts a task.
    Delete {
        /// The snapshot.
        id: SnapshotId,
    },
    /// Somebody cancelled its deletion, and nothing is merged any more. Its task ends.
    Stopped {
        /// The snapshot.
        id: SnapshotId,
        /// Nothing was merged yet: it is what it was.
        kept: bool,
    },
    /// Nothing more is to do about its deletion: drop the row. Its task fails when its layers could not be merged; that is
    /// tried again later.
    Deleted {
        /// The snapshot.
        id: SnapshotId,
        /// Why its layers are still there.
        problem: Option<Problem>,
    },
    /// What a layer held is in the one under it, checked.
    Merged {
        /// The volume.
        volume: VolumeId,
        /// The layer that is not needed any more.
        upper: LayerId,
    },
    /// The file of a layer that is not needed is gone.
    Dropped {
        /// The volume.
        volume: VolumeId,
        /// The layer.
        layer: LayerId,
    },
}

impl SnapshotCommand {
    /// Name of the command in tasks and events.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            SnapshotCommand::Create { .. } => "snapshot.create",
            SnapshotCommand::Taken { .. } => "snapshot.taken",
            SnapshotCommand::CreateFailed { .. } => "snapshot.create_failed",
            SnapshotCommand::Revert { .. } => "snapshot.revert",
            SnapshotCommand::Reverted { .. } => "snapshot.reverted",
            SnapshotCommand::RevertFailed { .. } => "snapshot.revert_failed",
            SnapshotCommand::Delete { .. } => "snapshot.delete",
            SnapshotCommand::Stopped { .. } => "snapshot.stopped",
            SnapshotCommand::Deleted { .. } => "snapshot.deleted",
            SnapshotCommand::Merged { .. } => "snapshot.merged",
            SnapshotCommand::Dropped { .. } => "snapshot.dropped",
        }
    }
}
