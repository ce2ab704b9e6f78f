//! `/api/v1/vms/{id}/snapshots`

use crate::http::answer::{Accepted, Answer};
use crate::http::body::{Id, JsonBody};
use crate::http::problem::Refusals;
use axum::Json;
use axum::extract::{Path, State};
use hostd_core::{Core, SnapshotsView};
use hostd_edge::Who;
use hostd_types::command::{Command, NewSnapshot, SnapshotCommand};
use hostd_types::{CreateSnapshot, LayerMap, Problem, RevertSnapshot, Snapshot, SnapshotId, VmId};

/// The snapshot of the machine in a path.
async fn of_vm(core: &Core, (vm, id): (String, String)) -> Result<Snapshot, Problem> {
    let known = id.parse().map_err(|_| Problem::not_found("snapshot", &id))?;
    let snapshot = core.snapshot(known).await?;
    if snapshot.spec.vm.to_string() != vm { Err(Problem::not_found("snapshot", id)) } else { Ok(snapshot) }
}

/// The snapshots of a virtual machine, where it is among them, and layers that are still to be merged
#[utoipa::path(get, path = "/api/v1/vms/{id}/snapshots", tag = "snapshots", params(("id" = VmId, Path)), responses(
    (status = 200, body = SnapshotsView), Refusals))]
pub async fn list_snapshots(State(core): State<Core>, Id(id): Id<VmId>) -> Answer<Json<SnapshotsView>> {
    Ok(Json(core.snapshots(id).await?))
}

/// Take a snapshot of the disks, whether the machine runs or not, and of the memory of one that runs if wanted
#[utoipa::path(post, path = "/api/v1/vms/{id}/snapshots", tag = "snapshots", params(("id" = VmId, Path)),
    request_body = CreateSnapshot, responses((status = 202, body = Accepted), Refusals))]
pub async fn create_snapshot(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(vm): Id<VmId>,
    JsonBody(asked): JsonBody<CreateSnapshot>,
) -> Answer<Accepted> {
    let new = NewSnapshot { id: SnapshotId::new(), asked, next: LayerMap::new() };
    core.submit(&ctx, Command::Snapshot(SnapshotCommand::Create { vm, new })).await?.try_into()
}

/// One snapshot
#[utoipa::path(get, path = "/api/v1/vms/{id}/snapshots/{snapshot}", tag = "snapshots",
    params(("id" = VmId, Path), ("snapshot" = SnapshotId, Path)), responses((status = 200, body = Snapshot), Refusals))]
pub async fn get_snapshot(
    State(core): State<Core>,
    Path(path): Path<(String, String)>,
) -> Answer<Json<Snapshot>> {
    Ok(Json(of_vm(&core, path).await?))
}

/// Go back to a snapshot: the disks become what they were, and the guest goes on from its memory if that was kept
#[utoipa::path(post, path = "/api/v1/vms/{id}/snapshots/{snapshot}/revert", tag = "snapshots",
    params(("id" = VmId, Path), ("snapshot" = SnapshotId, Path)), request_body = RevertSnapshot,
    responses((status = 202, body = Accepted), Refusals))]
pub async fn revert_snapshot(
    State(core): State<Core>,
    Who(ctx): Who,
    Path(path): Path<(String, String)>,
    JsonBody(RevertSnapshot { snapshot_first, start, resume }): JsonBody<RevertSnapshot>,
) -> Answer<Accepted> {
    let snapshot = of_vm(&core, path).await?;
    let (id, resume) = (snapshot.id, snapshot.resumes(resume, start));
    let first = snapshot_first.map(|name| NewSnapshot {
        id: SnapshotId::new(),
        asked: CreateSnapshot { name, ..CreateSnapshot::default() },
        next: LayerMap::new(),
    });
    let command = SnapshotCommand::Revert { id, next: LayerMap::new(), first, start, resume };
    core.submit(&ctx, Command::Snapshot(command)).await?.try_into()
}

/// Delete a snapshot; the machine's disks keep what they hold now
#[utoipa::path(delete, path = "/api/v1/vms/{id}/snapshots/{snapshot}", tag = "snapshots",
    params(("id" = VmId, Path), ("snapshot" = SnapshotId, Path)), responses((status = 202, body = Accepted), Refusals))]
pub async fn delete_snapshot(
    State(core): State<Core>,
    Who(ctx): Who,
    Path(path): Path<(String, String)>,
) -> Answer<Accepted> {
    let id = of_vm(&core, path).await?.id;
    core.submit(&ctx, Command::Snapshot(SnapshotCommand::Delete { id })).await?.try_into()
}
