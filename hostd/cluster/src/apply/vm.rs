//! Virtual machines: what is wanted of them. Making, editing and reports have files of their own.

use super::scope::Scope;
use super::vm_adopt::ADOPT;
use super::{Done, Step, vm_adopt, vm_clone, vm_create, vm_device, vm_edit, vm_place, vm_report};
use crate::rows::Resource;
use hostd_types::command::VmCommand;
use hostd_types::*;

/// The actions of a machine's creation, in its task.
const CREATIONS: [&str; 3] = ["vm.create", "vm.clone", ADOPT];

pub(crate) fn apply(scope: &mut Scope<'_>, command: &VmCommand) -> Step<Done> {
    match command {
        VmCommand::Create { id, host, vm, found } => vm_create::create(scope, *id, *host, vm, found),
        VmCommand::Clone { id, source, copy, first, .. } => {
            vm_clone::clone(scope, *id, *source, copy, first.as_ref())
        }
        VmCommand::SetTemplate { id, expect, template } => {
            vm_clone::set_template(scope, *id, *expect, *template)
        }
        VmCommand::Adopt { id, host, taken, .. } => vm_adopt::adopt(scope, *id, *host, taken.as_deref()),
        VmCommand::Edit { id, expect, edit } => vm_edit::edit(scope, *id, *expect, edit),
        VmCommand::Change { id, expect, change } => vm_device::change(scope, *id, *expect, change),
        VmCommand::Changed { id, task, end } => vm_device::changed(scope, *id, *task, end),
        VmCommand::Power { id, action, deadline_s } => power(scope, *id, *action, *deadline_s),
        VmCommand::Delete { id, expect, disks } => delete(scope, *id, *expect, *disks),
        VmCommand::Report { id, status, done } => vm_report::report(scope, *id, status, done.as_ref()),
        VmCommand::Deleted { id } => deleted(scope, *id),
        VmCommand::CreateFailed { id, problem } => create_failed(scope, *id, problem),
        VmCommand::Place { id, host, placement_epoch } => {
            vm_place::place(scope, *id, *host, *placement_epoch)
        }
    }
}

/// Refuses a change of a machine whose generation is not the expected one.
pub(crate) fn check_generation(vm: &Vm, expect: Option<u64>) -> Step {
    match expect {
        Some(expected) if expected != vm.meta.generation => {
            let detail = format!(
                "Somebody changed {} meanwhile (generation {}, not {expected}). Look at it again before changing it.",
                vm.spec.name, vm.meta.generation
            );
            Err(Problem::new(ProblemKind::Conflict, detail).into())
        }
        Some(_) | None => Ok(()),
    }
}

/// Refuses anything about a machine that is being deleted.
pub(crate) fn check_not_deleting(vm: &Vm) -> Step {
    match vm.spec.deleting {
        None => Ok(()),
        Some(_) => Err(Problem::wrong_state(format!("{} is being deleted.", vm.spec.name)).into()),
    }
}

/// Ends the task of a power request that is still pending, because `by` takes its place.
pub(crate) fn replace_pending(scope: &mut Scope<'_>, vm: &Vm, by: &str) -> Step {
    match &vm.spec.power {
        Some(request) if request.seq > vm.status.power_done => scope.cancel_task(request.task, by),
        Some(_) | None => Ok(()),
    }
}

// A power request and a deletion are no settings: the generation stays, so that a domain made from the settings is
// still up to date and an `If-Match` still matches.
fn power(scope: &mut Scope<'_>, id: VmId, action: PowerAction, deadline_s: u32) -> Step<Done> {
    let mut vm = scope.get::<Vm>(id)?;
    check_not_deleting(&vm)?;
    if vm.status.phase != Phase::Ready {
        let detail = format!("{} is still being made; wait until it is ready.", vm.spec.name);
        return Err(Problem::wrong_state(detail).into());
    }
    if action == PowerAction::Start {
        vm_clone::check_no_template(&vm, "started")?;
    }
    replace_pending(scope, &vm, action.as_str())?;
    let last = vm.spec.power.as_ref().map_or(0, |p| p.seq).max(vm.status.power_done);
    vm.spec.power =
        Some(PowerRequest { seq: last + 1, action, task: scope.entry.task, at: scope.entry.at, deadline_s });
    scope.update(&vm)?;
    let subject = vm.subject();
    scope.start_task(&subject, vm.spec.host)?;
    scope.accepted(&subject, "")?;
    Ok(Done::started(scope.entry.task, subject))
}

