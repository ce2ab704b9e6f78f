//! A machine's snapshots: the tree, taking one, going back, deleting.

use super::Answer;
use super::vm::watch;
use crate::error::PageError;
use crate::filters;
use crate::flash::Flash;
use crate::forms::snapshot::{SnapshotForm, first};
use crate::page::{Refusal, answer, page};
use crate::submission::Submission;
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use hostd_core::{SnapshotView, SnapshotsView, VmDetail};
use hostd_types::command::SnapshotCommand;
use hostd_types::{Command, CpuMode, LayerMap, Phase, Problem, SnapshotId, TaskId, VmId, VmState};

/// Deepest indentation of the tree.
const DEEPEST: usize = 6;

/// The page.
#[derive(Template)]
#[template(path = "vm/snapshots.html")]
pub(crate) struct SnapshotsPage {
    pub(crate) layout: Layout,
    pub(crate) refusal: Refusal,
    pub(crate) detail: VmDetail,
    pub(crate) view: SnapshotsView,
    pub(crate) form: SnapshotForm,
}
page!(SnapshotsPage, refusal);

impl SnapshotsPage {
    /// How far a snapshot is moved in.
    fn depth(&self, view: &SnapshotView) -> usize {
        view.depth.min(DEEPEST)
    }
    /// What is written now comes after this snapshot.
    fn is_current(&self, view: &SnapshotView) -> bool {
        self.view.current == Some(view.snapshot.id)
    }
    /// How far "you are here" is moved in under its snapshot.
    fn here(&self, view: &SnapshotView) -> usize {
        let branches = self.view.snapshots.iter().any(|s| s.snapshot.spec.parent == Some(view.snapshot.id));
        (view.depth + usize::from(branches)).min(DEEPEST)
    }
    /// The machine runs, so that going back switches it off.
    fn runs(&self) -> bool {
        self.detail.vm.status.state.is_active()
    }
    /// The guest can be asked to write everything out.
    fn can_quiesce(&self) -> bool {
        self.detail.vm.status.state == VmState::Running
    }
    /// The guest has memory that it can go on from.
    fn can_keep_memory(&self) -> bool {
        self.detail.vm.status.state == VmState::Running && !self.performance()
    }
    /// Its task, while that can be cancelled.
    fn running(&self, view: &SnapshotView) -> Option<TaskId> {
        let snapshot = &view.snapshot;
        let cancellable = match snapshot.status.phase {
            Phase::Creating => snapshot.spec.memory,
            Phase::Deleting => true,
            Phase::Ready => false,
        };
        snapshot.spec.task.filter(|_| cancellable)
    }
    /// What the machine does after going back, unless somebody wants something else.
    fn then(&self, view: &SnapshotView) -> &'static str {
        if view.snapshot.resumes(None, false) { "resume" } else { "off" }
    }
    /// No snapshot has memory in this mode.
    fn performance(&self) -> bool {
        self.detail.vm.spec.cpu_mode == CpuMode::Performance
    }
    /// What a snapshot was taken of.
    fn taken(&self, view: &SnapshotView) -> &'static str {
        let status = &view.snapshot.status;
        match (status.running, status.memory_bytes, status.quiesced) {
            (false, _, _) => "while it was off",
            (true, Some(_), _) => "while it ran, to go on from",
            (true, None, true) => "while it ran, quiesced",
            (true, None, false) => "while it ran, as after a power cut",
        }
    }
    /// The settings of that time, in short.
    fn machine(&self, view: &SnapshotView) -> String {
        let spec = &view.snapshot.spec.machine;
        let memory = crate::units::mib(spec.memory_mib);
        format!("{} CPU{}, {memory}", spec.cpus, if spec.cpus == 1 { "" } else { "s" })
    }
}

async fn respond(visit: &Visit, id: VmId, form: SnapshotForm, problem: Option<Problem>) -> Answer {
    let detail = visit.core.vm_detail(id).await.or_page(visit)?;
    let view = visit.core.snapshots(id).await.or_page(visit)?;
    let title = format!("{} · Snapshots", detail.vm.spec.name);
    let changes = format!("{} snapshot volume", watch(visit, &detail.vm));
    let layout = visit.layout("vm-snapshots", Section::Vms, title).watching(changes);
    Ok(answer(&SnapshotsPage { layout, refusal: Refusal(problem), detail, view, form }))
}

/// `GET /vms/{id}/snapshots`
pub(crate) async fn show(visit: Visit, Path(id): Path<String>) -> Answer {
    let id = visit.id("machine", &id)?;
    respond(&visit, id, SnapshotForm::default(), None).await
}

/// `POST /vms/{id}/snapshots`
pub(crate) async fn create(Path(id): Path<String>, submission: Submission) -> Answer {
    let visit = &submission.visit;
    let vm: VmId = visit.id("machine", &id)?;
    let form = SnapshotForm::read(&submission.fields);
    let command = SnapshotCommand::Create { vm, new: form.snapshot() };
    match submission.submit(Command::Snapshot(command)).await {
        Ok(outcome) => {
            let said = format!("The snapshot {} is being taken.", form.name);
            Ok(Flash::accepted(said, &outcome).then(&format!("/vms/{vm}/snapshots")))
        }
        Err(problem) => respond(visit, vm, form, Some(problem)).await,
    }
}

/// `POST /vms/{id}/snapshots/{snapshot}/revert`
pub(crate) async fn revert(Path((vm, id)): Path<(String, String)>, submission: Submission) -> Response {
    let ids = ids(&submission, &vm, &id);
    let (vm, id) = match ids {
        Ok(ids) => ids,
        Err(response) => return *response,
    };
    let (first, then) = (first(&submission.fields), submission.fields.text("then"));
    let (start, resume) = (then == "start", then == "resume");
    let command = SnapshotCommand::Revert { id, next: LayerMap::new(), first, start, resume };
    let path = format!("/vms/{vm}/snapshots");
    submission.act(Command::Snapshot(command), &path, "Going back to the snapshot.").await
}

/// `POST /vms/{id}/snapshots/{snapshot}/delete`
pub(crate) async fn delete(Path((vm, id)): Path<(String, String)>, submission: Submission) -> Response {
    let (vm, id) = match ids(&submission, &vm, &id) {
        Ok(ids) => ids,
        Err(response) => return *response,
    };
    let command = Command::Snapshot(SnapshotCommand::Delete { id });
    submission.act(command, &format!("/vms/{vm}/snapshots"), "The snapshot is being deleted.").await
}

fn ids(submission: &Submission, vm: &str, id: &str) -> Result<(VmId, SnapshotId), Box<Response>> {
    let (visit, answer) = (&submission.visit, |error: PageError| Box::new(error.into_response()));
    let vm = visit.id("machine", vm).map_err(answer)?;
    Ok((vm, visit.id("snapshot", id).map_err(answer)?))
}
