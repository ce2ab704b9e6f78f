//! `/api/v1/folders`

use crate::http::answer::{Answer, Tagged, expected_generation, refused};
use crate::http::body::{Id, JsonBody, Params};
use crate::http::problem::Refusals;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use hostd_core::{Core, FolderView};
use hostd_edge::Who;
use hostd_types::command::{Command, OrganizeCommand};
use hostd_types::{CreateFolder, EditFolder, FolderId, Page};
use serde::Deserialize;
use utoipa::IntoParams;

/// What happens to what is in a deleted folder.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeleteParams {
    /// `true` moves it to the folder above; otherwise a folder that is not empty is not deleted. Machines are never deleted
    /// with their folder.
    #[serde(default)]
    pub move_up: bool,
}

/// All folders, each after the one above it
#[utoipa::path(get, path = "/api/v1/folders", tag = "folders", responses(
    (status = 200, body = Page<FolderView>), Refusals))]
pub async fn list_folders(State(core): State<Core>) -> Answer<Json<Page<FolderView>>> {
    let items = core.folders().await?;
    Ok(Json(Page { total: items.len() as u64, items, next: None }))
}

/// Make a folder
#[utoipa::path(post, path = "/api/v1/folders", tag = "folders", request_body = CreateFolder, responses(
    (status = 201, body = FolderView), Refusals))]
pub async fn create_folder(
    State(core): State<Core>,
    Who(ctx): Who,
    JsonBody(folder): JsonBody<CreateFolder>,
) -> Answer<(StatusCode, Tagged<FolderView>)> {
    let command = OrganizeCommand::CreateFolder { id: FolderId::new(), folder };
    let outcome = core.submit(&ctx, Command::Organize(command)).await?;
    // Asked twice under one request id, it is the folder that was made then.
    let id = outcome.subject.and_then(|subject| subject.id.parse().ok()).unwrap_or_else(FolderId::new);
    Ok((StatusCode::CREATED, tagged(core.folder(id).await?)))
}

/// One folder
#[utoipa::path(get, path = "/api/v1/folders/{id}", tag = "folders", params(("id" = FolderId, Path)), responses(
    (status = 200, body = FolderView), Refusals))]
pub async fn get_folder(State(core): State<Core>, Id(id): Id<FolderId>) -> Answer<Tagged<FolderView>> {
    Ok(tagged(core.folder(id).await?))
}

/// Rename or move a folder with everything in it
#[utoipa::path(patch, path = "/api/v1/folders/{id}", tag = "folders", request_body = EditFolder,
    params(("id" = FolderId, Path), ("If-Match" = Option<String>, Header, description = "ETag of an earlier answer.")),
    responses((status = 200, body = FolderView), Refusals))]
pub async fn edit_folder(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<FolderId>,
    headers: HeaderMap,
    JsonBody(edit): JsonBody<EditFolder>,
) -> Answer<Tagged<FolderView>> {
    let expect = expected_generation(&headers)?;
    let command = OrganizeCommand::EditFolder { id, expect, edit };
    core.submit(&ctx, Command::Organize(command)).await.map_err(|p| refused(p, expect))?;
    Ok(tagged(core.folder(id).await?))
}

/// Delete a folder, never a machine
#[utoipa::path(delete, path = "/api/v1/folders/{id}", tag = "folders",
    params(("id" = FolderId, Path), DeleteParams), responses((status = 204), Refusals))]
pub async fn delete_folder(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<FolderId>,
    Params(given): Params<DeleteParams>,
) -> Answer<StatusCode> {
    let command = OrganizeCommand::DeleteFolder { id, move_up: given.move_up };
    core.submit(&ctx, Command::Organize(command)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn tagged(view: FolderView) -> Tagged<FolderView> {
    Tagged(view.folder.meta.generation, view)
}
