//! Deleting a machine: what would be lost, said before it is asked for.

use super::Answer;
use crate::filters;
use crate::flash::Flash;
use crate::page::{Refusal, answer, page};
use crate::submission::Submission;
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use axum::extract::Path;
use hostd_core::VmDetail;
use hostd_types::command::VmCommand;
use hostd_types::{Command, Problem, ProblemKind, VmId};

/// The confirmation.
#[derive(Template)]
#[template(path = "vm/delete.html")]
pub(crate) struct DeletePage {
    pub(crate) layout: Layout,
    pub(crate) refusal: Refusal,
    pub(crate) detail: VmDetail,
    /// `keep` or `delete`, as chosen.
    pub(crate) disks: String,
}
page!(DeletePage, refusal);

fn page_of(visit: &Visit, detail: VmDetail, disks: String, problem: Option<Problem>) -> DeletePage {
    let title = format!("Delete {}", detail.vm.spec.name);
    DeletePage { layout: visit.layout("vm", Section::Vms, title), refusal: Refusal(problem), detail, disks }
}

/// `GET /vms/{id}/delete`
pub(crate) async fn show(visit: Visit, Path(id): Path<String>) -> Answer {
    let id = visit.id("machine", &id)?;
    let detail = visit.core.vm_detail(id).await.or_page(&visit)?;
    Ok(answer(&page_of(&visit, detail, "keep".into(), None)))
}

/// `POST /vms/{id}/delete`; disks go only when the machine's name was typed.
pub(crate) async fn delete(Path(id): Path<String>, submission: Submission) -> Answer {
    let visit = &submission.visit;
    let id: VmId = visit.id("machine", &id)?;
    let detail = match visit.core.vm_detail(id).await {
        Ok(detail) => detail,
        // The same form sent twice: the first one was obeyed.
        Err(problem) if problem.kind == ProblemKind::NotFound => {
            return Ok(Flash::good("The machine is deleted.").then("/vms"));
        }
        Err(problem) => return Err(visit.failed(problem)),
    };
    let chosen = submission.fields.text("disks");
    let disks = chosen == "delete";
    let problem = if disks && submission.fields.text("confirm") != detail.vm.spec.name {
        let said = format!("Type {} to delete its disks with it.", detail.vm.spec.name);
        Problem::field("/confirm", said)
    } else {
        let expect = submission.fields.parsed("generation");
        match submission.submit(Command::Vm(VmCommand::Delete { id, expect, disks })).await {
            Ok(outcome) => {
                let said = format!("{} is being deleted.", detail.vm.spec.name);
                return Ok(Flash::accepted(said, &outcome).then("/vms"));
            }
            Err(problem) => problem,
        }
    };
    Ok(answer(&page_of(visit, detail, chosen, Some(problem))))
}
