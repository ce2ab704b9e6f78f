//! `/api/v1/hosts/{id}/devices`, and `/api/v1/vms/{id}/host-devices`: devices of a host, and the machines that have one for
//! themselves.

use crate::http::answer::{Accepted, Answer};
use crate::http::body::{Id, JsonBody, PartOf};
use crate::http::problem::Refusals;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use hostd_core::Core;
use hostd_edge::Who;
use hostd_types::{AttachHostDevice, DeviceChange, HostDevices, HostId, VmId};

/// What a host has on its PCI and USB buses, who uses it, and why it can't be given to a machine
#[utoipa::path(get, path = "/api/v1/hosts/{id}/devices", tag = "hosts", params(("id" = HostId, Path)), responses(
    (status = 200, body = HostDevices), Refusals))]
pub async fn list_host_devices(State(core): State<Core>, Id(id): Id<HostId>) -> Answer<Json<HostDevices>> {
    Ok(Json(core.host_devices(id).await?))
}

/// Give a machine a device of its host; a PCI device at its next start, a USB device at once
#[utoipa::path(post, path = "/api/v1/vms/{id}/host-devices", tag = "vms", request_body = AttachHostDevice,
    params(("id" = VmId, Path), ("If-Match" = Option<String>, Header, description = "ETag of an earlier answer.")),
    responses((status = 202, body = Accepted), Refusals))]
pub async fn attach_host_device(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<VmId>,
    headers: HeaderMap,
    JsonBody(asked): JsonBody<AttachHostDevice>,
) -> Answer<Accepted> {
    let change = DeviceChange::AttachHostDevice { asked, found: None };
    super::vm_device::submit(&core, &ctx, &headers, id, change).await
}

/// Give a device back to the host; a PCI device at the machine's power-off, a USB device at once
#[utoipa::path(delete, path = "/api/v1/vms/{id}/host-devices/{device}", tag = "vms",
    params(("id" = VmId, Path), ("device" = String, Path),
        ("If-Match" = Option<String>, Header, description = "ETag of an earlier answer.")),
    responses((status = 202, body = Accepted), Refusals))]
pub async fn detach_host_device(
    State(core): State<Core>,
    Who(ctx): Who,
    PartOf(id, device): PartOf<VmId, String>,
    headers: HeaderMap,
) -> Answer<Accepted> {
    super::vm_device::submit(&core, &ctx, &headers, id, DeviceChange::DetachHostDevice { device }).await
}
