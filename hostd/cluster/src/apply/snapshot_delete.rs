//! Deleting snapshots: asked for, cancelled, done.

use super::scope::Scope;
use super::snapshot::check_ready;
use super::vm::check_not_deleting;
use super::{Done, Step};
use hostd_types::*;

pub(super) fn delete(scope: &mut Scope<'_>, id: SnapshotId) -> Step<Done> {
    let mut snapshot = scope.get::<Snapshot>(id)?;
    if snapshot.status.stopped {
        return go_on(scope, snapshot);
    }
    check_ready(&snapshot)?;
    let mut vm = scope.get::<Vm>(snapshot.spec.vm)?;
    check_not_deleting(&vm)?;
    let name = snapshot.spec.name.clone();
    if vm.spec.snapshots.revert.as_ref().is_some_and(|revert| revert.snapshot == id) {
        let detail = format!("{} is going back to the snapshot {name}; wait until it has.", vm.spec.name);
        return Err(Problem::wrong_state(detail).into());
    }
    snapshot.status.phase = Phase::Deleting;
    snapshot.spec.task = Some(scope.entry.task);
    scope.update(&snapshot)?;
    for mut after in scope.snapshots_of(vm.id)?.into_iter().filter(|s| s.spec.parent == Some(id)) {
        after.spec.parent = snapshot.spec.parent;
        scope.update(&after)?;
    }
    if vm.spec.snapshots.current == Some(id) {
        vm.spec.snapshots.current = snapshot.spec.parent;
        scope.update(&vm)?;
    }
    for volume in snapshot.spec.layers.keys() {
        scope.shed(*volume)?;
    }
    let subject = vm.subject();
    scope.start_task(&subject, vm.spec.host)?;
    scope.accepted(&subject, format!("snapshot {name}"))?;
    Ok(Done::started(scope.entry.task, snapshot.subject()))
}

pub(super) fn deleted(scope: &mut Scope<'_>, id: SnapshotId, problem: Option<&Problem>) -> Step<Done> {
    let snapshot = scope.get::<Snapshot>(id)?;
    let name = &snapshot.spec.name;
    if snapshot.status.phase != Phase::Deleting {
        return Err(Problem::wrong_state(format!("Nobody asked to delete the snapshot {name}.")).into());
    }
    scope.remove(&snapshot)?;
    if let Some(task) = snapshot.spec.task {
        scope.end_task(task, problem.cloned())?;
    }
    let subject = scope.get::<Vm>(snapshot.spec.vm)?.subject();
    match problem {
        None => scope.accepted(&subject, format!("snapshot {name}"))?,
        Some(problem) => {
            let detail = format!("snapshot {name}: {}", problem.detail);
            scope.event("snapshot.delete", Some(&subject), EventResult::Failed, detail)?;
        }
    }
    Ok(Done::about(subject))
}

/// A deletion that was cancelled goes on.
fn go_on(scope: &mut Scope<'_>, mut snapshot: Snapshot) -> Step<Done> {
    let vm = scope.get::<Vm>(snapshot.spec.vm)?;
    check_not_deleting(&vm)?;
    snapshot.status.stopped = false;
    snapshot.spec.task = Some(scope.entry.task);
    scope.update(&snapshot)?;
    let subject = vm.subject();
    scope.start_task(&subject, vm.spec.host)?;
    scope.accepted(&subject, format!("snapshot {}", snapshot.spec.name))?;
    Ok(Done::started(scope.entry.task, snapshot.subject()))
}

/// Somebody cancelled a deletion. `kept`: nothing was merged, and the snapshot is what it was.
pub(super) fn stopped(scope: &mut Scope<'_>, id: SnapshotId, kept: bool) -> Step<Done> {
    let mut snapshot = scope.get::<Snapshot>(id)?;
    let name = snapshot.spec.name.clone();
    if snapshot.status.phase != Phase::Deleting || snapshot.status.stopped {
        return Err(Problem::wrong_state(format!("The snapshot {name} is not being deleted.")).into());
    }
    let vm = scope.get::<Vm>(snapshot.spec.vm)?;
    let task = snapshot.spec.task.take();
    if kept {
        snapshot.status.phase = Phase::Ready;
    } else {
        snapshot.status.stopped = true;
    }
    scope.update(&snapshot)?;
    let detail = if kept {
        put_back(scope, vm.clone(), &snapshot)?;
        format!(
            "The deletion of the snapshot {name} was cancelled before anything was merged; it is what it was."
        )
    } else {
        format!(
            "The merge of the snapshot {name} was stopped. A part of it holds what came after it already, so it can't be gone \
             back to; the machine's disks hold what they did. Delete it again to merge the rest."
        )
    };
    if let Some(task) = task {
        scope.end_task(task, Some(Problem::new(ProblemKind::Cancelled, detail.clone())))?;
    }
    let subject = vm.subject();
    scope.accepted(&subject, detail)?;
    Ok(Done::about(subject))
}

/// Puts a snapshot back between the one before it and those after it: the layers tell which these are.
fn put_back(scope: &mut Scope<'_>, mut vm: Vm, snapshot: &Snapshot) -> Step {
    let mut volumes = Vec::new();
    for (id, layer) in &snapshot.spec.layers {
        volumes.push((scope.get::<Volume>(*id)?, *layer));
    }
    let is_after = |held: &dyn Fn(&Volume) -> Option<LayerId>| {
        volumes.iter().any(|(volume, own)| {
            held(volume).is_some_and(|layer| layer != *own && volume.spec.layers.chain(layer).contains(own))
        })
    };
    let before = snapshot.spec.parent;
    for mut after in scope.snapshots_of(vm.id)? {
        let layers = after.spec.layers.clone();
        let moved = after.id != snapshot.id && after.spec.parent == before;
        if moved && is_after(&|volume| layers.get(&volume.id).copied()) {
            after.spec.parent = Some(snapshot.id);
            scope.update(&after)?;
        }
    }
    if vm.spec.snapshots.current == before && is_after(&|volume| Some(volume.spec.layers.active)) {
        vm.spec.snapshots.current = Some(snapshot.id);
        scope.update(&vm)?;
    }
    Ok(())
}
