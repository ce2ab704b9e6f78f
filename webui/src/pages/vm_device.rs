//! Buttons and forms about the devices of a machine that exists.

use super::Answer;
use super::vm_hardware::{HardwarePage, page_of};
use super::vm_new::Choices;
use crate::flash::Flash;
use crate::forms::device::{DeviceForms, edited, grown, tuned};
use crate::forms::vm_edit::EditForm;
use crate::page::answer;
use crate::submission::Submission;
use crate::visit::OrPage;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use hostd_types::command::VmCommand;
use hostd_types::{Command, DeviceChange, Problem, VmId, VolumeId};

fn command(id: VmId, change: DeviceChange) -> Command {
    Command::Vm(VmCommand::Change { id, expect: None, change })
}

/// Adds a device; a refused form is shown again with its errors.
async fn add(
    submission: Submission,
    id: &str,
    said: &str,
    read: impl FnOnce(&mut DeviceForms, &Submission) -> Result<DeviceChange, Problem>,
) -> Answer {
    let visit = &submission.visit;
    let id: VmId = visit.id("machine", id)?;
    let mut devices = DeviceForms::default();
    let problem = match read(&mut devices, &submission) {
        Ok(change) => match submission.submit(command(id, change)).await {
            Ok(outcome) => return Ok(Flash::accepted(said, &outcome).then(&hardware(id))),
            Err(problem) => problem,
        },
        Err(problem) => problem,
    };
    let detail = visit.core.vm_detail(id).await.or_page(visit)?;
    let choices = Choices::load(visit, detail.vm.spec.host).await?;
    let form = EditForm::of(&detail.vm);
    Ok(answer(&HardwarePage { devices, ..page_of(visit, detail, form, choices, Some(problem)) }))
}

fn hardware(id: VmId) -> String {
    format!("/vms/{id}/hardware")
}

/// `POST /vms/{id}/disks`
pub(crate) async fn attach_disk(Path(id): Path<String>, submission: Submission) -> Answer {
    add(submission, &id, "The disk is being attached.", |forms, sent| forms.disk(&sent.fields)).await
}

/// `POST /vms/{id}/nics`
pub(crate) async fn attach_nic(Path(id): Path<String>, submission: Submission) -> Answer {
    add(submission, &id, "The network card is being attached.", |forms, sent| forms.nic(&sent.fields)).await
}

/// `POST /vms/{id}/host-devices`
pub(crate) async fn attach_host_device(Path(id): Path<String>, submission: Submission) -> Answer {
    add(submission, &id, "The device is being attached.", |forms, sent| forms.host_device(&sent.fields)).await
}

/// Changes what is there: back to the page with what was said, or with the refusal.
async fn change(
    submission: Submission,
    id: &str,
    said: &str,
    read: impl FnOnce(&Submission) -> Result<DeviceChange, Problem>,
) -> Response {
    let id: VmId = match submission.visit.id("machine", id) {
        Ok(id) => id,
        Err(error) => return error.into_response(),
    };
    match read(&submission) {
        Ok(change) => submission.act(command(id, change), &hardware(id), said).await,
        Err(problem) => submission.refused(&hardware(id), problem),
    }
}

fn volume(text: &str) -> Result<VolumeId, Problem> {
    text.parse().map_err(|_| Problem::not_found("disk of this machine", text))
}

/// `POST /vms/{id}/disks/{volume}/options`
pub(crate) async fn tune_disk(Path((id, disk)): Path<(String, String)>, submission: Submission) -> Response {
    let read = |sent: &Submission| tuned(&sent.fields, volume(&disk)?);
    change(submission, &id, "The disk’s options are being changed.", read).await
}

/// `POST /vms/{id}/disks/{volume}/grow`
pub(crate) async fn grow_disk(Path((id, disk)): Path<(String, String)>, submission: Submission) -> Response {
    let read = |sent: &Submission| grown(&sent.fields, volume(&disk)?);
    change(submission, &id, "The disk is being made larger.", read).await
}

/// `POST /vms/{id}/disks/{volume}/detach`
pub(crate) async fn detach_disk(
    Path((id, disk)): Path<(String, String)>,
    submission: Submission,
) -> Response {
    let read = |sent: &Submission| {
        let delete = sent.fields.text("volume") == "delete";
        Ok(DeviceChange::DetachDisk { volume: volume(&disk)?, delete })
    };
    change(submission, &id, "The disk is being detached.", read).await
}

/// `POST /vms/{id}/nics/{mac}/edit`
pub(crate) async fn edit_nic(Path((id, mac)): Path<(String, String)>, submission: Submission) -> Response {
    change(submission, &id, "The network card is being changed.", |sent| edited(&sent.fields, &mac)).await
}

/// `POST /vms/{id}/nics/{mac}/detach`
pub(crate) async fn detach_nic(Path((id, mac)): Path<(String, String)>, submission: Submission) -> Response {
    let mac = mac.clone();
    change(submission, &id, "The network card is being taken out.", |_| Ok(DeviceChange::DetachNic { mac }))
        .await
}

/// `POST /vms/{id}/host-devices/{device}/detach`
pub(crate) async fn detach_host_device(
    Path((id, device)): Path<(String, String)>,
    submission: Submission,
) -> Response {
    let read = |_: &Submission| Ok(DeviceChange::DetachHostDevice { device });
    change(submission, &id, "The device is being detached.", read).await
}
