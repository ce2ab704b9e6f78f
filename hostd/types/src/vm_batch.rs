//! The same for several machines at once.

use crate::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most machines of one batch.
pub const BATCH_MAX: usize = 500;

/// Body of `POST /api/v1/vms/batch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VmBatch {
    /// The machines, 1 to 500; one that is named twice counts once.
    pub vms: Vec<VmId>,
    /// What to do with each.
    pub act: BatchAct,
}

/// What is done with each machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum BatchAct {
    /// Something with its power.
    Power {
        /// What.
        action: PowerAction,
        /// Seconds the guest has to obey `shutdown` or `reboot`; 120 when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline_s: Option<u32>,
    },
    /// Another folder, other tags.
    File {
        /// What changes.
        filing: EditFiling,
    },
    /// Delete it.
    Delete {
        /// Its disks too; otherwise they stay as unattached volumes.
        disks: bool,
    },
}

/// What became of one machine's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchItem {
    /// The machine.
    pub id: VmId,
    /// Its name; empty when there is no such machine.
    pub name: String,
    /// The task it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// Why it was refused; absent when it was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// Answer of `POST /api/v1/vms/batch`: one item a machine, in the order they were named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchResult {
    /// What became of each.
    pub items: Vec<BatchItem>,
    /// How many were accepted.
    pub accepted: u64,
    /// How many were refused.
    pub refused: u64,
}
