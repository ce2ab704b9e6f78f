//! Admission: may this happen now? Pure rules over a [`Snapshot`], with the user's words for every refusal.
//!
//! Rules read nothing and change nothing; what can race (a name taken meanwhile, a machine edited meanwhile) is refused
//! again by `apply`.

mod adopt;
mod clone;
mod cluster;
mod device;
mod host;
mod image;
mod memory;
mod network;
mod options;
mod organize;
mod power;
mod share;
mod snapshot;
mod snapshot_memory;
mod specification;
mod task;
mod vm;
mod volume;

pub(crate) use image::room as image_room;
pub(crate) use memory::check_start as check_memory_start;
pub(crate) use power::{pending, words};

use crate::snapshot::Snapshot;
use hostd_types::command::*;
use hostd_types::*;

/// Refuses what must not happen now.
///
/// # Errors
/// The refusal, in the user's words.
pub(crate) fn admit(command: &Command, now: &Snapshot) -> Result<(), Problem> {
    match command {
        Command::Vm(c) => match c {
            VmCommand::Create { vm, .. } => vm::create(vm, now),
            VmCommand::Clone { source, copy, .. } => clone::clone(*source, copy, now),
            VmCommand::SetTemplate { id, template, .. } => clone::set_template(*id, *template, now),
            VmCommand::Adopt { id, asked, taken, .. } => adopt::adopt(*id, asked, taken.as_deref(), now),
            VmCommand::Edit { id, edit, .. } => vm::edit(*id, edit, now),
            VmCommand::Change { id, change, .. } => device::change(*id, change, now),
            VmCommand::Power { id, action, deadline_s } => power::power(*id, *action, *deadline_s, now),
            VmCommand::Delete { id, .. } => power::delete(*id, now),
            VmCommand::Report { .. }
            | VmCommand::Changed { .. }
            | VmCommand::Deleted { .. }
            | VmCommand::CreateFailed { .. }
            | VmCommand::Place { .. } => Ok(()),
        },
        Command::Volume(c) => match c {
            VolumeCommand::Create { volume, .. } => volume::create(volume),
            VolumeCommand::Delete { id } => volume::delete(*id, now),
            VolumeCommand::Report { .. }
            | VolumeCommand::Deleted { .. }
            | VolumeCommand::CreateFailed { .. } => Ok(()),
        },
        Command::Snapshot(c) => snapshots(c, now),
        Command::Image(c) => match c {
            ImageCommand::Create { name, description, announced_bytes, expected_sha256, .. } => {
                image::create(name, description, *announced_bytes, expected_sha256.as_deref(), now)
            }
            ImageCommand::Delete { id } => image::delete(*id, now),
            ImageCommand::Ready { .. }
            | ImageCommand::CreateFailed { .. }
            | ImageCommand::Deleted { .. }
            | ImageCommand::Report { .. } => Ok(()),
        },
        Command::Network(c) => match c {
            NetworkCommand::Create { network, .. } => network::create(network, now),
            NetworkCommand::Delete { id } => network::delete(*id, now),
            NetworkCommand::Report { .. }
            | NetworkCommand::Deleted { .. }
            | NetworkCommand::CreateFailed { .. } => Ok(()),
        },
        Command::Organize(c) => organize::organize(c),
        Command::Specification(c) => specification::admit(c, now),
        Command::Task(c) => match c {
            TaskCommand::Cancel { id } => task::cancel(*id, now),
            TaskCommand::Tell { .. } | TaskCommand::Prune { .. } => Ok(()),
        },
        Command::Host(HostCommand::Rename { name, .. }) => host::rename(name),
        Command::Cluster(ClusterCommand::Edit { name, voters }) => cluster::edit(name.as_deref(), *voters),
        Command::Cluster(ClusterCommand::ChooseCpu { model }) => cluster::choose_cpu(model.as_deref(), now),
        Command::Cluster(
            ClusterCommand::Found { .. }
            | ClusterCommand::Raise { .. }
            | ClusterCommand::CreateToken { .. }
            | ClusterCommand::RevokeToken { .. }
            | ClusterCommand::Join { .. }
            | ClusterCommand::Import { .. }
            | ClusterCommand::Recover { .. }
            | ClusterCommand::RotateAuthority { .. }
            | ClusterCommand::RotateWithout { .. }
            | ClusterCommand::StepRotation { .. }
            | ClusterCommand::Remove { .. },
        ) => Ok(()),
        Command::Host(
            HostCommand::Report { .. }
            | HostCommand::SetLeaving { .. }
            | HostCommand::SetRole { .. }
            | HostCommand::Fence { .. }
            | HostCommand::Acknowledge { .. },
        )
        | Command::Access(_)
        | Command::Audit(_) => Ok(()),
    }
}

fn snapshots(command: &SnapshotCommand, now: &Snapshot) -> Result<(), Problem> {
    match command {
        SnapshotCommand::Create { new, .. } => snapshot::create(&new.asked, now),
        SnapshotCommand::Revert { first, start, resume, .. } => {
            snapshot::revert(first.as_ref(), *start, *resume, now)
        }
        SnapshotCommand::Delete { id } => snapshot::delete(*id, now),
        SnapshotCommand::Taken { .. }
        | SnapshotCommand::CreateFailed { .. }
        | SnapshotCommand::Reverted { .. }
        | SnapshotCommand::RevertFailed { .. }
        | SnapshotCommand::Stopped { .. }
        | SnapshotCommand::Deleted { .. }
        | SnapshotCommand::Merged { .. }
        | SnapshotCommand::Dropped { .. } => Ok(()),
    }
}

/// Collects wrong fields, so that a form learns of all at once.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<FieldError>);

impl Fields {
    /// Notes that the field at `pointer` is wrong.
    pub fn add(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.0.push(FieldError { pointer: pointer.into(), detail: detail.into() });
    }
    /// Notes a failed check of the field at `pointer`.
    pub fn check(&mut self, pointer: &str, result: Result<(), String>) {
        if let Err(detail) = result {
            self.add(pointer, detail);
        }
    }
    /// The refusal, if any field is wrong.
    ///
    /// # Errors
    /// `Invalid` with every field noted.
    pub fn done(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::invalid(self.0)) }
    }
}

/// Checks a size in bytes of a disk.
pub(crate) fn check_size(size_bytes: u64) -> Result<(), String> {
    use crate::pool::human;
    if (VOLUME_MIN_BYTES..=VOLUME_MAX_BYTES).contains(&size_bytes) {
        return Ok(());
    }
    let (least, most) = (human(VOLUME_MIN_BYTES), human(VOLUME_MAX_BYTES));
    Err(format!("A disk holds {least} to {most}; {} is out of range.", human(size_bytes)))
}

/// Up to five names, for a message.
pub(crate) fn list_names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = names.collect();
    match all.len() {
        0..=5 => all.join(", "),
        n => format!("{} and {} more", all[..5].join(", "), n - 5),
    }
}

#[cfg(test)]
pub(crate) mod sample;
