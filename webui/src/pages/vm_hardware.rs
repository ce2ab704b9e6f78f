//! A machine's hardware: what it has, and the form that changes it.

use super::Answer;
use super::vm_new::{Choices, named};
use crate::filters;
use crate::flash::Flash;
use crate::forms::device::DeviceForms;
use crate::forms::vm_edit::EditForm;
use crate::page::{Dialog, Refusal, answer, page};
use crate::submission::Submission;
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use axum::extract::Path;
use hostd_core::VmDetail;
use hostd_types::command::VmCommand;
use hostd_types::{Command, EditVm, Phase, Problem, ProblemKind, VmId};

/// Said of settings of a machine that runs.
const SAVED_RUNNING: &str = "Saved. What can't change while it runs applies at its next power-off.";

/// The page.
#[derive(Template)]
#[template(path = "vm/hardware.html")]
pub(crate) struct HardwarePage {
    pub(crate) layout: Layout,
    pub(crate) refusal: Refusal,
    pub(crate) detail: VmDetail,
    pub(crate) form: EditForm,
    pub(crate) choices: Choices,
    pub(crate) devices: DeviceForms,
    pub(crate) dialog: Dialog,
}
page!(HardwarePage, refusal, dialog);

impl HardwarePage {
    /// It runs: some settings wait for its power-off.
    fn runs(&self) -> bool {
        self.detail.vm.status.state.is_active()
    }
}

pub(super) fn page_of(
    visit: &Visit,
    detail: VmDetail,
    form: EditForm,
    choices: Choices,
    problem: Option<Problem>,
) -> HardwarePage {
    let title = format!("{} · Hardware", detail.vm.spec.name);
    let layout =
        visit.layout("vm-hardware", Section::Vms, title).watching(super::vm::watch(visit, &detail.vm));
    let (devices, dialog) = (DeviceForms::default(), Dialog::default());
    HardwarePage { layout, refusal: Refusal(problem), detail, form, choices, devices, dialog }
}

/// `GET /vms/{id}/hardware`
pub(crate) async fn show(visit: Visit, Path(id): Path<String>) -> Answer {
    let id = visit.id("machine", &id)?;
    let detail = visit.core.vm_detail(id).await.or_page(&visit)?;
    let form = EditForm::of(&detail.vm);
    let choices = Choices::load(&visit, detail.vm.spec.host).await?;
    Ok(answer(&page_of(&visit, detail, form, choices, None)))
}

/// `POST /vms/{id}/edit`
pub(crate) async fn edit(Path(id): Path<String>, submission: Submission) -> Answer {
    let visit = &submission.visit;
    let id: VmId = visit.id("machine", &id)?;
    let detail = visit.core.vm_detail(id).await.or_page(visit)?;
    let form = EditForm::read(&submission.fields, &detail.vm);
    let path = format!("/vms/{id}/hardware");
    let problem = match form.edit(&detail.vm) {
        Ok(edit) if edit == EditVm::default() => return Ok(Flash::good("Nothing was changed.").then(&path)),
        Ok(edit) => {
            let command = VmCommand::Edit { id, expect: Some(form.generation), edit };
            match submission.submit(Command::Vm(command)).await {
                Ok(outcome) => {
                    let said = if detail.vm.status.state.is_active() { SAVED_RUNNING } else { "Saved." };
                    return Ok(Flash::accepted(said, &outcome).then(&path));
                }
                Err(problem) if problem.kind == ProblemKind::Exists && problem.errors.is_empty() => {
                    named(problem)
                }
                Err(problem) => problem,
            }
        }
        Err(problem) => problem,
    };
    let choices = Choices::load(visit, detail.vm.spec.host).await?;
    Ok(answer(&page_of(visit, detail, form, choices, Some(problem))))
}
