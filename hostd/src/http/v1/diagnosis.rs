//! `/api/v1/vms/{id}/xml` and `/log`: what tells why a machine is as it is.

use crate::http::answer::Answer;
use crate::http::body::{Id, Params};
use crate::http::problem::Refusals;
use axum::Json;
use axum::extract::State;
use hostd_core::{Core, LogSource, VmLog, VmXml};
use hostd_types::VmId;
use serde::Deserialize;
use utoipa::IntoParams;

/// Which log, and how much of it.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LogParams {
    /// That of its QEMU, or what the guest printed on its serial port.
    #[serde(default)]
    pub source: LogSource,
    /// Lines at most, 1 to 1000.
    #[serde(default = "lines")]
    pub lines: u32,
}

const fn lines() -> u32 {
    200
}

/// The definition inside libvirt, without secrets
#[utoipa::path(get, path = "/api/v1/vms/{id}/xml", tag = "vms", params(("id" = VmId, Path)), responses(
    (status = 200, body = VmXml), Refusals))]
pub async fn get_vm_xml(State(core): State<Core>, Id(id): Id<VmId>) -> Answer<Json<VmXml>> {
    Ok(Json(core.vm_xml(id).await?))
}

/// The last lines of the log of its QEMU or of its serial port
#[utoipa::path(get, path = "/api/v1/vms/{id}/log", tag = "vms", params(("id" = VmId, Path), LogParams), responses(
    (status = 200, body = VmLog), Refusals))]
pub async fn get_vm_log(
    State(core): State<Core>,
    Id(id): Id<VmId>,
    Params(asked): Params<LogParams>,
) -> Answer<Json<VmLog>> {
    Ok(Json(core.vm_log(id, asked.source, asked.lines).await?))
}
