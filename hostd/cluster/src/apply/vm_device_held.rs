//! What snapshots let be done with disks: what one holds of a disk stays with the machine.

use super::Step;
use super::lookup::enumerate;
use super::scope::Scope;
use hostd_types::*;

/// Refuses to detach or grow a disk that a snapshot holds, and any change of disks while they are being switched.
pub(super) fn check(scope: &Scope<'_>, vm: &Vm, change: &DeviceChange) -> Step {
    let (volume, what) = match change {
        DeviceChange::AttachDisk { .. } => (None, "attached"),
        DeviceChange::DetachDisk { volume, .. } => (Some(*volume), "detached"),
        DeviceChange::GrowDisk { volume, .. } => (Some(*volume), "grown"),
        DeviceChange::EditDisk { .. }
        | DeviceChange::AttachNic { .. }
        | DeviceChange::EditNic { .. }
        | DeviceChange::DetachNic { .. }
        | DeviceChange::AttachHostDevice { .. }
        | DeviceChange::DetachHostDevice { .. } => return Ok(()),
    };
    let name = &vm.spec.name;
    if vm.spec.snapshots.revert.is_some() {
        let detail = format!("{name} is going back to a snapshot; wait until it has.");
        return Err(Problem::wrong_state(detail).into());
    }
    let all = scope.snapshots_of(vm.id)?;
    if let Some(taking) = all.iter().find(|snapshot| snapshot.status.phase == Phase::Creating) {
        let detail = format!("The snapshot {} of {name} is being taken; wait for it.", taking.spec.name);
        return Err(Problem::wrong_state(detail).into());
    }
    let Some(volume) = volume else { return Ok(()) };
    let holders: Vec<Snapshot> =
        all.into_iter().filter(|snapshot| snapshot.spec.layers.contains_key(&volume)).collect();
    if holders.is_empty() {
        return Ok(());
    }
    let disk = scope.find::<Volume>(volume)?.map(|volume| volume.spec.name).unwrap_or_default();
    let detail = format!("The disk {disk} can't be {what}: {}.", held_by(&holders));
    Err(Problem::new(ProblemKind::Conflict, detail).into())
}

/// Which snapshots hold it, and the way out.
pub(super) fn held_by(holders: &[Snapshot]) -> String {
    let names: Vec<String> = holders.iter().map(|snapshot| snapshot.spec.name.clone()).collect();
    let subject = if names.len() == 1 { "the snapshot" } else { "the snapshots" };
    let (verb, them) = if names.len() == 1 { ("holds", "it") } else { ("hold", "them") };
    let leaving = holders.iter().all(|s| s.status.phase == Phase::Deleting && !s.status.stopped);
    let way = if leaving {
        format!("wait until {them} {} merged", if names.len() == 1 { "is" } else { "are" })
    } else {
        format!("delete {them} first, and wait until that is done")
    };
    format!("{subject} {} {verb} what was on it; {way}", enumerate(&names))
}
