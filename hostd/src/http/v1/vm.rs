//! `/api/v1/vms`

use crate::http::answer::{Accepted, Answer, Tagged, expected_generation, refused};
use crate::http::body::{Id, JsonBody, Params, Placed};
use crate::http::problem::Refusals;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use hostd_core::{Aged, ConsoleKind, ConsoleMode, Core, Ticket, VmDetail};
use hostd_edge::Who;
use hostd_types::command::{Command, VmCommand};
use hostd_types::{CreateVm, EditVm, ListParams, Page, PowerAction, SHUTDOWN_DEADLINE_S, Vm, VmId, VmSample};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Body of `POST /api/v1/vms/{id}/power`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SetPower {
    /// What to do.
    pub action: PowerAction,
    /// Seconds the guest has to obey `shutdown` or `reboot`; 120 when absent. The machine keeps running when it does not.
    #[serde(default = "deadline")]
    pub deadline_s: u32,
}

fn deadline() -> u32 {
    SHUTDOWN_DEADLINE_S
}

/// What happens to the disks of a deleted machine.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeleteParams {
    /// `true` deletes them too; `false` keeps them as unattached volumes.
    pub disks: bool,
}

/// Body of `POST /api/v1/vms/{id}/console`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct OpenConsole {
    /// The screen or the serial port.
    pub console: ConsoleKind,
    /// What to do there; control, if nobody else does, when absent.
    #[serde(default)]
    pub mode: ConsoleMode,
}

/// Virtual machines
#[utoipa::path(get, path = "/api/v1/vms", tag = "vms", params(ListParams), responses(
    (status = 200, body = Page<Aged<Vm>>), Refusals))]
pub async fn list_vms(
    State(core): State<Core>,
    Params(list): Params<ListParams>,
) -> Answer<Json<Page<Aged<Vm>>>> {
    Ok(Json(core.aged_page(core.vms(&list).await?, |vm| vm.spec.host).await?))
}

/// Make a virtual machine and its disks
#[utoipa::path(post, path = "/api/v1/vms", tag = "vms", request_body = Placed<CreateVm>, responses(
    (status = 202, body = Accepted), Refusals))]
pub async fn create_vm(
    State(core): State<Core>,
    Who(ctx): Who,
    placed: Placed<CreateVm>,
) -> Answer<Accepted> {
    let (host, vm) = placed.resolve(&core).await?;
    let command = Command::Vm(VmCommand::Create { id: VmId::new(), host, vm, found: Vec::new() });
    core.submit(&ctx, command).await?.try_into()
}

/// One virtual machine with its disks, cards and running task
#[utoipa::path(get, path = "/api/v1/vms/{id}", tag = "vms", params(("id" = VmId, Path)), responses(
    (status = 200, body = Aged<VmDetail>, headers(("ETag" = String, description = "Its generation."))), Refusals))]
pub async fn get_vm(State(core): State<Core>, Id(id): Id<VmId>) -> Answer<Tagged<Aged<VmDetail>>> {
    let detail = core.vm_detail(id).await?;
    let (generation, host) = (detail.vm.meta.generation, detail.vm.spec.host);
    Ok(Tagged(generation, core.aged(detail, host).await?))
}

/// Change settings
#[utoipa::path(patch, path = "/api/v1/vms/{id}", tag = "vms", request_body = EditVm,
    params(("id" = VmId, Path), ("If-Match" = Option<String>, Header, description = "ETag of an earlier answer.")),
    responses((status = 200, body = Vm), Refusals))]
pub async fn edit_vm(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<VmId>,
    headers: HeaderMap,
    JsonBody(edit): JsonBody<EditVm>,
) -> Answer<Tagged<Vm>> {
    let expect = expected_generation(&headers)?;
    let command = Command::Vm(VmCommand::Edit { id, expect, edit });
    core.submit(&ctx, command).await.map_err(|p| refused(p, expect))?;
    let vm = core.vm(id).await?;
    Ok(Tagged(vm.meta.generation, vm))
}

