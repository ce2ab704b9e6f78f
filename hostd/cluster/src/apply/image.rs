//! Images.

use super::lookup::enumerate;
use super::scope::Scope;
use super::{Done, Step};
use hostd_types::command::ImageCommand;
use hostd_types::*;

/// Machines with an image in one of their CD-ROM drives.
const IN_DRIVES: &str = "SELECT name FROM vm WHERE cdrom = ?1
    OR json_extract(spec, '$.more_cdroms') IS NOT NULL
        AND EXISTS (SELECT 1 FROM json_each(spec, '$.more_cdroms') WHERE value = ?1) ORDER BY name";

pub(crate) fn apply(scope: &mut Scope<'_>, command: &ImageCommand) -> Step<Done> {
    match command {
        ImageCommand::Create { id, host, name, description, announced_bytes, expected_sha256 } => {
            scope.fresh::<Image>(*id)?;
            scope.known_host(*host)?;
            scope.free_name::<Image>(name)?;
            let spec = ImageSpec {
                name: name.clone(),
                description: description.clone(),
                host: *host,
                announced_bytes: *announced_bytes,
                expected_sha256: expected_sha256.clone(),
                task: scope.entry.task,
            };
            create(scope, *id, spec)
        }
        ImageCommand::Ready { id, content } => ready(scope, *id, content),
        ImageCommand::CreateFailed { id, problem } => create_failed(scope, *id, problem),
        ImageCommand::Delete { id } => delete(scope, *id),
        ImageCommand::Deleted { id } => deleted(scope, *id),
        ImageCommand::Report { id, fault } => {
            let mut image = scope.get::<Image>(*id)?;
            let before = std::mem::replace(&mut image.status.fault, fault.clone());
            scope.update(&image)?;
            let subject = image.subject();
            scope.fault_event(&subject, before.as_deref(), fault.as_deref())?;
            Ok(Done::about(subject))
        }
    }
}

fn create(scope: &mut Scope<'_>, id: ImageId, spec: ImageSpec) -> Step<Done> {
    let image = Image { id, meta: scope.created(), spec, status: ImageStatus::default() };
    scope.insert(&image)?;
    let subject = image.subject();
    scope.start_task(&subject, image.spec.host)?;
    let detail = image.spec.announced_bytes.map_or_else(String::new, |n| format!("{n} bytes"));
    scope.accepted(&subject, detail)?;
    Ok(Done::started(scope.entry.task, subject))
}

fn ready(scope: &mut Scope<'_>, id: ImageId, content: &ImageContent) -> Step<Done> {
    let mut image = scope.get::<Image>(id)?;
    if image.status.phase != Phase::Creating {
        return Err(Problem::wrong_state("This image is not being uploaded.").into());
    }
    image.status = ImageStatus { phase: Phase::Ready, content: Some(content.clone()), fault: None };
    scope.update(&image)?;
    scope.end_task(image.spec.task, None)?;
    let subject = image.subject();
    scope.accepted(&subject, format!("{} bytes, SHA-256 {}", content.file_bytes, content.sha256))?;
    Ok(Done::about(subject))
}

fn create_failed(scope: &mut Scope<'_>, id: ImageId, problem: &Problem) -> Step<Done> {
    let image = scope.get::<Image>(id)?;
    if image.status.phase != Phase::Creating {
        return Err(Problem::wrong_state("This image is not being uploaded.").into());
    }
    scope.remove(&image)?;
    scope.end_task(image.spec.task, Some(problem.clone()))?;
    let subject = image.subject();
    scope.event(scope.entry.command.name(), Some(&subject), EventResult::Failed, problem.detail.clone())?;
    Ok(Done::about(subject))
}

fn delete(scope: &mut Scope<'_>, id: ImageId) -> Step<Done> {
    let mut image = scope.get::<Image>(id)?;
    match image.status.phase {
        Phase::Ready => {}
        Phase::Creating => {
            let detail = "The image is still being uploaded; cancel its upload instead.";
            return Err(Problem::wrong_state(detail).into());
        }
        Phase::Deleting => return Err(Problem::wrong_state("The image is being deleted already.").into()),
    }
    let volumes = scope.names("SELECT name FROM volume WHERE image = ?1 ORDER BY name", id)?;
    if !volumes.is_empty() {
        let detail = format!(
            "Disks are layered over this image: {}. Delete the machines they belong to, with their disks, first.",
            enumerate(&volumes)
        );
        return Err(Problem::new(ProblemKind::Conflict, detail).into());
    }
    let drives = scope.names(IN_DRIVES, id)?;
    if !drives.is_empty() {
        let detail =
            format!("The image is in a CD-ROM drive of {}. Eject it there first.", enumerate(&drives));
        return Err(Problem::new(ProblemKind::Conflict, detail).into());
    }
    image.spec.task = scope.entry.task;
    image.status.phase = Phase::Deleting;
    scope.update(&image)?;
    let subject = image.subject();
    scope.start_task(&subject, image.spec.host)?;
    scope.accepted(&subject, "")?;
    Ok(Done::started(scope.entry.task, subject))
}

fn deleted(scope: &mut Scope<'_>, id: ImageId) -> Step<Done> {
    let image = scope.get::<Image>(id)?;
    if image.status.phase != Phase::Deleting {
        return Err(Problem::wrong_state("Nobody asked to delete this image.").into());
    }
    scope.remove(&image)?;
    scope.end_task(image.spec.task, None)?;
    let subject = image.subject();
    scope.accepted(&subject, "")?;
    Ok(Done::about(subject))
}