fn delete(scope: &mut Scope<'_>, id: VmId, expect: Option<u64>, disks: bool) -> Step<Done> {
    let mut vm = scope.get::<Vm>(id)?;
    check_not_deleting(&vm)?;
    check_generation(&vm, expect)?;
    if disks && vm.spec.hardware.is_detaching_to_keep() {
        let detail =
            format!("A disk of {} is being detached and is to stay; wait until it is out.", vm.spec.name);
        return Err(Problem::wrong_state(detail).into());
    }
    scope.check_no_copies_of(&vm, &format!("{} can't be deleted", vm.spec.name))?;
    replace_pending(scope, &vm, "deletion")?;
    for request in std::mem::take(&mut vm.spec.hardware.changes) {
        scope.cancel_task(request.task, "deletion")?;
    }
    end_creation(scope, id, &Problem::new(ProblemKind::Cancelled, "replaced by deletion"))?;
    vm.spec.deleting = Some(Deletion { disks, task: scope.entry.task });
    vm.status.phase = Phase::Deleting;
    scope.update(&vm)?;
    let subject = vm.subject();
    scope.start_task(&subject, vm.spec.host)?;
    scope.accepted(&subject, if disks { "with its disks" } else { "its disks stay" })?;
    Ok(Done::started(scope.entry.task, subject))
}

fn deleted(scope: &mut Scope<'_>, id: VmId) -> Step<Done> {
    let vm = scope.get::<Vm>(id)?;
    let Some(deletion) = &vm.spec.deleting else {
        let detail = format!("Nobody asked to delete {}.", vm.spec.name);
        return Err(Problem::wrong_state(detail).into());
    };
    scope.drop_snapshots(&vm)?;
    for volume in volumes_of(scope, id)? {
        // Of a machine that was planned and never made nothing is there to keep.
        let unmade = vm.spec.scheduled_at.is_some() && volume.status.phase == Phase::Creating;
        if deletion.disks || unmade { remove_volume(scope, &volume)? } else { release(scope, volume)? }
    }
    drop_rows(scope, &vm)?;
    super::network::drop_isolated(scope, &vm)?;
    scope.end_task(deletion.task, None)?;
    let subject = vm.subject();
    scope.accepted(&subject, if deletion.disks { "with its disks" } else { "its disks stay" })?;
    Ok(Done::about(subject))
}

/// Ends the task in which a machine is made or taken over.
fn end_creation(scope: &mut Scope<'_>, id: VmId, problem: &Problem) -> Step {
    for creation in CREATIONS {
        scope.end_running(id, creation, Some(problem.clone()))?;
    }
    Ok(())
}

fn create_failed(scope: &mut Scope<'_>, id: VmId, problem: &Problem) -> Step<Done> {
    let vm = scope.get::<Vm>(id)?;
    // A deletion asked for meanwhile hides the phase; a domain that was never defined has applied no generation.
    let unmade = vm.status.phase == Phase::Creating
        || (vm.spec.deleting.is_some() && vm.status.applied_generation == 0);
    if !unmade {
        return Err(Problem::wrong_state(format!("{} is not being made.", vm.spec.name)).into());
    }
    let made: Vec<VolumeId> = (0..vm.spec.disks.len()).map(|index| derived_volume(id, index)).collect();
    for volume in volumes_of(scope, id)? {
        if made.contains(&volume.id) { remove_volume(scope, &volume)? } else { release(scope, volume)? }
    }
    drop_rows(scope, &vm)?;
    super::network::drop_isolated(scope, &vm)?;
    end_creation(scope, id, problem)?;
    if let Some(deletion) = &vm.spec.deleting {
        scope.end_task(deletion.task, None)?;
    }
    let subject = vm.subject();
    scope.event(scope.entry.command.name(), Some(&subject), EventResult::Failed, problem.detail.clone())?;
    Ok(Done::about(subject))
}

fn volumes_of(scope: &Scope<'_>, vm: VmId) -> Step<Vec<Volume>> {
    let ids = scope.names("SELECT id FROM volume WHERE vm = ?1 ORDER BY id", vm)?;
    ids.into_iter().map(|id| scope.get::<Volume>(id)).collect()
}

/// Drops the row of a volume, and what was kept for it alone.
fn remove_volume(scope: &mut Scope<'_>, volume: &Volume) -> Step {
    scope.remove(volume)?;
    scope.let_go(volume.spec.origin.clone())
}

/// A volume survives its machine.
pub(crate) fn release(scope: &mut Scope<'_>, mut volume: Volume) -> Step {
    volume.spec.vm = None;
    if volume.status.phase == Phase::Ready {
        volume.spec.adopted_from = None; // no file of another's any more
    }
    let kept = scope.kept_layers(&volume)?;
    volume.spec.layers.shed(&kept);
    scope.touch(&mut volume);
    scope.update(&volume)
}

fn drop_rows(scope: &mut Scope<'_>, vm: &Vm) -> Step {
    scope.db.prepare_cached("DELETE FROM nic WHERE vm = ?1")?.execute([vm.id_text()])?;
    scope.remove(vm)
}
