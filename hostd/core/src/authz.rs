//! Who may do what: a table of roles and classes of commands.
//!
//! There is one role of people so far, the administrator; the table is what later roles are added to.

use crate::{Caller, Ctx};
use hostd_types::command::*;
use hostd_types::*;

/// In whose name something is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A person.
    Administrator,
    /// Root on the host, over the Unix socket.
    Console,
    /// This host's reconcilers.
    Host,
}

/// Classes of commands that are allowed or refused together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Machines, volumes, images, networks and their tasks; customization specifications.
    Operate,
    /// Folders, and what is filed in them. Rights at a folder belong here: the class tells that the command is about where
    /// something is filed, the command tells which folder.
    Organize,
    /// Ending sessions and tokens.
    EndAccess,
    /// Making credentials; only this crate builds such commands, after checking a password or the caller.
    MakeAccess,
    /// What a host saw.
    Report,
    /// Dropping old tasks and events.
    Retain,
    /// Lines of the audit trail.
    Audit,
}

fn class(command: &Command) -> Class {
    match command {
        Command::Host(HostCommand::Report { .. }) => Class::Report,
        Command::Host(HostCommand::Rename { .. }) => Class::Operate,
        Command::Host(
            HostCommand::SetLeaving { .. }
            | HostCommand::SetRole { .. }
            | HostCommand::Fence { .. }
            | HostCommand::Acknowledge { .. },
        ) => Class::Report,
        Command::Vm(c) => class_of_machines(c),
        Command::Volume(c) => match c {
            VolumeCommand::Create { .. } | VolumeCommand::Delete { .. } => Class::Operate,
            VolumeCommand::Report { .. }
            | VolumeCommand::Deleted { .. }
            | VolumeCommand::CreateFailed { .. } => Class::Report,
        },
        Command::Snapshot(c) => class_of_snapshots(c),
        Command::Image(c) => match c {
            ImageCommand::Create { .. } | ImageCommand::Delete { .. } => Class::Operate,
            ImageCommand::Ready { .. }
            | ImageCommand::CreateFailed { .. }
            | ImageCommand::Deleted { .. }
            | ImageCommand::Report { .. } => Class::Report,
        },
        Command::Network(c) => match c {
            NetworkCommand::Create { .. } | NetworkCommand::Delete { .. } => Class::Operate,
            NetworkCommand::Report { .. }
            | NetworkCommand::Deleted { .. }
            | NetworkCommand::CreateFailed { .. } => Class::Report,
        },
        Command::Task(c) => match c {
            TaskCommand::Cancel { .. } => Class::Operate,
            TaskCommand::Tell { .. } => Class::Report,
            TaskCommand::Prune { .. } => Class::Retain,
        },
        Command::Access(c) => match c {
            AccessCommand::Logout { .. }
            | AccessCommand::RevokeToken { .. }
            | AccessCommand::RevokeLink { .. } => Class::EndAccess,
            AccessCommand::CreateUser { .. }
            | AccessCommand::SetPassword { .. }
            | AccessCommand::Login { .. }
            | AccessCommand::CreateToken { .. }
            | AccessCommand::ShareConsole { .. }
            | AccessCommand::OpenLink { .. } => Class::MakeAccess,
        },
        Command::Cluster(c) => match c {
            ClusterCommand::Edit { .. }
            | ClusterCommand::ChooseCpu { .. }
            | ClusterCommand::RotateAuthority { .. }
            | ClusterCommand::RotateWithout { .. }
            | ClusterCommand::RevokeToken { .. }
            | ClusterCommand::Recover { .. }
            | ClusterCommand::Remove { .. } => Class::Operate,
            ClusterCommand::CreateToken { .. } => Class::MakeAccess,
            ClusterCommand::Found { .. }
            | ClusterCommand::Raise { .. }
            | ClusterCommand::StepRotation { .. }
            | ClusterCommand::Join { .. }
            | ClusterCommand::Import { .. } => Class::Report,
        },
        Command::Organize(_) => Class::Organize,
        Command::Specification(_) => Class::Operate,
        Command::Audit(_) => Class::Audit,
    }
}

