//! Copies of a machine, test copies by one click, and making a template of one.

use super::Answer;
use crate::filters;
use crate::flash::Flash;
use crate::forms::clone::CloneForm;
use crate::page::{Refusal, answer, page};
use crate::submission::Submission;
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Response};
use hostd_core::{SnapshotView, VmDetail};
use hostd_types::command::VmCommand;
use hostd_types::*;
use serde::Deserialize;

/// The form of a copy.
#[derive(Template)]
#[template(path = "vm/clone.html")]
pub(crate) struct ClonePage {
    pub(crate) layout: Layout,
    pub(crate) refusal: Refusal,
    pub(crate) detail: VmDetail,
    /// Snapshots that can be copied.
    pub(crate) snapshots: Vec<SnapshotView>,
    pub(crate) form: CloneForm,
}
page!(ClonePage, refusal);

impl ClonePage {
    /// Its guest can be asked to write everything out.
    fn can_quiesce(&self) -> bool {
        self.detail.vm.status.state == VmState::Running
    }
    /// Bytes that its disks take.
    fn used(&self) -> u64 {
        self.detail.disks.iter().filter_map(|disk| disk.allocated_bytes).sum()
    }
}

/// What is to be copied.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Of {
    snapshot: String,
}

async fn respond(visit: &Visit, detail: VmDetail, form: CloneForm, problem: Option<Problem>) -> Answer {
    let mut snapshots = visit.core.snapshots(detail.vm.id).await.or_page(visit)?.snapshots;
    snapshots.retain(|view| view.snapshot.status.phase == Phase::Ready);
    let title = format!("Clone {}", detail.vm.spec.name);
    let layout = visit.layout("vm-clone", Section::Vms, title);
    Ok(answer(&ClonePage { layout, refusal: Refusal(problem), detail, snapshots, form }))
}

/// `GET /vms/{id}/clone`
pub(crate) async fn show(visit: Visit, Path(id): Path<String>, Query(of): Query<Of>) -> Answer {
    let id = visit.id("machine", &id)?;
    let detail = visit.core.vm_detail(id).await.or_page(&visit)?;
    let form = CloneForm::of(&detail.vm, &of.snapshot);
    respond(&visit, detail, form, None).await
}

/// `POST /vms/{id}/clone`: makes the copy, or shows the form again with another row or with what is wrong.
pub(crate) async fn create(Path(id): Path<String>, submission: Submission) -> Answer {
    let visit = &submission.visit;
    let source: VmId = visit.id("machine", &id)?;
    let detail = visit.core.vm_detail(source).await.or_page(visit)?;
    let cards = detail.vm.spec.nics.len();
    let mut form = CloneForm::read(&submission.fields, cards);
    if let Some(button) = submission.fields.find("rows") {
        form.custom.change(button);
        form.own = true;
        return respond(visit, detail, form, None).await;
    }
    let copy = match form.copy(cards) {
        Ok(copy) => copy,
        Err(problem) => return respond(visit, detail, form, Some(problem)).await,
    };
    let said = format!("{} is being made.", copy.name);
    let command = VmCommand::Clone { id: VmId::new(), source, copy, first: None, inherits: false };
    match submission.submit(Command::Vm(command)).await {
        Ok(outcome) => {
            let path = path_of(&outcome);
            Ok(Flash::accepted(said, &outcome).then(&path))
        }
        Err(problem) => respond(visit, detail, form, Some(problem)).await,
    }
}

/// The page of what was made.
fn path_of(outcome: &Outcome) -> String {
    outcome.subject.as_ref().map_or_else(|| "/vms".into(), |subject| format!("/vms/{}", subject.id))
}

/// `POST /vms/{id}/try`: a test copy under a name of its own, started at once.
pub(crate) async fn test(Path(id): Path<String>, submission: Submission) -> Response {
    let visit = &submission.visit;
    let source: VmId = match visit.id("machine", &id) {
        Ok(id) => id,
        Err(error) => return error.into_response(),
    };
    let vm = match visit.core.vm(source).await {
        Ok(vm) => vm,
        Err(problem) => return submission.refused("/vms", problem),
    };
    let id = VmId::new();
    let hex = id.uuid().simple().to_string();
    let stem: String = vm.spec.name.chars().take(name::NAME_MAX - "test-".len() - 7).collect();
    let copy = CloneVm {
        name: format!("test-{stem}-{}", &hex[hex.len() - 6..]),
        mode: CloneMode::Test,
        snapshot: submission.fields.parsed("snapshot"),
        start: true,
        ..CloneVm::default()
    };
    let said = format!("{} is being made and started, on isolated networks of its own.", copy.name);
    match submission
        .submit(Command::Vm(VmCommand::Clone { id, source, copy, first: None, inherits: false }))
        .await
    {
        Ok(outcome) => {
            let path = path_of(&outcome);
            Flash::accepted(said, &outcome).then(&path)
        }
        Err(problem) => submission.refused(&format!("/vms/{source}"), problem),
    }
}

/// `POST /vms/{id}/discard`: a test copy goes with its disks, running or not.
pub(crate) async fn discard(Path(id): Path<String>, submission: Submission) -> Response {
    let id: VmId = match submission.visit.id("machine", &id) {
        Ok(id) => id,
        Err(error) => return error.into_response(),
    };
    match submission.visit.core.vm(id).await {
        Ok(vm) if vm.spec.lineage.is_test() => {}
        Ok(vm) => {
            let detail = format!("{} is no test clone; delete it on its page.", vm.spec.name);
            return submission.refused(&format!("/vms/{id}"), Problem::wrong_state(detail));
        }
        // The same button pressed twice.
        Err(problem) if problem.kind == ProblemKind::NotFound => {
            return Flash::good("The test clone is deleted.").then("/vms");
        }
        Err(problem) => return submission.refused("/vms", problem),
    }
    let command = Command::Vm(VmCommand::Delete { id, expect: None, disks: true });
    match submission.submit(command).await {
        Ok(outcome) => Flash::accepted("The test clone is being deleted.", &outcome).then("/vms"),
        Err(problem) => submission.refused(&format!("/vms/{id}"), problem),
    }
}

/// `POST /vms/{id}/template`
pub(crate) async fn template(Path(id): Path<String>, submission: Submission) -> Response {
    let id: VmId = match submission.visit.id("machine", &id) {
        Ok(id) => id,
        Err(error) => return error.into_response(),
    };
    let template = submission.fields.text("template") == "true";
    let said = match template {
        true => "It is a template now, among the templates of the list of machines.",
        false => "It is a machine again.",
    };
    let command = Command::Vm(VmCommand::SetTemplate { id, expect: None, template });
    submission.act(command, &format!("/vms/{id}"), said).await
}
