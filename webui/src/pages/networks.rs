//! Networks: how machines reach each other and the world.

use super::Answer;
use crate::filters;
use crate::flash::Flash;
use crate::forms::network::NetworkForm;
use crate::listing::{Listing, Pager};
use crate::page::{Refusal, answer, page};
use crate::submission::Submission;
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Response};
use hostd_core::NetworkView;
use hostd_types::command::NetworkCommand;
use hostd_types::{Command, NetworkId, NetworkMode, NicFacts, Problem, ProblemKind};

/// The list with the form of a new network.
#[derive(Template)]
#[template(path = "networks.html")]
pub(crate) struct NetworksPage {
    pub(crate) layout: Layout,
    pub(crate) refusal: Refusal,
    pub(crate) networks: Vec<NetworkView>,
    pub(crate) nics: Vec<NicFacts>,
    pub(crate) pager: Pager,
    pub(crate) listing: Listing,
    pub(crate) form: NetworkForm,
    /// The form is being filled in.
    pub(crate) opened: bool,
}
page!(NetworksPage, refusal);

async fn respond(
    visit: &Visit,
    listing: Listing,
    mut form: NetworkForm,
    opened: bool,
    problem: Option<Problem>,
) -> Answer {
    let chosen = visit.frame.places.chosen(&form.host, visit.core.host());
    form.host = chosen.to_string();
    let page = visit.core.networks(&listing.params()).await.or_page(visit)?;
    // The cards of a host that does not answer are not known; a private subnet can't be made there either.
    let host = visit.core.host_view(chosen).await.ok();
    Ok(answer(&NetworksPage {
        layout: visit.layout("networks", Section::Networks, "Networks").watching("network vm task"),
        refusal: Refusal(problem),
        pager: listing.pager("/networks", &page, "network"),
        networks: page.items,
        listing,
        nics: host.map(|h| h.facts.nics).unwrap_or_default().into_iter().filter(|n| n.physical).collect(),
        form,
        opened,
    }))
}

/// `GET /networks`
pub(crate) async fn show(visit: Visit, Query(listing): Query<Listing>) -> Answer {
    let listing = listing.with_views(&visit, hostd_types::ListName::Networks).await?;
    respond(&visit, listing, NetworkForm::default(), false, None).await
}

/// `POST /networks`
pub(crate) async fn create(submission: Submission) -> Answer {
    let visit = &submission.visit;
    let mut form = NetworkForm::read(&submission.fields);
    if let Some(host) = submission.fields.find("rows").and_then(|button| button.strip_prefix("host-")) {
        (form.host, form.nic) = (host.to_owned(), String::new());
        return respond(visit, Listing::default(), form, true, None).await;
    }
    let host = visit.frame.places.named(&form.host, visit.core.host());
    let problem = match host.and_then(|host| Ok((host, form.network()?))) {
        Ok((host, network)) => {
            let said = format!("{} is being created.", network.name);
            let command = NetworkCommand::Create { id: NetworkId::new(), host, network };
            match submission.submit(Command::Network(command)).await {
                Ok(outcome) => return Ok(Flash::accepted(said, &outcome).then("/networks")),
                Err(problem) if problem.kind == ProblemKind::Exists && problem.errors.is_empty() => {
                    super::vm_new::named(problem)
                }
                Err(problem) => problem,
            }
        }
        Err(problem) => problem,
    };
    respond(visit, Listing::default(), form, true, Some(problem)).await
}

/// `POST /networks/{id}/delete`
pub(crate) async fn delete(Path(id): Path<String>, submission: Submission) -> Response {
    match submission.visit.id::<NetworkId>("network", &id) {
        Ok(id) => {
            let command = Command::Network(NetworkCommand::Delete { id });
            submission.act(command, "/networks", "The network is being deleted.").await
        }
        Err(error) => error.into_response(),
    }
}
