//! What a machine's guest is told at its first boot, and the form that changes it.

use super::Answer;
use crate::filters;
use crate::flash::Flash;
use crate::forms::customize::CustomizeForm;
use crate::page::{Refusal, answer, page};
use crate::submission::Submission;
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use axum::extract::Path;
use hostd_core::VmDetail;
use hostd_types::command::VmCommand;
use hostd_types::{Command, Customization, CustomizationChange, EditVm, Phase, Problem, VmId};

/// The page.
#[derive(Template)]
#[template(path = "vm/customization.html")]
pub(crate) struct CustomizationPage {
    pub(crate) layout: Layout,
    pub(crate) refusal: Refusal,
    pub(crate) detail: VmDetail,
    pub(crate) form: CustomizeForm,
    pub(crate) run_again: bool,
    /// That of the machine the form was filled from.
    pub(crate) generation: u64,
}
page!(CustomizationPage, refusal);

fn page_of(
    visit: &Visit,
    detail: VmDetail,
    form: CustomizeForm,
    problem: Option<Problem>,
) -> CustomizationPage {
    let title = format!("{} · Customization", detail.vm.spec.name);
    let watch = super::vm::watch(visit, &detail.vm);
    let layout = visit.layout("vm-customization", Section::Vms, title).watching(watch);
    let generation = detail.vm.meta.generation;
    CustomizationPage { layout, refusal: Refusal(problem), detail, form, run_again: false, generation }
}

/// `GET /vms/{id}/customization`
pub(crate) async fn show(visit: Visit, Path(id): Path<String>) -> Answer {
    let id = visit.id("machine", &id)?;
    let detail = visit.core.vm_detail(id).await.or_page(&visit)?;
    let form = CustomizeForm::of(&detail.vm);
    Ok(answer(&page_of(&visit, detail, form, None)))
}

/// `POST /vms/{id}/customization`: saves, takes away, or shows the form with another row.
pub(crate) async fn edit(Path(id): Path<String>, submission: Submission) -> Answer {
    let (visit, fields) = (&submission.visit, &submission.fields);
    let id: VmId = visit.id("machine", &id)?;
    let detail = visit.core.vm_detail(id).await.or_page(visit)?;
    let path = format!("/vms/{id}/customization");
    let command = |expect, change| {
        let edit = EditVm { customization: Some(change), ..EditVm::default() };
        Command::Vm(VmCommand::Edit { id, expect, edit })
    };
    if fields.text("do") == "remove" {
        let change = CustomizationChange::Remove;
        return Ok(submission.act(command(None, change), &path, "The customization was taken away.").await);
    }
    let mut form = CustomizeForm::read(fields, "/customization/to", detail.vm.spec.nics.len());
    let run_again = fields.ticked("run_again");
    let generation = fields.parsed("generation").unwrap_or(detail.vm.meta.generation);
    let problem = match fields.find("rows") {
        Some(button) => {
            form.change(button);
            None
        }
        None => match custom(&form, &detail) {
            Ok(None) if detail.vm.spec.customization.is_none() => {
                return Ok(Flash::good("Nothing was changed.").then(&path));
            }
            Ok(to) => {
                let change = CustomizationChange::Set { to: Box::new(to.unwrap_or_default()), run_again };
                match submission.submit(command(Some(generation), change)).await {
                    Ok(outcome) => return Ok(Flash::accepted("Saved.", &outcome).then(&path)),
                    Err(problem) => Some(problem),
                }
            }
            Err(problem) => Some(problem),
        },
    };
    let page = page_of(visit, detail, form, problem);
    Ok(answer(&CustomizationPage { run_again, generation, ..page }))
}

fn custom(form: &CustomizeForm, detail: &VmDetail) -> Result<Option<Customization>, Problem> {
    let mut reading = crate::fields::Reading::default();
    let custom = form.customization(&mut reading, &vec![true; detail.vm.spec.nics.len()]);
    reading.done(custom)
}