fn class_of_machines(command: &VmCommand) -> Class {
    match command {
        VmCommand::Create { .. }
        | VmCommand::Clone { .. }
        | VmCommand::SetTemplate { .. }
        | VmCommand::Adopt { .. }
        | VmCommand::Edit { .. }
        | VmCommand::Change { .. }
        | VmCommand::Power { .. }
        | VmCommand::Delete { .. } => Class::Operate,
        VmCommand::Report { .. }
        | VmCommand::Changed { .. }
        | VmCommand::Deleted { .. }
        | VmCommand::CreateFailed { .. }
        | VmCommand::Place { .. } => Class::Report,
    }
}

fn class_of_snapshots(command: &SnapshotCommand) -> Class {
    match command {
        SnapshotCommand::Create { .. } | SnapshotCommand::Revert { .. } | SnapshotCommand::Delete { .. } => {
            Class::Operate
        }
        SnapshotCommand::Taken { .. }
        | SnapshotCommand::CreateFailed { .. }
        | SnapshotCommand::Reverted { .. }
        | SnapshotCommand::RevertFailed { .. }
        | SnapshotCommand::Stopped { .. }
        | SnapshotCommand::Deleted { .. }
        | SnapshotCommand::Merged { .. }
        | SnapshotCommand::Dropped { .. } => Class::Report,
    }
}

/// The table. A host also operates: autostart starts machines, the first start makes a network.
const fn may(role: Role, class: Class) -> bool {
    match (role, class) {
        (Role::Administrator | Role::Console, Class::Operate | Class::Organize | Class::EndAccess) => true,
        (Role::Administrator | Role::Console, Class::MakeAccess | Class::Report) => false,
        (Role::Administrator | Role::Console, Class::Retain | Class::Audit) => false,
        (Role::Host, Class::Operate | Class::Report | Class::Retain | Class::Audit) => true,
        (Role::Host, Class::MakeAccess) => true,
        (Role::Host, Class::EndAccess | Class::Organize) => false,
    }
}

/// Refuses what the caller may not do.
///
/// # Errors
/// `Forbidden`.
pub(crate) fn authorize(ctx: &Ctx, command: &Command) -> Result<(), Problem> {
    let role = match &ctx.caller {
        Caller::User { .. } => Role::Administrator,
        Caller::Console => Role::Console,
        Caller::Host => Role::Host,
    };
    if let Command::Organize(
        OrganizeCommand::SaveView { user, .. } | OrganizeCommand::DeleteView { user, .. },
    ) = command
        && *user != ctx.user()
    {
        return Err(Problem::new(ProblemKind::Forbidden, "Saved views are their user's alone."));
    }
    if may(role, class(command)) {
        return Ok(());
    }
    let detail = format!("{} is not something you can ask for; hosts do it themselves.", command.name());
    Err(Problem::new(ProblemKind::Forbidden, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ctx(caller: Caller) -> Ctx {
        Ctx { caller, request: None, address: None }
    }

    #[test]
    fn people_ask_and_hosts_report() {
        let ask = Command::Vm(VmCommand::Delete { id: VmId::new(), expect: None, disks: true });
        let report = Command::Vm(VmCommand::Deleted { id: VmId::new() });
        let make = Command::Access(AccessCommand::CreateToken {
            id: TokenId::new(),
            name: "t".into(),
            user: UserId::new(),
            expires_at: Timestamp::now(),
            secret: SecretHash(String::new()),
        });
        let prune = Command::Task(TaskCommand::Prune { before: Timestamp::now() });
        let table = [
            (Caller::Console, &ask, true),
            (Caller::Console, &report, false),
            (Caller::Console, &make, false),
            (Caller::Console, &prune, false),
            (Caller::Host, &ask, true),
            (Caller::Host, &report, true),
            (Caller::Host, &prune, true),
        ];
        for (caller, command, allowed) in table {
            let answer = authorize(&ctx(caller.clone()), command);
            assert_eq!(answer.is_ok(), allowed, "{caller:?} {}", command.name());
            if let Err(problem) = answer {
                assert_eq!(problem.kind, ProblemKind::Forbidden);
            }
        }
    }
}
