//! `/api/v1/specifications`: customization specifications.

use crate::http::answer::{Answer, Tagged, expected_generation, refused};
use crate::http::body::{Id, JsonBody};
use crate::http::problem::Refusals;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use hostd_core::{Core, Ctx, SpecificationView};
use hostd_edge::Who;
use hostd_types::command::{Command, SpecificationCommand};
use hostd_types::{CopySpecification, CreateSpecification, EditSpecification, Page, SpecificationId};

/// Customization specifications, by name, with how many machines were made with each
#[utoipa::path(get, path = "/api/v1/specifications", tag = "specifications", responses(
    (status = 200, body = Page<SpecificationView>), Refusals))]
pub async fn list_specifications(State(core): State<Core>) -> Answer<Json<Page<SpecificationView>>> {
    let items = core.specifications().await?;
    Ok(Json(Page { total: items.len() as u64, items, next: None }))
}

/// Make a customization specification
#[utoipa::path(post, path = "/api/v1/specifications", tag = "specifications", request_body = CreateSpecification,
    responses((status = 201, body = SpecificationView), Refusals))]
pub async fn create_specification(
    State(core): State<Core>,
    Who(ctx): Who,
    JsonBody(specification): JsonBody<CreateSpecification>,
) -> Answer<(StatusCode, Tagged<SpecificationView>)> {
    made(&core, &ctx, SpecificationCommand::Create { id: SpecificationId::new(), specification }).await
}

/// Make a copy, with its passwords
#[utoipa::path(post, path = "/api/v1/specifications/{id}/copy", tag = "specifications",
    params(("id" = SpecificationId, Path)), request_body = CopySpecification,
    responses((status = 201, body = SpecificationView), Refusals))]
pub async fn copy_specification(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(from): Id<SpecificationId>,
    JsonBody(CopySpecification { name }): JsonBody<CopySpecification>,
) -> Answer<(StatusCode, Tagged<SpecificationView>)> {
    made(&core, &ctx, SpecificationCommand::Copy { id: SpecificationId::new(), from, name }).await
}

/// One customization specification; of passwords it says only that they are there
#[utoipa::path(get, path = "/api/v1/specifications/{id}", tag = "specifications",
    params(("id" = SpecificationId, Path)), responses((status = 200, body = SpecificationView), Refusals))]
pub async fn get_specification(
    State(core): State<Core>,
    Id(id): Id<SpecificationId>,
) -> Answer<Tagged<SpecificationView>> {
    Ok(tagged(core.specification(id).await?))
}

/// Change a customization specification; machines made with it keep what they got
#[utoipa::path(patch, path = "/api/v1/specifications/{id}", tag = "specifications", request_body = EditSpecification,
    params(("id" = SpecificationId, Path), ("If-Match" = Option<String>, Header, description = "ETag of an earlier answer.")),
    responses((status = 200, body = SpecificationView), Refusals))]
pub async fn edit_specification(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<SpecificationId>,
    headers: HeaderMap,
    JsonBody(edit): JsonBody<EditSpecification>,
) -> Answer<Tagged<SpecificationView>> {
    let expect = expected_generation(&headers)?;
    let command = Command::Specification(SpecificationCommand::Edit { id, expect, edit });
    core.submit(&ctx, command).await.map_err(|p| refused(p, expect))?;
    Ok(tagged(core.specification(id).await?))
}

/// Delete a customization specification; machines made with it keep what they got
#[utoipa::path(delete, path = "/api/v1/specifications/{id}", tag = "specifications",
    params(("id" = SpecificationId, Path)), responses((status = 204), Refusals))]
pub async fn delete_specification(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<SpecificationId>,
) -> Answer<StatusCode> {
    core.submit(&ctx, Command::Specification(SpecificationCommand::Delete { id })).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn made(
    core: &Core,
    ctx: &Ctx,
    command: SpecificationCommand,
) -> Answer<(StatusCode, Tagged<SpecificationView>)> {
    let outcome = core.submit(ctx, Command::Specification(command)).await?;
    // Asked twice under one request id, it is the one that was made then.
    let id = outcome.subject.and_then(|subject| subject.id.parse().ok()).unwrap_or_else(SpecificationId::new);
    Ok((StatusCode::CREATED, tagged(core.specification(id).await?)))
}

fn tagged(view: SpecificationView) -> Tagged<SpecificationView> {
    Tagged(view.specification.meta.generation, view)
}