/// Delete a virtual machine, with or without its disks
#[utoipa::path(delete, path = "/api/v1/vms/{id}", tag = "vms",
    params(("id" = VmId, Path), DeleteParams, ("If-Match" = Option<String>, Header, description = "ETag of an earlier answer.")),
    responses((status = 202, body = Accepted), Refusals))]
pub async fn delete_vm(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<VmId>,
    Params(given): Params<DeleteParams>,
    headers: HeaderMap,
) -> Answer<Accepted> {
    let expect = expected_generation(&headers)?;
    let command = Command::Vm(VmCommand::Delete { id, expect, disks: given.disks });
    core.submit(&ctx, command).await.map_err(|p| refused(p, expect))?.try_into()
}

/// Start, shut down, reboot, reset, force off, pause, resume
#[utoipa::path(post, path = "/api/v1/vms/{id}/power", tag = "vms", params(("id" = VmId, Path)),
    request_body = SetPower, responses((status = 202, body = Accepted), Refusals))]
pub async fn set_power(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<VmId>,
    JsonBody(SetPower { action, deadline_s }): JsonBody<SetPower>,
) -> Answer<Accepted> {
    let command = Command::Vm(VmCommand::Power { id, action, deadline_s });
    core.submit(&ctx, command).await?.try_into()
}

/// A one-time ticket for `wss://HOST/api/v1/console?ticket=…`
#[utoipa::path(post, path = "/api/v1/vms/{id}/console", tag = "vms", params(("id" = VmId, Path)),
    request_body = OpenConsole, responses((status = 201, body = Ticket), Refusals))]
pub async fn make_ticket(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<VmId>,
    JsonBody(OpenConsole { console, mode }): JsonBody<OpenConsole>,
) -> Answer<(StatusCode, Json<Ticket>)> {
    Ok((StatusCode::CREATED, Json(core.console_ticket(&ctx, id, console, mode).await?)))
}

/// The screen as it is now
#[utoipa::path(get, path = "/api/v1/vms/{id}/screenshot", tag = "vms", params(("id" = VmId, Path)), responses(
    (status = 200, content_type = "image/png", body = Vec<u8>), Refusals))]
pub async fn get_screenshot(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<VmId>,
) -> Answer<impl IntoResponse> {
    Ok(([(header::CONTENT_TYPE, "image/png")], core.screenshot(&ctx, id).await?))
}

/// Names of all time zones, for customizations
#[utoipa::path(get, path = "/api/v1/timezones", tag = "vms", responses((status = 200, body = Vec<String>), Refusals))]
pub async fn list_time_zones() -> Json<&'static [&'static str]> {
    Json(hostd_core::time_zones())
}

/// Load of the last day, a mean a minute, newest last; minutes in which nothing was measured are left out
#[utoipa::path(get, path = "/api/v1/vms/{id}/history", tag = "vms", params(("id" = VmId, Path)), responses(
    (status = 200, body = Vec<VmSample>), Refusals))]
pub async fn list_vm_history(State(core): State<Core>, Id(id): Id<VmId>) -> Answer<Json<Vec<VmSample>>> {
    Ok(Json(core.vm_history(id).await?))
}

/// Load of the last two minutes, a point every second since somebody began to ask and every 5 seconds before that,
/// newest last; ask every second, and it goes on being measured
#[utoipa::path(get, path = "/api/v1/vms/{id}/seconds", tag = "vms", params(("id" = VmId, Path)), responses(
    (status = 200, body = Vec<VmSample>), Refusals))]
pub async fn list_vm_seconds(State(core): State<Core>, Id(id): Id<VmId>) -> Answer<Json<Vec<VmSample>>> {
    Ok(Json(core.vm_seconds(id).await?))
}

/// Load of the last 30 minutes, a point every 5 seconds, newest last
#[utoipa::path(get, path = "/api/v1/vms/{id}/samples", tag = "vms", params(("id" = VmId, Path)), responses(
    (status = 200, body = Vec<VmSample>), Refusals))]
pub async fn list_vm_samples(State(core): State<Core>, Id(id): Id<VmId>) -> Answer<Json<Vec<VmSample>>> {
    core.vm(id).await?;
    Ok(Json(core.vm_samples(id).await?))
}
