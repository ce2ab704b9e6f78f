//! `/api/v1/vms/{id}/…` and `/api/v1/shared`: who is at a machine's consoles, small pictures, and links that open them.

use crate::http::answer::Answer;
use crate::http::body::{Id, JsonBody};
use crate::http::problem::Refusals;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use hostd_core::{ConsoleViewers, Core};
use hostd_edge::{Client, Guest, Who, link_cookie};
use hostd_types::command::{AccessCommand, Command};
use hostd_types::{
    ConsoleLink, ConsoleLinkId, NewConsoleLink, Page, Problem, ProblemKind, ShareConsole, Timestamp, VmId,
    VmState,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Body of `POST /api/v1/shared/redeem`.
#[derive(Deserialize, Serialize, ToSchema)]
pub struct RedeemLink {
    /// What stands behind the `#` of the link.
    pub secret: String,
}

/// What an open link opens.
#[derive(Debug, Serialize, ToSchema)]
pub struct SharedConsole {
    /// The link that this browser opened last.
    pub link: ConsoleLinkId,
    /// The machine's name.
    pub name: String,
    /// Its state.
    pub state: VmState,
    /// Keys and pointer reach it.
    pub control: bool,
    /// When the link ends.
    pub expires_at: Timestamp,
}

async fn shared(core: &Core, link: &ConsoleLink) -> Result<SharedConsole, Problem> {
    let gone = |_| Problem::new(ProblemKind::NotFound, "The machine of this link is gone.");
    let vm = core.vm(link.vm).await.map_err(gone)?;
    let (name, state) = (vm.spec.name, vm.status.state);
    Ok(SharedConsole { link: link.id, name, state, control: link.control, expires_at: link.expires_at })
}

/// Who is at the consoles of a machine, and who of them controls it
#[utoipa::path(get, path = "/api/v1/vms/{id}/viewers", tag = "vms", params(("id" = VmId, Path)), responses(
    (status = 200, body = ConsoleViewers), Refusals))]
pub async fn list_viewers(State(core): State<Core>, Id(id): Id<VmId>) -> Answer<Json<ConsoleViewers>> {
    Ok(Json(core.viewers(id).await?))
}

/// A small picture of the screen, some seconds old at most
#[utoipa::path(get, path = "/api/v1/vms/{id}/thumbnail", tag = "vms", params(("id" = VmId, Path)), responses(
    (status = 200, content_type = "image/png", body = Vec<u8>), Refusals))]
pub async fn get_thumbnail(State(core): State<Core>, Id(id): Id<VmId>) -> Answer<impl IntoResponse> {
    Ok(([(header::CONTENT_TYPE, "image/png")], core.thumbnail(id).await?))
}

/// Links to a machine's consoles that have not ended
#[utoipa::path(get, path = "/api/v1/vms/{id}/links", tag = "vms", params(("id" = VmId, Path)), responses(
    (status = 200, body = Page<ConsoleLink>), Refusals))]
pub async fn list_links(State(core): State<Core>, Id(id): Id<VmId>) -> Answer<Json<Page<ConsoleLink>>> {
    let items = core.console_links(id).await?;
    Ok(Json(Page { total: items.len() as u64, items, next: None }))
}

/// Make a link that opens a machine's consoles once; it is in this answer and never again
#[utoipa::path(post, path = "/api/v1/vms/{id}/links", tag = "vms", params(("id" = VmId, Path)),
    request_body = ShareConsole, responses((status = 201, body = NewConsoleLink), Refusals))]
pub async fn create_link(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<VmId>,
    JsonBody(asked): JsonBody<ShareConsole>,
) -> Answer<(StatusCode, Json<NewConsoleLink>)> {
    Ok((StatusCode::CREATED, Json(core.share_console(&ctx, id, &asked).await?)))
}

/// Take a link back; consoles opened with it close at once
#[utoipa::path(delete, path = "/api/v1/links/{id}", tag = "vms", params(("id" = ConsoleLinkId, Path)), responses(
    (status = 204), Refusals))]
pub async fn revoke_link(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<ConsoleLinkId>,
) -> Answer<StatusCode> {
    core.submit(&ctx, Command::Access(AccessCommand::RevokeLink { id })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Open a link to a console: it is used up, and this browser's cookie opens the consoles until the link ends
#[utoipa::path(post, path = "/api/v1/shared/redeem", tag = "vms", request_body = RedeemLink, responses(
    (status = 200, body = SharedConsole), Refusals))]
pub async fn redeem_link(
    State(core): State<Core>,
    client: Client,
    JsonBody(body): JsonBody<RedeemLink>,
) -> Answer<impl IntoResponse> {
    let redeemed = core.redeem_link(&body.secret, client.address).await?;
    let headers =
        [(header::SET_COOKIE, link_cookie(&redeemed.pass)), (header::CACHE_CONTROL, "no-store".into())];
    Ok((headers, Json(shared(&core, &redeemed.link).await?)))
}

/// What this browser's link opens
#[utoipa::path(get, path = "/api/v1/shared", tag = "vms", responses(
    (status = 200, body = SharedConsole), Refusals))]
pub async fn get_shared(State(core): State<Core>, Guest(link): Guest) -> Answer<Json<SharedConsole>> {
    Ok(Json(shared(&core, &link).await?))
}
