//! `/api/v1/…/{id}/filing`, `/api/v1/vms/batch` and `/api/v1/views`: how people find things, and do the same with many.

use crate::http::answer::Answer;
use crate::http::body::{Id, JsonBody};
use crate::http::problem::Refusals;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use hostd_core::{Core, Ctx};
use hostd_edge::Who;
use hostd_types::command::{Command, OrganizeCommand};
use hostd_types::*;

async fn file(core: &Core, ctx: &Ctx, kind: Kind, id: String, filing: EditFiling) -> Answer<StatusCode> {
    core.submit(ctx, Command::Organize(OrganizeCommand::File { kind, id, filing })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Move a machine to another folder, set or remove tags, change the notes
#[utoipa::path(patch, path = "/api/v1/vms/{id}/filing", tag = "vms", request_body = EditFiling,
    params(("id" = VmId, Path)), responses((status = 204), Refusals))]
pub async fn file_vm(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<VmId>,
    JsonBody(filing): JsonBody<EditFiling>,
) -> Answer<StatusCode> {
    file(&core, &ctx, Kind::Vm, id.to_string(), filing).await
}

/// Set or remove tags
#[utoipa::path(patch, path = "/api/v1/volumes/{id}/filing", tag = "volumes", request_body = EditFiling,
    params(("id" = VolumeId, Path)), responses((status = 204), Refusals))]
pub async fn file_volume(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<VolumeId>,
    JsonBody(filing): JsonBody<EditFiling>,
) -> Answer<StatusCode> {
    file(&core, &ctx, Kind::Volume, id.to_string(), filing).await
}

/// Set or remove tags
#[utoipa::path(patch, path = "/api/v1/images/{id}/filing", tag = "images", request_body = EditFiling,
    params(("id" = ImageId, Path)), responses((status = 204), Refusals))]
pub async fn file_image(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<ImageId>,
    JsonBody(filing): JsonBody<EditFiling>,
) -> Answer<StatusCode> {
    file(&core, &ctx, Kind::Image, id.to_string(), filing).await
}

/// Set or remove tags
#[utoipa::path(patch, path = "/api/v1/networks/{id}/filing", tag = "networks", request_body = EditFiling,
    params(("id" = NetworkId, Path)), responses((status = 204), Refusals))]
pub async fn file_network(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<NetworkId>,
    JsonBody(filing): JsonBody<EditFiling>,
) -> Answer<StatusCode> {
    file(&core, &ctx, Kind::Network, id.to_string(), filing).await
}

/// The same for several machines; each is accepted or refused on its own
#[utoipa::path(post, path = "/api/v1/vms/batch", tag = "vms", request_body = VmBatch, responses(
    (status = 200, body = BatchResult, description = "What became of each; some or all may have been refused."),
    Refusals))]
pub async fn batch_vms(
    State(core): State<Core>,
    Who(ctx): Who,
    JsonBody(batch): JsonBody<VmBatch>,
) -> Answer<Json<BatchResult>> {
    Ok(Json(core.batch(&ctx, &batch).await?))
}

/// Your saved views of all lists
#[utoipa::path(get, path = "/api/v1/views", tag = "views", responses(
    (status = 200, body = Page<SavedView>), Refusals))]
pub async fn list_views(State(core): State<Core>, Who(ctx): Who) -> Answer<Json<Page<SavedView>>> {
    let items = core.views(&ctx).await?;
    Ok(Json(Page { total: items.len() as u64, items, next: None }))
}

/// Save a view; one of the same name and list is replaced
#[utoipa::path(post, path = "/api/v1/views", tag = "views", request_body = SaveView, responses(
    (status = 201, body = SavedView), Refusals))]
pub async fn save_view(
    State(core): State<Core>,
    Who(ctx): Who,
    JsonBody(view): JsonBody<SaveView>,
) -> Answer<(StatusCode, Json<SavedView>)> {
    let command = OrganizeCommand::SaveView { id: ViewId::new(), user: ctx.user(), view };
    let outcome = core.submit(&ctx, Command::Organize(command)).await?;
    let id = outcome.subject.map(|subject| subject.id).unwrap_or_default();
    let saved = core.views(&ctx).await?.into_iter().find(|view| view.id.to_string() == id);
    let saved = saved.ok_or_else(|| Problem::not_found("saved view of yours", id))?;
    Ok((StatusCode::CREATED, Json(saved)))
}

/// Drop a saved view
#[utoipa::path(delete, path = "/api/v1/views/{id}", tag = "views", params(("id" = ViewId, Path)), responses(
    (status = 204), Refusals))]
pub async fn delete_view(State(core): State<Core>, Who(ctx): Who, Id(id): Id<ViewId>) -> Answer<StatusCode> {
    let command = OrganizeCommand::DeleteView { id, user: ctx.user() };
    core.submit(&ctx, Command::Organize(command)).await?;
    Ok(StatusCode::NO_CONTENT)
}
