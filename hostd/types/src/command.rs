//! Commands: the one way anything changes.
//!
//! A handler or form produces a [`Command`], `core::submit` authorizes and admits it and wraps it in an [`Entry`], the
//! log replicates the entry, and `apply` turns it into rows, the same on every host. The encoding is part of the log's
//! format: variants and fields are only ever added; names are written out, so order does not matter.

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
pub enum Command {
    /// About a host.
    Host(HostCommand),
    /// About a virtual machine.
    Vm(VmCommand),
    /// About a volume.
    Volume(VolumeCommand),
    /// About an image.
    Image(ImageCommand),
    /// About a network.
    Network(NetworkCommand),
    /// About a task.
    Task(TaskCommand),
    /// About users, sessions and tokens.
    Access(AccessCommand),
    /// A line for the audit trail alone: a refusal, or something observed.
    Audit(AuditCommand),
}

/// Commands about hosts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
}

/// Commands about virtual machines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VmCommand {
    /// Make a machine and its new disks. Starts a task.
    Create {
        /// Its id, chosen by the proposer.
        id: VmId,
        /// The host that will run it.
        host: HostId,
        /// What is asked for; disks over an image carry their size.
        vm: CreateVm,
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
}

/// How a task ended, reported together with the state that ended it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskEnd {
    /// The task.
    pub task: TaskId,
    /// Why it failed; absent when it succeeded.
    pub problem: Option<Problem>,
}

/// Commands about volumes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeCommand {
    /// Make an empty, unattached volume. Starts a task.
    Create {
        /// Its id.
        id: VolumeId,
        /// The host whose pool gets it.
        host: HostId,
        /// What is asked for.
        volume: CreateVolume,
    },
    /// Delete an unattached volume. Starts a task.
    Delete {
        /// The volume.
        id: VolumeId,
    },
    /// What its host saw (ready, or a fault); a creation's task ends when it becomes ready.
    Report {
        /// The volume.
        id: VolumeId,
        /// What was seen.
        status: VolumeStatus,
    },
    /// Its file is gone: drop the row; the deletion's task succeeds.
    Deleted {
        /// The volume.
        id: VolumeId,
    },
    /// Making it failed: drop the row; the creation's task fails.
    CreateFailed {
        /// The volume.
        id: VolumeId,
        /// Why.
        problem: Problem,
    },
}

/// Commands about images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageCommand {
    /// An upload begins. Starts a task.
    Create {
        /// Its id.
        id: ImageId,
        /// The host that receives it.
        host: HostId,
        /// Name.
        name: String,
        /// Free text.
        description: String,
        /// Bytes announced, if they were.
        announced_bytes: Option<u64>,
        /// SHA-256 (hex) expected, if one was given.
        expected_sha256: Option<String>,
    },
    /// The upload ended well: the image can be used; its task succeeds.
    Ready {
        /// The image.
        id: ImageId,
        /// What it holds.
        content: ImageContent,
    },
    /// The upload failed and its file is gone: drop the row; its task fails.
    CreateFailed {
        /// The image.
        id: ImageId,
        /// Why.
        problem: Problem,
    },
    /// Delete it; refused while a disk is layered over it or a CD-ROM drive holds it. Starts a task.
    Delete {
        /// The image.
        id: ImageId,
    },
    /// Its file is gone: drop the row; the deletion's task succeeds.
    Deleted {
        /// The image.
        id: ImageId,
    },
    /// What its host saw of its file.
    Report {
        /// The image.
        id: ImageId,
        /// What is wrong, or nothing any more.
        fault: Option<String>,
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
    /// Drop ended tasks and events older than this (retention).
    Prune {
        /// The moment.
        before: Timestamp,
    },
}

/// Commands about users, sessions and tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessCommand {
    /// Make a user (the administrator, at first start).
    CreateUser {
        /// Their id.
        id: UserId,
        /// Login name.
        name: String,
        /// Hash of the password.
        password: PasswordHash,
        /// It was generated and is shown on the local console until changed.
        initial: bool,
    },
    /// Change a user's password; ends all their sessions but `keep`.
    SetPassword {
        /// The user.
        id: UserId,
        /// Hash of the new password.
        password: PasswordHash,
        /// The session that asked.
        keep: Option<SessionId>,
        /// It was generated and is shown on the local console until changed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        initial: bool,
    },
    /// Somebody logged in.
    Login {
        /// The new session.
        session: Session,
        /// Hash of its secret.
        secret: SecretHash,
    },
    /// A session ends.
    Logout {
        /// The session.
        id: SessionId,
    },
    /// Make a token.
    CreateToken {
        /// Its id.
        id: TokenId,
        /// Name.
        name: String,
        /// Whose.
        user: UserId,
        /// When it ends.
        expires_at: Timestamp,
        /// Hash of its secret.
        secret: SecretHash,
    },
    /// Take a token back.
    RevokeToken {
        /// The token.
        id: TokenId,
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
            Command::Vm(c) => match c {
                VmCommand::Create { .. } => "vm.create".into(),
                VmCommand::Edit { .. } => "vm.edit".into(),
                VmCommand::Power { action, .. } => format!("vm.{}", action.as_str()),
                VmCommand::Delete { .. } => "vm.delete".into(),
                VmCommand::Report { .. } => "vm.report".into(),
                VmCommand::Deleted { .. } => "vm.deleted".into(),
                VmCommand::CreateFailed { .. } => "vm.create_failed".into(),
            },
            Command::Volume(c) => match c {
                VolumeCommand::Create { .. } => "volume.create",
                VolumeCommand::Delete { .. } => "volume.delete",
                VolumeCommand::Report { .. } => "volume.report",
                VolumeCommand::Deleted { .. } => "volume.deleted",
                VolumeCommand::CreateFailed { .. } => "volume.create_failed",
            }
            .into(),
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
            }
            .into(),
            Command::Audit(c) => c.action.clone(),
        }
    }
}
