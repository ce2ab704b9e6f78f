//! Commands: the one way anything changes.
//!
//! A handler or form produces a [`Command`], `core::submit` authorizes and admits it and wraps it in an [`Entry`], the
//! log replicates the entry, and `apply` turns it into rows, the same on every host. The encoding is part of the log's
//! format: variants and fields are only ever added; names are written out, so order does not matter.

mod access;
mod cluster;
mod organize;
mod snapshot;
mod specification;
mod storage;
mod vm;

pub use access::AccessCommand;
pub use cluster::ClusterCommand;
pub use organize::OrganizeCommand;
pub use snapshot::{NewSnapshot, SnapshotCommand};
pub use specification::SpecificationCommand;
pub use storage::{ImageCommand, VolumeCommand};
pub use vm::{TaskEnd, VmCommand};

use crate::*;
use serde::{Deserialize, Serialize};

/// Version of [`Entry`]'s encoding.
pub const ENTRY_VERSION: u16 = 1;

/// One entry of the replicated log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Version of this encoding.
    pub version: u16,
    /// The same request submitted again (a double click, a retry) acts once.
    pub request: RequestId,
    /// The proposer's clock; `apply` uses no other.
    pub at: Timestamp,
    /// Who.
    pub by: Actor,
    /// Id of the task this command starts, if it starts one.
    pub task: TaskId,
    /// What.
    pub command: Command,
}

/// What an applied entry did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Index of the entry in the log.
    pub index: u64,
    /// The task it started, if it started one.
    pub task: Option<TaskId>,
    /// What it was about.
    pub subject: Option<Subject>,
}

/// Everything that can be asked of the product or reported by its hosts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant)] // one an entry
pub enum Command {
    /// About a host.
    Host(HostCommand),
    /// About a virtual machine.
    Vm(VmCommand),
    /// About a volume.
    Volume(VolumeCommand),
    /// About a snapshot. Needs the level [`LIFE`](crate::LIFE).
    Snapshot(SnapshotCommand),
    /// About an image.
    Image(ImageCommand),
    /// About a network.
    Network(NetworkCommand),
    /// About a task.
    Task(TaskCommand),
    /// About users, sessions and tokens.
    Access(AccessCommand),
    /// About the cluster itself.
    Cluster(ClusterCommand),
    /// About folders, tags, notes and saved views.
    Organize(OrganizeCommand),
    /// About a customization specification. Needs the level [`LIFE`](crate::LIFE).
    Specification(SpecificationCommand),
    /// A line for the audit trail alone: a refusal, or something observed.
    Audit(AuditCommand),
}

/// Commands about hosts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant)] // one an entry
pub enum HostCommand {
    /// A host appears in the state, or tells what changed about it (its own report).
    Report {
        /// The host.
        id: HostId,
        /// Its hostname: its name when it is new.
        name: String,
        /// What it reports.
        status: HostStatus,
    },
    /// Give it another name, which becomes its hostname.
    Rename {
        /// The host.
        id: HostId,
        /// Its new name.
        name: String,
    },
    /// It is about to leave and gives up its vote, or stays after all.
    SetLeaving {
        /// The host.
        id: HostId,
        /// It leaves.
        leaving: bool,
    },
    /// It was started as something else than before. Refused when it is to be a witness and something is on it.
    SetRole {
        /// The host.
        id: HostId,
        /// What it is from now on.
        role: HostRole,
    },
    /// It had no lease for so long that what needs one has stopped on it: it gets none of this epoch any more. Refused
    /// unless the leader that waited writes it.
    Fence {
        /// The host.
        id: HostId,
        /// The epoch that ends.
        epoch: u64,
        /// The leader that waited.
        leader: NodeId,
        /// Its term; one term may have several leaders, one after the other.
        term: u64,
    },
    /// It knows its epoch, and nothing runs on it under an older one: it may get leases.
    Acknowledge {
        /// The host.
        id: HostId,
        /// Its epoch.
        epoch: u64,
    },
}

/// Commands about networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkCommand {
    /// Make a network. Starts a task.
    Create {
        /// Its id.
        id: NetworkId,
        /// The host it is on.
        host: HostId,
        /// What is asked for.
        network: CreateNetwork,
    },
    /// Delete it; refused while a machine's card is plugged in. Starts a task.
    Delete {
        /// The network.
        id: NetworkId,
    },
    /// What its host saw; a creation's task ends when it first becomes active.
    Report {
        /// The network.
        id: NetworkId,
        /// What was seen.
        status: NetworkStatus,
    },
    /// It is gone from the host: drop the row; the deletion's task succeeds.
    Deleted {
        /// The network.
        id: NetworkId,
    },
    /// Making it failed and everything made was undone: drop the row; the creation's task fails.
    CreateFailed {
        /// The network.
        id: NetworkId,
        /// Why.
        problem: Problem,
    },
}

