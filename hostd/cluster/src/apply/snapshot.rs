//! Snapshots: taken, gone back to, deleted. What becomes of the layers is in `volume_layers`.

use super::lookup::refuse;
use super::scope::Scope;
use super::vm::{check_not_deleting, replace_pending};
use super::{Done, Step, snapshot_added, snapshot_delete, vm_clone, vm_device_open, volume_layers};
use hostd_types::command::{NewSnapshot, SnapshotCommand};
use hostd_types::*;

pub(crate) fn apply(scope: &mut Scope<'_>, command: &SnapshotCommand) -> Step<Done> {
    match command {
        SnapshotCommand::Create { vm, new } => create(scope, *vm, new),
        SnapshotCommand::Taken { id, running, quiesced, memory_bytes } => {
            let seen = SnapshotStatus {
                running: *running,
                quiesced: *quiesced,
                memory_bytes: *memory_bytes,
                ..SnapshotStatus::default()
            };
            taken(scope, *id, seen)
        }
        SnapshotCommand::CreateFailed { id, problem, switched } => {
            create_failed(scope, *id, problem, *switched)
        }
        SnapshotCommand::Revert { id, next, first, start, resume } => {
            revert(scope, *id, next, first.as_ref(), (*start, *resume))
        }
        SnapshotCommand::Reverted { vm } => reverted(scope, *vm),
        SnapshotCommand::RevertFailed { vm, problem } => revert_failed(scope, *vm, problem),
        SnapshotCommand::Delete { id } => snapshot_delete::delete(scope, *id),
        SnapshotCommand::Stopped { id, kept } => snapshot_delete::stopped(scope, *id, *kept),
        SnapshotCommand::Deleted { id, problem } => snapshot_delete::deleted(scope, *id, problem.as_ref()),
        SnapshotCommand::Merged { volume, upper } => volume_layers::merged(scope, *volume, *upper),
        SnapshotCommand::Dropped { volume, layer } => volume_layers::dropped(scope, *volume, *layer),
    }
}

/// The machine, when its snapshots may change.
fn free_vm(scope: &Scope<'_>, id: VmId) -> Step<Vm> {
    let vm = scope.get::<Vm>(id)?;
    check_not_deleting(&vm)?;
    vm_clone::check_no_template(&vm, "changed, nor can snapshots be taken of it")?;
    check_free(scope, &vm)?;
    Ok(vm)
}

/// Refuses while something is about to change the machine's disks.
pub(super) fn check_free(scope: &Scope<'_>, vm: &Vm) -> Step {
    let name = &vm.spec.name;
    if vm.status.phase != Phase::Ready {
        let detail = format!("{name} is still being made; wait until it is ready.");
        return Err(Problem::wrong_state(detail).into());
    }
    if vm.spec.snapshots.revert.is_some() {
        let detail = format!("{name} is going back to a snapshot; wait until it has.");
        return Err(Problem::wrong_state(detail).into());
    }
    vm_device_open::check(scope, vm)?;
    let all = scope.snapshots_of(vm.id)?;
    if let Some(making) = all.iter().find(|snapshot| snapshot.status.phase == Phase::Creating) {
        let detail = format!("The snapshot {} of {name} is being taken; wait for it.", making.spec.name);
        return Err(Problem::wrong_state(detail).into());
    }
    Ok(())
}

fn create(scope: &mut Scope<'_>, vm: VmId, new: &NewSnapshot) -> Step<Done> {
    let vm = free_vm(scope, vm)?;
    insert(scope, &vm, new, Some(scope.entry.task), "/name", false)?;
    let subject = vm.subject();
    scope.start_task(&subject, vm.spec.host)?;
    scope.accepted(&subject, format!("snapshot {}", new.asked.name))?;
    Ok(Done::started(scope.entry.task, named(new.id, &new.asked.name)))
}

/// The snapshot, which is what was made; the task is about its machine.
fn named(id: SnapshotId, name: &str) -> Subject {
    Subject { kind: Kind::Snapshot, id: id.to_string(), name: name.into() }
}

