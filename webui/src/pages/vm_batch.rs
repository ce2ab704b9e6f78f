//! The same for several machines: what is asked before they are deleted, and what became of each.

use super::Answer;
use crate::filters;
use crate::flash::Flash;
use crate::forms::choice::power_action;
use crate::page::{Refusal, answer, page};
use crate::submission::Submission;
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use axum::response::IntoResponse;
use hostd_core::VolumeView;
use hostd_types::*;

/// What became of each.
#[derive(Template)]
#[template(path = "vm/batch.html")]
pub(crate) struct BatchPage {
    pub(crate) layout: Layout,
    pub(crate) title: String,
    pub(crate) result: BatchResult,
}
page!(BatchPage);

/// What would be lost.
#[derive(Template)]
#[template(path = "vm/batch_delete.html")]
pub(crate) struct BatchDeletePage {
    pub(crate) layout: Layout,
    pub(crate) refusal: Refusal,
    /// Each machine with its disks.
    pub(crate) vms: Vec<(Vm, Vec<VolumeView>)>,
    /// `keep` or `delete`, as chosen.
    pub(crate) disks: String,
}
page!(BatchDeletePage, refusal);

impl BatchDeletePage {
    /// Machines that run: they are refused.
    fn active(&self) -> usize {
        self.vms.iter().filter(|(vm, _)| vm.status.state.is_active()).count()
    }
    /// What disks hold at most.
    fn size(&self, disks: &[VolumeView]) -> String {
        let bytes: u64 = disks.iter().map(|disk| disk.volume.spec.size_bytes).sum();
        crate::units::bytes(bytes)
    }
    /// Disks of all.
    fn all_disks(&self) -> usize {
        self.vms.iter().map(|(_, disks)| disks.len()).sum()
    }
}

/// `POST /vms/batch`
pub(crate) async fn act(submission: Submission) -> Answer {
    let visit = &submission.visit;
    let fields = &submission.fields;
    let vms: Vec<VmId> = fields.all("id").filter_map(|id| id.parse().ok()).collect();
    if vms.is_empty() {
        let text = "Tick the machines first, then choose an action.".into();
        return Ok(Flash { good: false, text, task: None }.then("/vms"));
    }
    if fields.text("action") == "consoles" {
        let chosen: Vec<String> = vms.iter().map(VmId::to_string).collect();
        return Ok(
            axum::response::Redirect::to(&format!("/consoles?vms={}", chosen.join(","))).into_response()
        );
    }
    let (title, act) = match fields.text("action").as_str() {
        "move" => {
            let Ok(place) = fields.text("to").parse::<FolderPlace>() else {
                return Ok(Flash::bad(&Problem::field("/folder", "Choose a folder.")).then("/vms"));
            };
            let filing = EditFiling { folder: Some(place), ..EditFiling::default() };
            ("Move to a folder".to_owned(), BatchAct::File { filing })
        }
        "tag" => match tags(&fields.text("set"), &fields.text("unset")) {
            Ok(filing) => ("Change tags".to_owned(), BatchAct::File { filing }),
            Err(detail) => return Ok(Flash::bad(&Problem::field("/set", detail)).then("/vms")),
        },
        "delete" => {
            let disks = fields.text("disks");
            let wanted = vms.len().to_string();
            if disks.is_empty() {
                return confirm(visit, &vms, "keep".into(), None).await;
            }
            if disks == "delete" && fields.text("confirm") != wanted {
                let said = format!("Type {wanted}, the number of machines, to delete their disks with them.");
                return confirm(visit, &vms, disks, Some(Problem::field("/confirm", said))).await;
            }
            ("Delete machines".to_owned(), BatchAct::Delete { disks: disks == "delete" })
        }
        _ => match power_action(fields) {
            Ok(action) => {
                let title = crate::wording::action(&format!("vm.{}", action.as_str())).to_owned();
                (title, BatchAct::Power { action, deadline_s: None })
            }
            Err(problem) => return Ok(submission.refused("/vms", problem)),
        },
    };
    let result = visit.core.batch(&visit.ctx, &VmBatch { vms, act }).await.or_page(visit)?;
    let layout = visit.layout("vm-batch", Section::Vms, title.clone());
    Ok(answer(&BatchPage { layout, title, result }))
}

/// Tags to set, and keys to take away, as typed.
fn tags(set: &str, unset: &str) -> Result<EditFiling, String> {
    let (set, remove) = (parse_tags(set)?, parse_tags(unset)?.into_keys().collect::<Vec<_>>());
    if set.is_empty() && remove.is_empty() {
        return Err("Type the tags to set or to remove.".into());
    }
    Ok(EditFiling { set, remove, ..EditFiling::default() })
}

async fn confirm(visit: &Visit, ids: &[VmId], disks: String, problem: Option<Problem>) -> Answer {
    // One that is gone meanwhile needs no question.
    let vms = visit.core.vms_with_disks(ids).await.or_page(visit)?;
    let layout = visit.layout("vm-batch-delete", Section::Vms, "Delete machines");
    Ok(answer(&BatchDeletePage { layout, refusal: Refusal(problem), vms, disks }))
}
