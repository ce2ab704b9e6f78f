//! Which host a command is about.

use crate::Core;
use hostd_types::command::*;
use hostd_types::*;

impl Core {
    /// The host that has what `command` is about, and so admits it; `None` for what is on no host, or is a host's own
    /// report, or is not there: whoever is asked says so.
    ///
    /// # Errors
    /// When the state can't be read.
    pub(crate) async fn place_of(&self, command: &Command) -> Result<Option<HostId>, Problem> {
        let store = self.store();
        Ok(match command {
            Command::Vm(c) => match c {
                VmCommand::Create { host, .. } | VmCommand::Adopt { host, .. } => Some(*host),
                VmCommand::Clone { source: id, .. }
                | VmCommand::SetTemplate { id, .. }
                | VmCommand::Edit { id, .. }
                | VmCommand::Change { id, .. }
                | VmCommand::Power { id, .. }
                | VmCommand::Delete { id, .. } => store.vm(*id).await?.map(|vm| vm.spec.host),
                VmCommand::Report { .. }
                | VmCommand::Changed { .. }
                | VmCommand::Deleted { .. }
                | VmCommand::CreateFailed { .. }
                | VmCommand::Place { .. } => None,
            },
            Command::Volume(c) => match c {
                VolumeCommand::Create { host, .. } => Some(*host),
                VolumeCommand::Delete { id } => store.volume(*id).await?.map(|volume| volume.spec.host),
                VolumeCommand::Report { .. }
                | VolumeCommand::Deleted { .. }
                | VolumeCommand::CreateFailed { .. } => None,
            },
            Command::Snapshot(c) => match c {
                SnapshotCommand::Create { vm, .. } => store.vm(*vm).await?.map(|vm| vm.spec.host),
                SnapshotCommand::Revert { id, .. } | SnapshotCommand::Delete { id } => {
                    store.snapshot(*id).await?.map(|snapshot| snapshot.spec.host)
                }
                SnapshotCommand::Taken { .. }
                | SnapshotCommand::CreateFailed { .. }
                | SnapshotCommand::Reverted { .. }
                | SnapshotCommand::RevertFailed { .. }
                | SnapshotCommand::Stopped { .. }
                | SnapshotCommand::Deleted { .. }
                | SnapshotCommand::Merged { .. }
                | SnapshotCommand::Dropped { .. } => None,
            },
            Command::Image(c) => match c {
                ImageCommand::Create { host, .. } => Some(*host),
                ImageCommand::Delete { id } => store.image(*id).await?.map(|image| image.spec.host),
                ImageCommand::Ready { .. }
                | ImageCommand::CreateFailed { .. }
                | ImageCommand::Deleted { .. }
                | ImageCommand::Report { .. } => None,
            },
            Command::Network(c) => match c {
                NetworkCommand::Create { host, .. } => Some(*host),
                NetworkCommand::Delete { id } => store.network(*id).await?.map(|network| network.spec.host),
                NetworkCommand::Report { .. }
                | NetworkCommand::Deleted { .. }
                | NetworkCommand::CreateFailed { .. } => None,
            },
            Command::Task(TaskCommand::Cancel { id }) => store.task(*id).await?.map(|task| task.host),
            Command::Task(TaskCommand::Tell { .. } | TaskCommand::Prune { .. })
            | Command::Host(_)
            | Command::Access(_)
            | Command::Cluster(_)
            | Command::Organize(_)
            | Command::Specification(_)
            | Command::Audit(_) => None,
        })
    }
}