/// Writes the row of a snapshot to be taken.
pub(super) fn insert(
    scope: &mut Scope<'_>,
    vm: &Vm,
    new: &NewSnapshot,
    task: Option<TaskId>,
    pointer: &str,
    for_copies: bool,
) -> Step {
    scope.fresh::<Snapshot>(new.id)?;
    let asked = &new.asked;
    let taken = |snapshot: &Snapshot| snapshot.spec.name.eq_ignore_ascii_case(&asked.name);
    if scope.snapshots_of(vm.id)?.iter().any(taken) {
        let detail = format!("{} has a snapshot named {} already.", vm.spec.name, asked.name);
        return Err(refuse(ProblemKind::Exists, pointer, detail));
    }
    if vm.spec.disks.is_empty() {
        let detail = format!("{} has no disk, so there is nothing to keep.", vm.spec.name);
        return Err(Problem::new(ProblemKind::Conflict, detail).into());
    }
    if !vm.spec.disks.iter().map(|disk| disk.volume).eq_set(&new.next) {
        let detail = format!("The disks of {} changed meanwhile; try again.", vm.spec.name);
        return Err(Problem::new(ProblemKind::Conflict, detail).into());
    }
    for (volume, next) in &new.next {
        volume_layers::check_room(scope, *volume, *next)?;
    }
    let spec = SnapshotSpec {
        name: asked.name.clone(),
        description: asked.description.clone(),
        vm: vm.id,
        host: vm.spec.host,
        parent: vm.spec.snapshots.current,
        quiesce: asked.quiesce,
        memory: asked.include_memory,
        layers: LayerMap::new(),
        next: new.next.clone(),
        machine: Box::new(VmSpec {
            // What a guest is customized by holds secrets, and is no hardware.
            customization: None,
            power: None,
            snapshots: VmSnapshots::default(),
            ..vm.spec.clone()
        }),
        task,
        for_copies,
    };
    scope.insert(&Snapshot { id: new.id, meta: scope.created(), spec, status: SnapshotStatus::default() })
}

fn taken(scope: &mut Scope<'_>, id: SnapshotId, seen: SnapshotStatus) -> Step<Done> {
    let mut snapshot = scope.get::<Snapshot>(id)?;
    let name = snapshot.spec.name.clone();
    if snapshot.status.phase != Phase::Creating {
        return Err(Problem::wrong_state(format!("The snapshot {name} is not being taken.")).into());
    }
    for (id, next) in std::mem::take(&mut snapshot.spec.next) {
        let mut volume = scope.get::<Volume>(id)?;
        let held = volume.spec.layers.active;
        volume.spec.layers.put(next, held);
        scope.update(&volume)?;
        snapshot.spec.layers.insert(id, held);
    }
    let how = match (seen.running, seen.memory_bytes, seen.quiesced) {
        (false, _, _) => "while it was off",
        (true, Some(_), _) => "while it ran, with its memory",
        (true, None, true) => "while it ran, quiesced",
        (true, None, false) => "while it ran",
    };
    snapshot.status = SnapshotStatus { phase: Phase::Ready, taken_at: Some(scope.entry.at), ..seen };
    let task = snapshot.spec.task.take();
    scope.update(&snapshot)?;
    let mut vm = scope.get::<Vm>(snapshot.spec.vm)?;
    vm.spec.snapshots.current = Some(id);
    scope.update(&vm)?;
    scope.origins_taken(&snapshot)?;
    if let Some(task) = task {
        scope.end_task(task, None)?;
    }
    let subject = vm.subject();
    scope.accepted(&subject, format!("snapshot {name}, {how}"))?;
    Ok(Done::about(subject))
}

