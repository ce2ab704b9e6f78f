//! Disks that were attached after a snapshot was taken: going back to it detaches them. Their volumes stay, with all they hold.

use super::Step;
use super::lookup::enumerate;
use super::scope::Scope;
use super::vm::release;
use super::vm_device_held::held_by;
use hostd_types::*;

fn added(vm: &Vm, snapshot: &Snapshot) -> Vec<VolumeId> {
    vm.disks_added_since(snapshot).map(|disk| disk.volume).collect()
}

/// Refuses to go back to `snapshot` while another one holds something of a disk that would leave the machine.
pub(super) fn check(scope: &Scope<'_>, vm: &Vm, snapshot: &Snapshot) -> Step {
    let all = scope.snapshots_of(vm.id)?;
    for volume in added(vm, snapshot) {
        let holders: Vec<Snapshot> =
            all.iter().filter(|other| other.spec.layers.contains_key(&volume)).cloned().collect();
        if !holders.is_empty() {
            let disk = scope.find::<Volume>(volume)?.map(|volume| volume.spec.name).unwrap_or_default();
            let detail = format!(
                "The disk {disk} was attached after {} was taken, so that going back would detach it; but {}.",
                snapshot.spec.name,
                held_by(&holders)
            );
            return Err(Problem::new(ProblemKind::Conflict, detail).into());
        }
    }
    Ok(())
}

/// Detaches the disks that `snapshot` does not know; says which, to be put behind a sentence.
pub(super) fn detach(scope: &mut Scope<'_>, vm: &mut Vm, snapshot: &Snapshot) -> Step<String> {
    let mut names = Vec::new();
    for id in added(vm, snapshot) {
        vm.spec.disks.retain(|disk| disk.volume != id);
        if let Some(volume) = scope.find::<Volume>(id)? {
            names.push(volume.spec.name.clone());
            release(scope, volume)?;
        }
    }
    if names.is_empty() {
        return Ok(String::new());
    }
    scope.touch(vm);
    Ok(format!("; detached, with what they hold: {}", enumerate(&names)))
}
