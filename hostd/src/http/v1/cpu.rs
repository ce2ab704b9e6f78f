//! `/api/v1/cluster/cpu`: the processor that machines in the CPU mode Flexible see.

use crate::http::answer::Answer;
use crate::http::body::JsonBody;
use crate::http::problem::Refusals;
use axum::Json;
use axum::extract::State;
use hostd_core::Core;
use hostd_edge::Who;
use hostd_types::CpuBaseline;
use hostd_types::command::{ClusterCommand, Command};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Body of `PUT /api/v1/cluster/cpu`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ChooseCpu {
    /// A named model that every host can run; absent or `null`: the best they have in common.
    pub model: Option<String>,
}

/// What machines in the CPU mode Flexible see from their next start on, and which hosts limit it
#[utoipa::path(get, path = "/api/v1/cluster/cpu", tag = "cluster", responses(
    (status = 200, body = CpuBaseline), Refusals))]
pub async fn get_cpu(State(core): State<Core>) -> Answer<Json<CpuBaseline>> {
    Ok(Json(core.cpu_baseline().await?))
}

/// Choose that processor; machines that run keep theirs until they were off
#[utoipa::path(put, path = "/api/v1/cluster/cpu", tag = "cluster", request_body = ChooseCpu, responses(
    (status = 200, body = CpuBaseline), Refusals))]
pub async fn choose_cpu(
    State(core): State<Core>,
    Who(ctx): Who,
    JsonBody(ChooseCpu { model }): JsonBody<ChooseCpu>,
) -> Answer<Json<CpuBaseline>> {
    core.submit(&ctx, Command::Cluster(ClusterCommand::ChooseCpu { model })).await?;
    Ok(Json(core.cpu_baseline().await?))
}