fn create_failed(scope: &mut Scope<'_>, id: SnapshotId, problem: &Problem, switched: bool) -> Step<Done> {
    let snapshot = scope.get::<Snapshot>(id)?;
    let name = &snapshot.spec.name;
    if snapshot.status.phase != Phase::Creating {
        return Err(Problem::wrong_state(format!("The snapshot {name} is not being taken.")).into());
    }
    if switched {
        volume_layers::put_over_active(scope, &snapshot.spec.next)?;
    } else {
        volume_layers::give_up(scope, &snapshot.spec.next)?;
    }
    scope.remove(&snapshot)?;
    scope.origins_failed(&snapshot, problem)?;
    if let Some(task) = snapshot.spec.task {
        scope.end_task(task, Some(problem.clone()))?;
    }
    let vm = scope.get::<Vm>(snapshot.spec.vm)?;
    let subject = vm.subject();
    let detail = format!("snapshot {name}: {}", problem.detail);
    scope.event(scope.entry.command.name(), Some(&subject), EventResult::Failed, detail)?;
    if vm.spec.snapshots.revert.is_some() {
        // It was to be taken before going back.
        return revert_failed(scope, vm.id, problem);
    }
    Ok(Done::about(subject))
}

fn revert(
    scope: &mut Scope<'_>,
    id: SnapshotId,
    next: &LayerMap,
    first: Option<&NewSnapshot>,
    (start, resume): (bool, bool),
) -> Step<Done> {
    let snapshot = scope.get::<Snapshot>(id)?;
    check_ready(&snapshot)?;
    if resume && (start || snapshot.status.memory_bytes.is_none()) {
        let detail = format!("The snapshot {} keeps no memory to go on from.", snapshot.spec.name);
        return Err(refuse(ProblemKind::Conflict, "/resume", detail));
    }
    let mut vm = free_vm(scope, snapshot.spec.vm)?;
    if !revertible(&vm, &snapshot).eq_set(next) {
        let detail = format!("The disks of {} changed meanwhile; try again.", vm.spec.name);
        return Err(Problem::new(ProblemKind::Conflict, detail).into());
    }
    for (volume, next) in next {
        volume_layers::check_fresh(scope, *volume, *next)?;
    }
    snapshot_added::check(scope, &vm, &snapshot)?;
    if let Some(first) = first {
        // Disks that leave the machine keep what they hold.
        let mut known = vm.clone();
        known.spec.disks.retain(|disk| snapshot.spec.layers.contains_key(&disk.volume));
        insert(scope, &known, first, None, "/snapshot_first", false)?;
    }
    replace_pending(scope, &vm, "going back to a snapshot")?;
    let last = vm.spec.power.as_ref().map_or(0, |p| p.seq);
    vm.status.power_done = vm.status.power_done.max(last);
    vm.spec.snapshots.revert =
        Some(Revert { snapshot: id, next: next.clone(), start, resume, task: scope.entry.task });
    scope.update(&vm)?;
    let subject = vm.subject();
    scope.start_task(&subject, vm.spec.host)?;
    let kept = first.map(|first| format!(", snapshot {} first", first.asked.name)).unwrap_or_default();
    scope.accepted(&subject, format!("snapshot {}{kept}", snapshot.spec.name))?;
    Ok(Done::started(scope.entry.task, snapshot.subject()))
}

/// The disks of `vm` that `snapshot` has something of.
fn revertible<'a>(vm: &'a Vm, snapshot: &'a Snapshot) -> impl Iterator<Item = VolumeId> + 'a {
    vm.spec.disks.iter().map(|disk| disk.volume).filter(|id| snapshot.spec.layers.contains_key(id))
}

