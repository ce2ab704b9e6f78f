//! A machine's folder, tags and notes.

use super::Answer;
use crate::filters;
use crate::flash::Flash;
use crate::forms::filing::{FilingForm, options};
use crate::page::{Refusal, answer, page};
use crate::submission::Submission;
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use axum::extract::Path;
use hostd_core::VmDetail;
use hostd_types::command::OrganizeCommand;
use hostd_types::{Command, EditFiling, Kind, Phase, Problem, VmId};

/// The form.
#[derive(Template)]
#[template(path = "vm/filing.html")]
pub(crate) struct FilingPage {
    pub(crate) layout: Layout,
    pub(crate) refusal: Refusal,
    pub(crate) detail: VmDetail,
    pub(crate) form: FilingForm,
    /// Folders to choose from.
    pub(crate) folders: Vec<(String, String)>,
}
page!(FilingPage, refusal);

async fn respond(visit: &Visit, detail: VmDetail, form: FilingForm, problem: Option<Problem>) -> Answer {
    let title = format!("{} · Folder, tags, notes", detail.vm.spec.name);
    let folders = options(&visit.core.folders().await.or_page(visit)?);
    let layout = visit.layout("vm-filing", Section::Vms, title);
    Ok(answer(&FilingPage { layout, refusal: Refusal(problem), detail, form, folders }))
}

/// `GET /vms/{id}/filing`
pub(crate) async fn show(visit: Visit, Path(id): Path<String>) -> Answer {
    let id: VmId = visit.id("machine", &id)?;
    let detail = visit.core.vm_detail(id).await.or_page(&visit)?;
    let form = FilingForm::of(&detail.vm);
    respond(&visit, detail, form, None).await
}

/// `POST /vms/{id}/filing`
pub(crate) async fn edit(Path(id): Path<String>, submission: Submission) -> Answer {
    let visit = &submission.visit;
    let id: VmId = visit.id("machine", &id)?;
    let detail = visit.core.vm_detail(id).await.or_page(visit)?;
    let form = FilingForm::read(&submission.fields);
    let path = format!("/vms/{id}");
    let problem = match form.edit(&detail.vm) {
        Ok(filing) if filing == EditFiling::default() => {
            return Ok(Flash::good("Nothing was changed.").then(&path));
        }
        Ok(filing) => {
            let command = OrganizeCommand::File { kind: Kind::Vm, id: id.to_string(), filing };
            match submission.submit(Command::Organize(command)).await {
                Ok(_) => return Ok(Flash::good("Saved.").then(&path)),
                Err(problem) => problem,
            }
        }
        Err(problem) => problem,
    };
    respond(visit, detail, form, Some(problem)).await
}
