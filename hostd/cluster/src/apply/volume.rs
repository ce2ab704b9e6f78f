//! Volumes made on their own; those of machines come and go with `vm`.

use super::lookup::refuse;
use super::scope::Scope;
use super::{Done, Step};
use hostd_types::command::VolumeCommand;
use hostd_types::*;

/// The one pool of a host.
pub(crate) const POOL: &str = "local";

pub(crate) fn apply(scope: &mut Scope<'_>, command: &VolumeCommand) -> Step<Done> {
    match command {
        VolumeCommand::Create { id, host, volume } => create(scope, *id, *host, volume),
        VolumeCommand::Delete { id } => delete(scope, *id),
        VolumeCommand::Report { id, status } => report(scope, *id, status),
        VolumeCommand::Deleted { id } => deleted(scope, *id),
        VolumeCommand::CreateFailed { id, problem } => create_failed(scope, *id, problem),
    }
}

fn create(scope: &mut Scope<'_>, id: VolumeId, host: HostId, asked: &CreateVolume) -> Step<Done> {
    scope.fresh::<Volume>(id)?;
    scope.known_host(host)?;
    scope.free_name::<Volume>(&asked.name)?;
    let spec = VolumeSpec {
        name: asked.name.clone(),
        host,
        pool: POOL.into(),
        format: asked.format,
        size_bytes: asked.size_bytes,
        image: None,
        vm: None,
        task: Some(scope.entry.task),
        layers: Layers::default(),
        origin: None,
        adopted_from: None,
    };
    let volume = Volume { id, meta: scope.created(), spec, status: VolumeStatus::default() };
    scope.insert(&volume)?;
    let subject = volume.subject();
    scope.start_task(&subject, host)?;
    scope.accepted(&subject, format!("{} bytes, {}", asked.size_bytes, asked.format.as_str()))?;
    Ok(Done::started(scope.entry.task, subject))
}

fn delete(scope: &mut Scope<'_>, id: VolumeId) -> Step<Done> {
    let mut volume = scope.get::<Volume>(id)?;
    if let Some(vm) = volume.spec.vm {
        let name = scope.find::<Vm>(vm)?.map_or_else(|| vm.to_string(), |vm| vm.spec.name);
        let detail =
            format!("The volume is a disk of the virtual machine {name}; delete that machine first.");
        return Err(Problem::new(ProblemKind::Conflict, detail).into());
    }
    match volume.status.phase {
        Phase::Ready => {}
        Phase::Creating => {
            return Err(Problem::wrong_state("The volume is still being made; wait for it.").into());
        }
        Phase::Deleting => return Err(Problem::wrong_state("The volume is being deleted already.").into()),
    }
    scope.check_no_copies(&volume, &format!("{} can't be deleted", volume.spec.name))?;
    volume.spec.task = Some(scope.entry.task);
    volume.status.phase = Phase::Deleting;
    scope.update(&volume)?;
    let subject = volume.subject();
    scope.start_task(&subject, volume.spec.host)?;
    scope.accepted(&subject, "")?;
    Ok(Done::started(scope.entry.task, subject))
}

fn report(scope: &mut Scope<'_>, id: VolumeId, status: &VolumeStatus) -> Step<Done> {
    let mut volume = scope.get::<Volume>(id)?;
    let before = std::mem::replace(&mut volume.status, status.clone());
    if before.phase == Phase::Deleting {
        // What was seen before the deletion was asked for.
        volume.status.phase = Phase::Deleting;
    }
    if before.phase == Phase::Creating
        && volume.status.phase == Phase::Ready
        && let Some(task) = volume.spec.task.take()
    {
        scope.end_task(task, None)?;
    }
    // What was copied needs its origin no more.
    let copied =
        (volume.status.phase == Phase::Ready).then(|| volume.spec.origin.take_if(|origin| !origin.linked));
    scope.update(&volume)?;
    scope.let_go(copied.flatten())?;
    let subject = volume.subject();
    scope.fault_event(&subject, before.fault.as_deref(), status.fault.as_deref())?;
    Ok(Done::about(subject))
}

fn deleted(scope: &mut Scope<'_>, id: VolumeId) -> Step<Done> {
    let volume = scope.get::<Volume>(id)?;
    if volume.status.phase != Phase::Deleting {
        return Err(Problem::wrong_state("Nobody asked to delete this volume.").into());
    }
    scope.remove(&volume)?;
    scope.let_go(volume.spec.origin.clone())?;
    if let Some(task) = volume.spec.task {
        scope.end_task(task, None)?;
    }
    let subject = volume.subject();
    scope.accepted(&subject, "")?;
    Ok(Done::about(subject))
}

fn create_failed(scope: &mut Scope<'_>, id: VolumeId, problem: &Problem) -> Step<Done> {
    let volume = scope.get::<Volume>(id)?;
    if volume.status.phase != Phase::Creating || volume.spec.vm.is_some() {
        return Err(Problem::wrong_state("This volume is not being made on its own.").into());
    }
    scope.remove(&volume)?;
    if let Some(task) = volume.spec.task {
        scope.end_task(task, Some(problem.clone()))?;
    }
    let subject = volume.subject();
    scope.event(scope.entry.command.name(), Some(&subject), EventResult::Failed, problem.detail.clone())?;
    Ok(Done::about(subject))
}

impl Scope<'_> {
    /// A volume that a new machine on `host` may take, from field `pointer`.
    pub(crate) fn unattached_volume(&self, id: VolumeId, host: HostId, pointer: &str) -> Step<Volume> {
        let Some(volume) = self.find::<Volume>(id)? else {
            return Err(refuse(ProblemKind::Invalid, pointer, format!("There is no volume {id}.")));
        };
        let name = &volume.spec.name;
        if volume.spec.vm.is_some() {
            let detail = format!("The volume {name} belongs to another machine; choose an unattached one.");
            return Err(refuse(ProblemKind::Conflict, pointer, detail));
        }
        if volume.status.phase != Phase::Ready {
            let detail = format!("The volume {name} is not ready; choose another or wait.");
            return Err(refuse(ProblemKind::WrongState, pointer, detail));
        }
        if volume.spec.host != host {
            let detail = format!("The volume {name} is on another host.");
            return Err(refuse(ProblemKind::Invalid, pointer, detail));
        }
        Ok(volume)
    }

    /// The event of a report, when what is wrong changed.
    pub(crate) fn fault_event(&mut self, subject: &Subject, before: Option<&str>, now: Option<&str>) -> Step {
        if before == now {
            return Ok(());
        }
        let detail = match now {
            Some(fault) => fault.to_owned(),
            None => format!("no longer: {}", before.unwrap_or_default()),
        };
        self.event(format!("{}.fault", subject.kind.as_str()), Some(subject), EventResult::Observed, detail)
    }
}