fn reverted(scope: &mut Scope<'_>, id: VmId) -> Step<Done> {
    let mut vm = scope.get::<Vm>(id)?;
    let revert = taken_revert(&mut vm)?;
    let snapshot = scope.get::<Snapshot>(revert.snapshot)?;
    for (id, next) in &revert.next {
        let Some(held) = snapshot.spec.layers.get(id) else { continue };
        let mut volume = scope.get::<Volume>(*id)?;
        volume.spec.layers.put(*next, *held);
        scope.update(&volume)?;
        scope.shed(*id)?;
    }
    vm.spec.snapshots.current = Some(snapshot.id);
    let detached = snapshot_added::detach(scope, &mut vm, &snapshot)?;
    if revert.start {
        replace_pending(scope, &vm, "going back to a snapshot")?;
        let seq = vm.spec.power.as_ref().map_or(0, |p| p.seq).max(vm.status.power_done) + 1;
        let (action, at) = (PowerAction::Start, scope.entry.at);
        vm.spec.power =
            Some(PowerRequest { seq, action, task: revert.task, at, deadline_s: SHUTDOWN_DEADLINE_S });
    } else {
        scope.end_task(revert.task, None)?;
    }
    scope.update(&vm)?;
    let subject = vm.subject();
    scope.accepted(&subject, format!("the disks are those of snapshot {}{detached}", snapshot.spec.name))?;
    Ok(Done::about(subject))
}

fn revert_failed(scope: &mut Scope<'_>, id: VmId, problem: &Problem) -> Step<Done> {
    let mut vm = scope.get::<Vm>(id)?;
    let revert = taken_revert(&mut vm)?;
    volume_layers::give_up(scope, &revert.next)?;
    scope.update(&vm)?;
    scope.end_task(revert.task, Some(problem.clone()))?;
    let subject = vm.subject();
    scope.event("snapshot.revert", Some(&subject), EventResult::Failed, problem.detail.clone())?;
    Ok(Done::about(subject))
}

fn taken_revert(vm: &mut Vm) -> Step<Revert> {
    let revert = vm.spec.snapshots.revert.take();
    let detail = format!("{} is not going back to a snapshot.", vm.spec.name);
    revert.ok_or_else(|| Problem::wrong_state(detail).into())
}

pub(super) fn check_ready(snapshot: &Snapshot) -> Step {
    let name = &snapshot.spec.name;
    match snapshot.status.phase {
        Phase::Ready => Ok(()),
        Phase::Creating => {
            Err(Problem::wrong_state(format!("The snapshot {name} is being taken; wait for it.")).into())
        }
        Phase::Deleting if snapshot.status.stopped => {
            let detail = format!(
                "The merge of {name} was stopped when it had begun: it can't be gone back to or cloned. Delete it again to merge the rest."
            );
            Err(Problem::wrong_state(detail).into())
        }
        Phase::Deleting => {
            Err(Problem::wrong_state(format!("The snapshot {name} is being deleted already.")).into())
        }
    }
}

/// The same volumes, in whatever order.
trait EqSet {
    fn eq_set(self, map: &LayerMap) -> bool;
}

impl<I: Iterator<Item = VolumeId>> EqSet for I {
    fn eq_set(self, map: &LayerMap) -> bool {
        let volumes: std::collections::BTreeSet<VolumeId> = self.collect();
        !volumes.is_empty() && volumes.iter().eq(map.keys())
    }
}

impl Scope<'_> {
    /// The snapshots of a machine. Before the state has a table for them there are none.
    pub(crate) fn snapshots_of(&self, vm: VmId) -> Step<Vec<Snapshot>> {
        if crate::schema::level(self.db)? < LIFE {
            return Ok(Vec::new());
        }
        let ids = self.names("SELECT id FROM snapshot WHERE vm = ?1 ORDER BY id", vm)?;
        ids.into_iter().map(|id| self.get::<Snapshot>(id)).collect()
    }

    /// A machine goes: its snapshots' rows with it, and what was under way ends.
    pub(crate) fn drop_snapshots(&mut self, vm: &Vm) -> Step {
        let gone = Problem::new(ProblemKind::Cancelled, "replaced by deletion");
        if let Some(revert) = &vm.spec.snapshots.revert {
            volume_layers::give_up(self, &revert.next)?;
            self.end_task(revert.task, Some(gone.clone()))?;
        }
        for snapshot in self.snapshots_of(vm.id)? {
            volume_layers::give_up(self, &snapshot.spec.next)?;
            if let Some(task) = snapshot.spec.task {
                self.end_task(task, Some(gone.clone()))?;
            }
            self.remove(&snapshot)?;
        }
        Ok(())
    }
}
