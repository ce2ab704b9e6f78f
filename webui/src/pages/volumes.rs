//! Volumes: the disks of machines, and those nobody uses.

use super::Answer;
use crate::filters;
use crate::flash::Flash;
use crate::forms::volume::VolumeForm;
use crate::listing::{Listing, Pager};
use crate::page::{Refusal, answer, page};
use crate::submission::Submission;
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Response};
use hostd_core::VolumeView;
use hostd_types::command::VolumeCommand;
use hostd_types::{Command, Problem, ProblemKind, VolumeId};

/// The list with the form of a new volume.
#[derive(Template)]
#[template(path = "volumes.html")]
pub(crate) struct VolumesPage {
    pub(crate) layout: Layout,
    pub(crate) refusal: Refusal,
    pub(crate) volumes: Vec<VolumeView>,
    pub(crate) pager: Pager,
    pub(crate) listing: Listing,
    pub(crate) form: VolumeForm,
}
page!(VolumesPage, refusal);

async fn respond(visit: &Visit, listing: Listing, form: VolumeForm, problem: Option<Problem>) -> Answer {
    let page = visit.core.volumes(&listing.params()).await.or_page(visit)?;
    Ok(answer(&VolumesPage {
        layout: visit.layout("volumes", Section::Volumes, "Volumes").watching("volume vm task"),
        refusal: Refusal(problem),
        pager: listing.pager("/volumes", &page, "volume"),
        volumes: page.items,
        listing,
        form,
    }))
}

/// `GET /volumes`
pub(crate) async fn show(visit: Visit, Query(listing): Query<Listing>) -> Answer {
    let listing = listing.with_views(&visit, hostd_types::ListName::Volumes).await?;
    let form = VolumeForm { host: visit.core.host().to_string(), ..VolumeForm::default() };
    respond(&visit, listing, form, None).await
}

/// `POST /volumes`
pub(crate) async fn create(submission: Submission) -> Answer {
    let visit = &submission.visit;
    let form = VolumeForm::read(&submission.fields);
    let host = visit.frame.places.named(&form.host, visit.core.host());
    let problem = match host.and_then(|host| Ok((host, form.volume()?))) {
        Ok((host, volume)) => {
            let said = format!("{} is being created.", volume.name);
            let command = VolumeCommand::Create { id: VolumeId::new(), host, volume };
            match submission.submit(Command::Volume(command)).await {
                Ok(outcome) => return Ok(Flash::accepted(said, &outcome).then("/volumes")),
                Err(problem) if problem.kind == ProblemKind::Exists && problem.errors.is_empty() => {
                    super::vm_new::named(problem)
                }
                Err(problem) => problem,
            }
        }
        Err(problem) => problem,
    };
    respond(visit, Listing::default(), form, Some(problem)).await
}

/// `POST /volumes/{id}/delete`
pub(crate) async fn delete(Path(id): Path<String>, submission: Submission) -> Response {
    match submission.visit.id::<VolumeId>("volume", &id) {
        Ok(id) => {
            let command = Command::Volume(VolumeCommand::Delete { id });
            submission.act(command, "/volumes", "The volume is being deleted.").await
        }
        Err(error) => error.into_response(),
    }
}
