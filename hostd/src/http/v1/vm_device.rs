//! `/api/v1/vms/{id}/disks` and `/api/v1/vms/{id}/nics`: devices of a machine that exists, running or off.

use crate::http::answer::{Accepted, Answer, expected_generation, refused};
use crate::http::body::{Id, JsonBody, Params, PartOf};
use crate::http::problem::Refusals;
use axum::extract::State;
use axum::http::HeaderMap;
use hostd_core::{Core, Ctx};
use hostd_edge::Who;
use hostd_types::command::{Command, VmCommand};
use hostd_types::{DeviceChange, EditDisk, EditNic, NewDisk, NewNic, Problem, VmId, VolumeId};
use serde::Deserialize;
use utoipa::IntoParams;

/// What happens to a detached disk.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DetachParams {
    /// `true` deletes its volume when it is out; `false` keeps it, unattached.
    #[serde(default)]
    pub delete: bool,
}

pub(super) async fn submit(
    core: &Core,
    ctx: &Ctx,
    headers: &HeaderMap,
    id: VmId,
    change: DeviceChange,
) -> Answer<Accepted> {
    let expect = expected_generation(headers)?;
    let command = Command::Vm(VmCommand::Change { id, expect, change });
    core.submit(ctx, command).await.map_err(|problem| refused(problem, expect))?.try_into()
}

/// Attach a disk: an empty one, one over an image, or a volume
#[utoipa::path(post, path = "/api/v1/vms/{id}/disks", tag = "vms", request_body = NewDisk,
    params(("id" = VmId, Path), ("If-Match" = Option<String>, Header, description = "ETag of an earlier answer.")),
    responses((status = 202, body = Accepted), Refusals))]
pub async fn attach_disk(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<VmId>,
    headers: HeaderMap,
    JsonBody(disk): JsonBody<NewDisk>,
) -> Answer<Accepted> {
    let change = DeviceChange::AttachDisk { id: VolumeId::new(), disk };
    submit(&core, &ctx, &headers, id, change).await
}

/// Make a disk larger, or let it behave otherwise
#[utoipa::path(patch, path = "/api/v1/vms/{id}/disks/{volume}", tag = "vms", request_body = EditDisk,
    params(("id" = VmId, Path), ("volume" = VolumeId, Path),
        ("If-Match" = Option<String>, Header, description = "ETag of an earlier answer.")),
    responses((status = 202, body = Accepted), Refusals))]
pub async fn edit_disk(
    State(core): State<Core>,
    Who(ctx): Who,
    PartOf(id, volume): PartOf<VmId, VolumeId>,
    headers: HeaderMap,
    JsonBody(edit): JsonBody<EditDisk>,
) -> Answer<Accepted> {
    let change = match edit {
        EditDisk { size_bytes: Some(size_bytes), options: None } => {
            DeviceChange::GrowDisk { volume, size_bytes }
        }
        EditDisk { size_bytes: None, options: Some(options) } => DeviceChange::EditDisk { volume, options },
        EditDisk { size_bytes: None, options: None } => {
            return Err(Problem::field("/size_bytes", "Give a new size, or new options.").into());
        }
        EditDisk { size_bytes: Some(_), options: Some(_) } => {
            let detail = "Change the size and the options one after the other: each is a task of its own.";
            return Err(Problem::field("/options", detail).into());
        }
    };
    submit(&core, &ctx, &headers, id, change).await
}

/// Detach a disk; its volume stays unless it is to be deleted
#[utoipa::path(delete, path = "/api/v1/vms/{id}/disks/{volume}", tag = "vms",
    params(("id" = VmId, Path), ("volume" = VolumeId, Path), DetachParams,
        ("If-Match" = Option<String>, Header, description = "ETag of an earlier answer.")),
    responses((status = 202, body = Accepted), Refusals))]
pub async fn detach_disk(
    State(core): State<Core>,
    Who(ctx): Who,
    PartOf(id, volume): PartOf<VmId, VolumeId>,
    Params(DetachParams { delete }): Params<DetachParams>,
    headers: HeaderMap,
) -> Answer<Accepted> {
    submit(&core, &ctx, &headers, id, DeviceChange::DetachDisk { volume, delete }).await
}

/// Attach a network card
#[utoipa::path(post, path = "/api/v1/vms/{id}/nics", tag = "vms", request_body = NewNic,
    params(("id" = VmId, Path), ("If-Match" = Option<String>, Header, description = "ETag of an earlier answer.")),
    responses((status = 202, body = Accepted), Refusals))]
pub async fn attach_nic(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<VmId>,
    headers: HeaderMap,
    JsonBody(nic): JsonBody<NewNic>,
) -> Answer<Accepted> {
    submit(&core, &ctx, &headers, id, DeviceChange::AttachNic { nic }).await
}

/// Plug a card into another network, pull its cable or put it in
#[utoipa::path(patch, path = "/api/v1/vms/{id}/nics/{mac}", tag = "vms", request_body = EditNic,
    params(("id" = VmId, Path), ("mac" = String, Path),
        ("If-Match" = Option<String>, Header, description = "ETag of an earlier answer.")),
    responses((status = 202, body = Accepted), Refusals))]
pub async fn edit_nic(
    State(core): State<Core>,
    Who(ctx): Who,
    PartOf(id, mac): PartOf<VmId, String>,
    headers: HeaderMap,
    JsonBody(edit): JsonBody<EditNic>,
) -> Answer<Accepted> {
    submit(&core, &ctx, &headers, id, DeviceChange::EditNic { mac, edit }).await
}

/// Take a network card out
#[utoipa::path(delete, path = "/api/v1/vms/{id}/nics/{mac}", tag = "vms",
    params(("id" = VmId, Path), ("mac" = String, Path),
        ("If-Match" = Option<String>, Header, description = "ETag of an earlier answer.")),
    responses((status = 202, body = Accepted), Refusals))]
pub async fn detach_nic(
    State(core): State<Core>,
    Who(ctx): Who,
    PartOf(id, mac): PartOf<VmId, String>,
    headers: HeaderMap,
) -> Answer<Accepted> {
    submit(&core, &ctx, &headers, id, DeviceChange::DetachNic { mac }).await
}
