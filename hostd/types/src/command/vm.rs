//! Commands about virtual machines.

use super::NewSnapshot;
use crate::*;
use serde::{Deserialize, Serialize};

/// Commands about virtual machines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant)] // one an entry
pub enum VmCommand {
    /// Make a machine and its new disks. Starts a task.
    Create {
        /// Its id, chosen by the proposer.
        id: VmId,
        /// The host that will run it.
        host: HostId,
        /// What is asked for; disks over an image carry their size.
        vm: CreateVm,
        /// The devices of the host that are asked for, in their order, as the host knows them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        found: Vec<HostDevice>,
    },
    /// Make a copy of a machine, of one of its snapshots, or of a template. Starts a task.
    Clone {
        /// Id of the copy.
        id: VmId,
        /// The machine or template.
        source: VmId,
        /// What is asked for.
        copy: CloneVm,
        /// The snapshot that is taken for it.
        first: Option<NewSnapshot>,
        /// What its guest is told was not asked for: it is what the source's guest was told.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        inherits: bool,
    },
    /// Make a template of a machine, or a machine of a template.
    SetTemplate {
        /// The machine.
        id: VmId,
        /// Refuse when its generation is another.
        expect: Option<u64>,
        /// It is a template from now on.
        template: bool,
    },
    /// Take over a machine that the host's libvirt had already. Starts a task.
    Adopt {
        /// Its UUID there.
        id: VmId,
        /// The host that has it.
        host: HostId,
        /// What is asked for.
        asked: AdoptVm,
        /// What it becomes, as its host sees it.
        taken: Option<Box<Adoption>>,
    },
    /// Change settings.
    Edit {
        /// The machine.
        id: VmId,
        /// Refuse when its generation is another (`If-Match`).
        expect: Option<u64>,
        /// What changes.
        edit: EditVm,
    },
    /// Attach, change or detach a device, whether it runs or not. Starts a task.
    Change {
        /// The machine.
        id: VmId,
        /// Refuse when its generation is another.
        expect: Option<u64>,
        /// What changes.
        change: DeviceChange,
    },
    /// How a change of a device came out.
    Changed {
        /// The machine.
        id: VmId,
        /// The task that asked for it.
        task: TaskId,
        /// How.
        end: ChangeEnd,
    },
    /// Do something with its power. Starts a task.
    Power {
        /// The machine.
        id: VmId,
        /// What.
        action: PowerAction,
        /// Seconds a guest has to obey `shutdown` or `reboot`.
        deadline_s: u32,
    },
    /// Delete it. Starts a task.
    Delete {
        /// The machine.
        id: VmId,
        /// Refuse when its generation is another.
        expect: Option<u64>,
        /// Delete its disks too.
        disks: bool,
    },
    /// What the host that runs it saw; with `done`, the task of a power request or creation ends too.
    Report {
        /// The machine.
        id: VmId,
        /// What was seen.
        status: VmStatus,
        /// A task that ended with it.
        done: Option<TaskEnd>,
    },
    /// Its domain, and its disks if they were to go, are gone: drop the rows; the deletion's task succeeds.
    Deleted {
        /// The machine.
        id: VmId,
    },
    /// Making it failed and everything made was removed: drop the rows; the creation's task fails.
    CreateFailed {
        /// The machine.
        id: VmId,
        /// Why.
        problem: Problem,
    },
    /// Another host runs it from now on: because its host was fenced, or because its host hands it over. It must be one
    /// that stops when its host has no lease.
    Place {
        /// The machine.
        id: VmId,
        /// The host that runs it.
        host: HostId,
        /// Its newest placement, which this one replaces; refused when that is another by now.
        placement_epoch: u64,
    },
}

impl VmCommand {
    /// Name of the command in tasks and events: `vm.create`, `vm.start`.
    pub fn name(&self) -> String {
        match self {
            VmCommand::Create { .. } => "vm.create".into(),
            VmCommand::Clone { .. } => "vm.clone".into(),
            VmCommand::SetTemplate { .. } => "vm.set_template".into(),
            VmCommand::Adopt { .. } => "vm.adopt".into(),
            VmCommand::Edit { .. } => "vm.edit".into(),
            VmCommand::Change { change, .. } => format!("vm.{}", change.as_str()),
            VmCommand::Changed { .. } => "vm.changed".into(),
            VmCommand::Power { action, .. } => format!("vm.{}", action.as_str()),
            VmCommand::Delete { .. } => "vm.delete".into(),
            VmCommand::Report { .. } => "vm.report".into(),
            VmCommand::Deleted { .. } => "vm.deleted".into(),
            VmCommand::CreateFailed { .. } => "vm.create_failed".into(),
            VmCommand::Place { .. } => "vm.place".into(),
        }
    }
}

/// How a task ended, reported together with the state that ended it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskEnd {
    /// The task.
    pub task: TaskId,
    /// Why it failed; absent when it succeeded.
    pub problem: Option<Problem>,
}
