//! What commands are about: the trail of refusals names it.

use hostd_types::command::*;
use hostd_types::*;

/// What a command is about, for the trail of refusals; names a user typed are cut.
pub(crate) fn subject_of(command: &Command) -> Option<Subject> {
    match command {
        Command::Host(HostCommand::Report { id, name, .. } | HostCommand::Rename { id, name }) => {
            named(Kind::Host, id, name)
        }
        Command::Host(
            HostCommand::SetLeaving { id, .. }
            | HostCommand::SetRole { id, .. }
            | HostCommand::Fence { id, .. }
            | HostCommand::Acknowledge { id, .. },
        ) => named(Kind::Host, id, ""),
        Command::Vm(c) => match c {
            VmCommand::Create { id, vm, .. } => named(Kind::Vm, id, &vm.name),
            VmCommand::Clone { id, copy, .. } => named(Kind::Vm, id, &copy.name),
            VmCommand::Adopt { id, asked, .. } => {
                named(Kind::Vm, id, asked.name.as_deref().unwrap_or_default())
            }
            VmCommand::SetTemplate { id, .. }
            | VmCommand::Edit { id, .. }
            | VmCommand::Change { id, .. }
            | VmCommand::Changed { id, .. }
            | VmCommand::Power { id, .. }
            | VmCommand::Delete { id, .. }
            | VmCommand::Report { id, .. }
            | VmCommand::Deleted { id }
            | VmCommand::CreateFailed { id, .. }
            | VmCommand::Place { id, .. } => named(Kind::Vm, id, ""),
        },
        Command::Volume(c) => match c {
            VolumeCommand::Create { id, volume, .. } => named(Kind::Volume, id, &volume.name),
            VolumeCommand::Delete { id }
            | VolumeCommand::Report { id, .. }
            | VolumeCommand::Deleted { id }
            | VolumeCommand::CreateFailed { id, .. } => named(Kind::Volume, id, ""),
        },
        Command::Snapshot(c) => Some(about_snapshot(c)),
        Command::Image(c) => match c {
            ImageCommand::Create { id, name, .. } => named(Kind::Image, id, name),
            ImageCommand::Ready { id, .. }
            | ImageCommand::CreateFailed { id, .. }
            | ImageCommand::Delete { id }
            | ImageCommand::Deleted { id }
            | ImageCommand::Report { id, .. } => named(Kind::Image, id, ""),
        },
        Command::Network(c) => match c {
            NetworkCommand::Create { id, network, .. } => named(Kind::Network, id, &network.name),
            NetworkCommand::Delete { id }
            | NetworkCommand::Report { id, .. }
            | NetworkCommand::Deleted { id }
            | NetworkCommand::CreateFailed { id, .. } => named(Kind::Network, id, ""),
        },
        Command::Task(c) => match c {
            TaskCommand::Cancel { id } => named(Kind::Task, id, ""),
            TaskCommand::Tell { task, .. } => Some(task.subject.clone()),
            TaskCommand::Prune { .. } => None,
        },
        Command::Access(c) => match c {
            AccessCommand::CreateUser { id, name, .. } => named(Kind::User, id, name),
            AccessCommand::SetPassword { id, .. } => named(Kind::User, id, ""),
            AccessCommand::Login { session, .. } => named(Kind::Session, &session.id, ""),
            AccessCommand::Logout { id } => named(Kind::Session, id, ""),
            AccessCommand::CreateToken { id, name, .. } => named(Kind::Token, id, name),
            AccessCommand::RevokeToken { id } => named(Kind::Token, id, ""),
            AccessCommand::ShareConsole { vm, .. } => named(Kind::Vm, vm, ""),
            AccessCommand::OpenLink { .. } => None,
            AccessCommand::RevokeLink { id } => named(Kind::ConsoleLink, id, ""),
        },
        Command::Cluster(c) => about_cluster(c),
        Command::Organize(c) => Some(c.subject()),
        Command::Specification(c) => Some(c.subject()),
        Command::Audit(line) => line.subject.clone(),
    }
}

/// What a command about snapshots is about.
fn about_snapshot(command: &SnapshotCommand) -> Subject {
    let unnamed = |kind, id| Subject { kind, id, name: String::new() };
    match command {
        SnapshotCommand::Create { vm, .. }
        | SnapshotCommand::Reverted { vm }
        | SnapshotCommand::RevertFailed { vm, .. } => unnamed(Kind::Vm, vm.to_string()),
        SnapshotCommand::Revert { id, .. }
        | SnapshotCommand::Delete { id }
        | SnapshotCommand::Taken { id, .. }
        | SnapshotCommand::CreateFailed { id, .. }
        | SnapshotCommand::Stopped { id, .. }
        | SnapshotCommand::Deleted { id, .. } => unnamed(Kind::Snapshot, id.to_string()),
        SnapshotCommand::Merged { volume, .. } | SnapshotCommand::Dropped { volume, .. } => {
            unnamed(Kind::Volume, volume.to_string())
        }
    }
}

/// What a command about the cluster is about.
fn about_cluster(command: &ClusterCommand) -> Option<Subject> {
    match command {
        ClusterCommand::Found { id, name, .. } => named(Kind::Cluster, id, name),
        ClusterCommand::Raise { .. }
        | ClusterCommand::Edit { .. }
        | ClusterCommand::ChooseCpu { .. }
        | ClusterCommand::RotateAuthority { .. }
        | ClusterCommand::RotateWithout { .. }
        | ClusterCommand::StepRotation { .. } => None,
        ClusterCommand::CreateToken { id, .. } | ClusterCommand::RevokeToken { id } => {
            named(Kind::JoinToken, id, "")
        }
        ClusterCommand::Join { host, name, .. } => named(Kind::Host, host, name),
        ClusterCommand::Import { host, .. }
        | ClusterCommand::Recover { host, .. }
        | ClusterCommand::Remove { host } => named(Kind::Host, host, ""),
    }
}

fn named(kind: Kind, id: &dyn ToString, name: &str) -> Option<Subject> {
    Some(Subject { kind, id: id.to_string(), name: name.chars().take(name::NAME_MAX).collect() })
}
