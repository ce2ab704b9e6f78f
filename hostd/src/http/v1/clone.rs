//! `/api/v1/vms/{id}/clone` and `/template`

use crate::http::answer::{Accepted, Answer, Tagged, expected_generation, refused};
use crate::http::body::{Id, JsonBody};
use crate::http::problem::Refusals;
use axum::extract::State;
use axum::http::HeaderMap;
use hostd_core::Core;
use hostd_edge::Who;
use hostd_types::command::{Command, VmCommand};
use hostd_types::{CloneVm, SetTemplate, Vm, VmId};

/// Make a copy: full, linked, or linked for a test; of the machine as it is now, of a snapshot, or of a template
#[utoipa::path(post, path = "/api/v1/vms/{id}/clone", tag = "vms", request_body = CloneVm,
    params(("id" = VmId, Path, description = "The machine or template that is copied.")),
    responses((status = 202, body = Accepted, description = "The answer's id is that of the copy."), Refusals))]
pub async fn clone_vm(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(source): Id<VmId>,
    JsonBody(copy): JsonBody<CloneVm>,
) -> Answer<Accepted> {
    let command =
        Command::Vm(VmCommand::Clone { id: VmId::new(), source, copy, first: None, inherits: false });
    core.submit(&ctx, command).await?.try_into()
}

/// Make a template of a machine that is off, or a machine of a template
#[utoipa::path(put, path = "/api/v1/vms/{id}/template", tag = "vms", request_body = SetTemplate,
    params(("id" = VmId, Path), ("If-Match" = Option<String>, Header, description = "ETag of an earlier answer.")),
    responses((status = 200, body = Vm), Refusals))]
pub async fn set_template(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<VmId>,
    headers: HeaderMap,
    JsonBody(SetTemplate { template }): JsonBody<SetTemplate>,
) -> Answer<Tagged<Vm>> {
    let expect = expected_generation(&headers)?;
    let command = Command::Vm(VmCommand::SetTemplate { id, expect, template });
    core.submit(&ctx, command).await.map_err(|p| refused(p, expect))?;
    let vm = core.vm(id).await?;
    Ok(Tagged(vm.meta.generation, vm))
}
