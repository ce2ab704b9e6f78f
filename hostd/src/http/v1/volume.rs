//! `/api/v1/volumes`

use crate::http::answer::{Accepted, Answer, Tagged};
use crate::http::body::{Id, Params, Placed};
use crate::http::problem::Refusals;
use axum::Json;
use axum::extract::State;
use hostd_core::{Aged, Core, VolumeView};
use hostd_edge::Who;
use hostd_types::command::{Command, VolumeCommand};
use hostd_types::{CreateVolume, ListParams, Page, VolumeId};

/// Disks
#[utoipa::path(get, path = "/api/v1/volumes", tag = "volumes", params(ListParams), responses(
    (status = 200, body = Page<Aged<VolumeView>>), Refusals))]
pub async fn list_volumes(
    State(core): State<Core>,
    Params(list): Params<ListParams>,
) -> Answer<Json<Page<Aged<VolumeView>>>> {
    Ok(Json(core.aged_page(core.volumes(&list).await?, |view| view.volume.spec.host).await?))
}

/// Make an empty, unattached disk
#[utoipa::path(post, path = "/api/v1/volumes", tag = "volumes", request_body = Placed<CreateVolume>, responses(
    (status = 202, body = Accepted), Refusals))]
pub async fn create_volume(
    State(core): State<Core>,
    Who(ctx): Who,
    placed: Placed<CreateVolume>,
) -> Answer<Accepted> {
    let (host, volume) = placed.resolve(&core).await?;
    let command = Command::Volume(VolumeCommand::Create { id: VolumeId::new(), host, volume });
    core.submit(&ctx, command).await?.try_into()
}

/// One disk
#[utoipa::path(get, path = "/api/v1/volumes/{id}", tag = "volumes", params(("id" = VolumeId, Path)), responses(
    (status = 200, body = Aged<VolumeView>), Refusals))]
pub async fn get_volume(State(core): State<Core>, Id(id): Id<VolumeId>) -> Answer<Tagged<Aged<VolumeView>>> {
    let view = core.volume(id).await?;
    let (generation, host) = (view.volume.meta.generation, view.volume.spec.host);
    Ok(Tagged(generation, core.aged(view, host).await?))
}

/// Delete an unattached disk and everything on it
#[utoipa::path(delete, path = "/api/v1/volumes/{id}", tag = "volumes", params(("id" = VolumeId, Path)), responses(
    (status = 202, body = Accepted), Refusals))]
pub async fn delete_volume(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<VolumeId>,
) -> Answer<Accepted> {
    core.submit(&ctx, Command::Volume(VolumeCommand::Delete { id })).await?.try_into()
}
