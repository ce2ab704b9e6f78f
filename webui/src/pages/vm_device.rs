//! Buttons and forms about the devices of a machine that exists.

use super::Answer;
use super::vm_hardware::{HardwarePage, page_of};
use super::vm_new::Choices;
use crate::fields::Fields;
use crate::flash::Flash;
use crate::forms::device::DeviceForms;
use crate::forms::vm_edit::EditForm;
use crate::page::{Dialog, answer};
use crate::submission::Submission;
use crate::visit::OrPage;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use hostd_types::command::VmCommand;
use hostd_types::{Command, DeviceChange, Problem, Vm, VmId, VolumeId};

fn hardware(id: VmId) -> String {
    format!("/vms/{id}/hardware")
}

/// Submits what the form in the page's element `dialog` asks for. A refused one is shown again with what was typed and its
/// messages; `None` for `dialog` when what it is about is not there any more.
async fn fill_in(
    submission: Submission,
    id: &str,
    said: &str,
    dialog: impl FnOnce(&Vm) -> Option<String>,
    read: impl FnOnce(&mut DeviceForms, &Fields) -> Result<DeviceChange, Problem>,
) -> Answer {
    let visit = &submission.visit;
    let id: VmId = visit.id("machine", id)?;
    let mut devices = DeviceForms::default();
    let expect = submission.fields.text("generation").parse().ok();
    let problem = match read(&mut devices, &submission.fields) {
        Ok(change) => match submission.submit(Command::Vm(VmCommand::Change { id, expect, change })).await {
            Ok(outcome) => return Ok(Flash::accepted(said, &outcome).then(&hardware(id))),
            Err(problem) => problem,
        },
        Err(problem) => problem,
    };
    let detail = visit.core.vm_detail(id).await.or_page(visit)?;
    let Some(dialog) = dialog(&detail.vm) else { return Ok(submission.refused(&hardware(id), problem)) };
    let choices = Choices::load(visit, detail.vm.spec.host).await?;
    let form = EditForm::of(&detail.vm);
    let dialog = Dialog::refused(dialog, problem);
    Ok(answer(&HardwarePage { devices, dialog, ..page_of(visit, detail, form, choices, None) }))
}

/// Adds a device by the form `dialog`.
async fn add(
    submission: Submission,
    id: &str,
    said: &str,
    dialog: &str,
    read: impl FnOnce(&mut DeviceForms, &Fields) -> Result<DeviceChange, Problem>,
) -> Answer {
    fill_in(submission, id, said, |_| Some(dialog.to_owned()), read).await
}

/// `POST /vms/{id}/disks`
pub(crate) async fn attach_disk(Path(id): Path<String>, submission: Submission) -> Answer {
    add(submission, &id, "The disk is being attached.", "add-disk", DeviceForms::disk).await
}

/// `POST /vms/{id}/nics`
pub(crate) async fn attach_nic(Path(id): Path<String>, submission: Submission) -> Answer {
    add(submission, &id, "The network card is being attached.", "add-nic", DeviceForms::nic).await
}

/// `POST /vms/{id}/host-devices`
pub(crate) async fn attach_host_device(Path(id): Path<String>, submission: Submission) -> Answer {
    let said = "The device is being attached.";
    add(submission, &id, said, "add-host-device", DeviceForms::host_device).await
}

/// Takes out what is there: back to the page with what was said, or with the refusal.
async fn take_out(
    submission: Submission,
    id: &str,
    said: &str,
    read: impl FnOnce(&Fields) -> Result<DeviceChange, Problem>,
) -> Response {
    let id: VmId = match submission.visit.id("machine", id) {
        Ok(id) => id,
        Err(error) => return error.into_response(),
    };
    match read(&submission.fields) {
        Ok(change) => {
            let expect = submission.fields.text("generation").parse().ok();
            let command = Command::Vm(VmCommand::Change { id, expect, change });
            submission.act(command, &hardware(id), said).await
        }
        Err(problem) => submission.refused(&hardware(id), problem),
    }
}

/// The dialog `name` of a disk: they are numbered like the disks.
fn of_disk(name: &str, disk: &str) -> impl FnOnce(&Vm) -> Option<String> {
    let (name, disk) = (name.to_owned(), disk.parse().ok());
    move |vm| {
        let at = vm.spec.disks.iter().position(|held| Some(held.volume) == disk)?;
        Some(format!("{name}-{at}"))
    }
}

fn volume(text: &str) -> Result<VolumeId, Problem> {
    text.parse().map_err(|_| Problem::not_found("disk of this machine", text))
}

/// `POST /vms/{id}/disks/{volume}/options`
pub(crate) async fn tune_disk(Path((id, disk)): Path<(String, String)>, submission: Submission) -> Answer {
    let (said, dialog) = ("The disk’s options are being changed.", of_disk("options", &disk));
    let read = |forms: &mut DeviceForms, sent: &Fields| forms.tuned(sent, volume(&disk)?);
    fill_in(submission, &id, said, dialog, read).await
}

/// `POST /vms/{id}/disks/{volume}/grow`
pub(crate) async fn grow_disk(Path((id, disk)): Path<(String, String)>, submission: Submission) -> Answer {
    let (said, dialog) = ("The disk is being made larger.", of_disk("grow", &disk));
    let read = |forms: &mut DeviceForms, sent: &Fields| forms.grown(sent, volume(&disk)?);
    fill_in(submission, &id, said, dialog, read).await
}

/// `POST /vms/{id}/nics/{mac}/edit`
pub(crate) async fn edit_nic(Path((id, mac)): Path<(String, String)>, submission: Submission) -> Answer {
    let dialog = |vm: &Vm| {
        let at = vm.spec.nics.iter().position(|nic| nic.mac == mac)?;
        Some(format!("nic-{at}"))
    };
    let read = |forms: &mut DeviceForms, sent: &Fields| forms.edited(sent, &mac);
    fill_in(submission, &id, "The network card is being changed.", dialog, read).await
}

/// `POST /vms/{id}/disks/{volume}/detach`
pub(crate) async fn detach_disk(
    Path((id, disk)): Path<(String, String)>,
    submission: Submission,
) -> Response {
    let read = |sent: &Fields| {
        let delete = sent.text("volume") == "delete";
        Ok(DeviceChange::DetachDisk { volume: volume(&disk)?, delete })
    };
    take_out(submission, &id, "The disk is being detached.", read).await
}

/// `POST /vms/{id}/nics/{mac}/detach`
pub(crate) async fn detach_nic(Path((id, mac)): Path<(String, String)>, submission: Submission) -> Response {
    let said = "The network card is being taken out.";
    take_out(submission, &id, said, |_| Ok(DeviceChange::DetachNic { mac })).await
}

/// `POST /vms/{id}/host-devices/{device}/detach`
pub(crate) async fn detach_host_device(
    Path((id, device)): Path<(String, String)>,
    submission: Submission,
) -> Response {
    let said = "The device is being detached.";
    take_out(submission, &id, said, |_| Ok(DeviceChange::DetachHostDevice { device })).await
}
