//! `/api/v1/hosts`

use crate::http::answer::Answer;
use crate::http::body::{Id, JsonBody};
use crate::http::problem::Refusals;
use axum::Json;
use axum::extract::State;
use hostd_core::{Aged, Core, HostSight};
use hostd_edge::Who;
use hostd_types::command::HostCommand;
use hostd_types::{Command, EditHost, Host, HostId, HostSample, Page};

/// Hosts
#[utoipa::path(get, path = "/api/v1/hosts", tag = "hosts", responses(
    (status = 200, body = Page<Aged<Host>>), Refusals))]
pub async fn list_hosts(State(core): State<Core>) -> Answer<Json<Page<Aged<Host>>>> {
    let items = core.hosts().await?;
    let page = Page { total: items.len() as u64, items, next: None };
    Ok(Json(core.aged_page(page, |host| host.id).await?))
}

/// One host with its hardware, versions and reconcilers; its row alone, with its age, while it does not answer
#[utoipa::path(get, path = "/api/v1/hosts/{id}", tag = "hosts", params(("id" = HostId, Path)), responses(
    (status = 200, body = HostSight), Refusals))]
pub async fn get_host(State(core): State<Core>, Id(id): Id<HostId>) -> Answer<Json<HostSight>> {
    Ok(Json(core.host_sight(id).await?))
}

/// Give a host another name, which becomes its hostname
#[utoipa::path(patch, path = "/api/v1/hosts/{id}", tag = "hosts", request_body = EditHost,
    params(("id" = HostId, Path)), responses((status = 200, body = Host), Refusals))]
pub async fn edit_host(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<HostId>,
    JsonBody(edit): JsonBody<EditHost>,
) -> Answer<Json<Host>> {
    core.submit(&ctx, Command::Host(HostCommand::Rename { id, name: edit.name })).await?;
    Ok(Json(core.host_row(id).await?))
}

/// Load of the last 30 minutes, a point every 5 seconds, newest last
#[utoipa::path(get, path = "/api/v1/hosts/{id}/samples", tag = "hosts", params(("id" = HostId, Path)), responses(
    (status = 200, body = Vec<HostSample>), Refusals))]
pub async fn list_host_samples(
    State(core): State<Core>,
    Id(id): Id<HostId>,
) -> Answer<Json<Vec<HostSample>>> {
    Ok(Json(core.host_samples(id).await?))
}
