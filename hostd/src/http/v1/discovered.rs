//! `/api/v1/discovered`: machines that libvirt has and Quantix did not make.

use crate::http::answer::{Accepted, Answer};
use crate::http::body::JsonBody;
use crate::http::problem::Refusals;
use axum::Json;
use axum::extract::{Path, State};
use hostd_core::Core;
use hostd_edge::Who;
use hostd_types::command::{Command, VmCommand};
use hostd_types::{AdoptVm, DiscoveredView, HostId, Problem, VmId};

/// Machines that Quantix did not make, with what stands in the way of taking each over
#[utoipa::path(get, path = "/api/v1/discovered", tag = "vms", responses(
    (status = 200, body = DiscoveredView), Refusals))]
pub async fn list_discovered(State(core): State<Core>) -> Answer<Json<DiscoveredView>> {
    Ok(Json(core.discovered().await?))
}

/// Take one over: it becomes a machine of Quantix, and its disks become volumes where they are
#[utoipa::path(post, path = "/api/v1/discovered/{host}/{id}/adopt", tag = "vms",
    params(("host" = HostId, Path), ("id" = VmId, Path)), request_body = AdoptVm,
    responses((status = 202, body = Accepted), Refusals))]
pub async fn adopt_discovered(
    State(core): State<Core>,
    Who(ctx): Who,
    Path((host, id)): Path<(String, String)>,
    JsonBody(asked): JsonBody<AdoptVm>,
) -> Answer<Accepted> {
    let host: HostId = host.parse().map_err(|_| Problem::not_found("host", &host))?;
    let id: VmId = id.parse().map_err(|_| Problem::not_found("discovered machine", &id))?;
    let command = VmCommand::Adopt { id, host, asked, taken: None };
    core.submit(&ctx, Command::Vm(command)).await?.try_into()
}