/// Commands about tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskCommand {
    /// Ask a running task to stop (uploads, shutdowns with a deadline).
    Cancel {
        /// The task.
        id: TaskId,
    },
    /// What a host did at somebody's request while it was cut off: the task as it ended, and its line in the audit trail.
    /// Needs the level [`LEASES`](crate::LEASES).
    Tell {
        /// The task.
        task: Box<Task>,
        /// One sentence; never a secret.
        detail: String,
    },
    /// Drop ended tasks and events older than this (retention).
    Prune {
        /// The moment.
        before: Timestamp,
    },
}

/// A line for the audit trail alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditCommand {
    /// What was tried or seen.
    pub action: String,
    /// On what.
    pub subject: Option<Subject>,
    /// How it went.
    pub result: EventResult,
    /// One sentence; never a secret.
    pub detail: String,
}

impl Command {
    /// Name of the command in tasks and events: `vm.create`, `vm.start`, `session.login`, …
    pub fn name(&self) -> String {
        match self {
            Command::Host(HostCommand::Report { .. }) => "host.report".into(),
            Command::Host(HostCommand::Rename { .. }) => "host.rename".into(),
            Command::Host(HostCommand::SetLeaving { .. }) => "host.set_leaving".into(),
            Command::Host(HostCommand::SetRole { .. }) => "host.set_role".into(),
            Command::Host(HostCommand::Fence { .. }) => "host.fence".into(),
            Command::Host(HostCommand::Acknowledge { .. }) => "host.acknowledge".into(),
            Command::Vm(c) => c.name(),
            Command::Volume(c) => match c {
                VolumeCommand::Create { .. } => "volume.create",
                VolumeCommand::Delete { .. } => "volume.delete",
                VolumeCommand::Report { .. } => "volume.report",
                VolumeCommand::Deleted { .. } => "volume.deleted",
                VolumeCommand::CreateFailed { .. } => "volume.create_failed",
            }
            .into(),
            Command::Snapshot(c) => c.name().into(),
            Command::Image(c) => match c {
                ImageCommand::Create { .. } => "image.create",
                ImageCommand::Ready { .. } => "image.ready",
                ImageCommand::CreateFailed { .. } => "image.create_failed",
                ImageCommand::Delete { .. } => "image.delete",
                ImageCommand::Deleted { .. } => "image.deleted",
                ImageCommand::Report { .. } => "image.report",
            }
            .into(),
            Command::Network(c) => match c {
                NetworkCommand::Create { .. } => "network.create",
                NetworkCommand::Delete { .. } => "network.delete",
                NetworkCommand::Report { .. } => "network.report",
                NetworkCommand::Deleted { .. } => "network.deleted",
                NetworkCommand::CreateFailed { .. } => "network.create_failed",
            }
            .into(),
            Command::Task(c) => match c {
                TaskCommand::Cancel { .. } => "task.cancel",
                TaskCommand::Tell { .. } => "task.tell",
                TaskCommand::Prune { .. } => "task.prune",
            }
            .into(),
            Command::Access(c) => match c {
                AccessCommand::CreateUser { .. } => "user.create",
                AccessCommand::SetPassword { .. } => "user.set_password",
                AccessCommand::Login { .. } => "session.login",
                AccessCommand::Logout { .. } => "session.logout",
                AccessCommand::CreateToken { .. } => "token.create",
                AccessCommand::RevokeToken { .. } => "token.revoke",
                AccessCommand::ShareConsole { .. } => "vm.share_console",
                AccessCommand::OpenLink { .. } => "vm.open_link",
                AccessCommand::RevokeLink { .. } => "vm.revoke_link",
            }
            .into(),
            Command::Cluster(c) => match c {
                ClusterCommand::Found { .. } => "cluster.found",
                ClusterCommand::Raise { .. } => "cluster.raise",
                ClusterCommand::Edit { .. } => "cluster.edit",
                ClusterCommand::ChooseCpu { .. } => "cluster.choose_cpu",
                ClusterCommand::CreateToken { .. } => "cluster.create_token",
                ClusterCommand::RevokeToken { .. } => "cluster.revoke_token",
                ClusterCommand::Join { .. } => "cluster.join",
                ClusterCommand::Import { .. } => "cluster.import",
                ClusterCommand::Recover { .. } => "cluster.recover",
                ClusterCommand::Remove { .. } => "cluster.remove",
                ClusterCommand::RotateAuthority { .. } => "cluster.rotate_authority",
                ClusterCommand::RotateWithout { .. } => "cluster.rotate_without",
                ClusterCommand::StepRotation { .. } => "cluster.step_rotation",
            }
            .into(),
            Command::Organize(c) => c.name(),
            Command::Specification(c) => c.name().into(),
            Command::Audit(c) => c.action.clone(),
        }
    }
}
