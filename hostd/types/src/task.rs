//! Tasks: long work somebody can watch and cancel.

use crate::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a task is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TaskState {
    /// Work is to do or under way.
    Running,
    /// Done.
    Succeeded,
    /// Given up; what it had begun was undone.
    Failed {
        /// Why, in the same words as an immediate refusal.
        problem: Problem,
    },
}

impl TaskState {
    /// Name on the wire and in pages.
    pub const fn as_str(&self) -> &'static str {
        match self {
            TaskState::Running => "running",
            TaskState::Succeeded => "succeeded",
            TaskState::Failed { .. } => "failed",
        }
    }
}

/// A task. Its progress is volatile and is joined in by the host that does the work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Task {
    /// Identifier.
    pub id: TaskId,
    /// What is done: the command's name, such as `vm.create` or `vm.start`.
    pub action: String,
    /// What it is done to.
    pub subject: Subject,
    /// The host that does it.
    pub host: HostId,
    /// Where it is.
    #[serde(flatten)]
    pub state: TaskState,
    /// Who asked for it.
    pub created_by: Actor,
    /// When.
    pub created_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Somebody asked to cancel it.
    #[serde(default)]
    pub cancelling: bool,
    /// How far it is, while it runs on this host and is measurable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

impl Task {
    /// It runs, and somebody may cancel it: the transfer, the copy or the merge stops, or the wait for the guest does. The taking of a
    /// snapshot can be cancelled besides while it writes memory.
    pub fn is_cancellable(&self) -> bool {
        let actions = ["image.create", "vm.clone", "vm.shutdown", "vm.reboot", "snapshot.delete"];
        self.state == TaskState::Running && actions.contains(&self.action.as_str())
    }
}

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// Done, in units of the work (bytes).
    pub done: u64,
    /// In all; 0 when unknown.
    pub total: u64,
}
