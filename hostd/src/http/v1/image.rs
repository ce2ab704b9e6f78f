//! `/api/v1/images`

use crate::http::answer::{Accepted, Answer, Tagged};
use crate::http::body::{Id, Params, Placed};
use crate::http::problem::Refusals;
use axum::Json;
use axum::body::BodyDataStream;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use futures_util::StreamExt;
use hostd_core::{Aged, Core, ImageView, UploadRequest};
use hostd_edge::Who;
use hostd_types::command::{Command, ImageCommand};
use hostd_types::{HostId, Image, ImageId, ListParams, Page, Problem, ProblemKind};
use serde::Deserialize;
use std::time::Duration;
use tokio::time::timeout;
use utoipa::IntoParams;

/// How long the rest of a refused upload is read and dropped, so that the client gets to read the refusal.
const DRAIN: Duration = Duration::from_secs(5);

/// What is uploaded.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UploadParams {
    /// The host that keeps it, for machines there; the one that is asked when absent.
    pub host: Option<HostId>,
    /// Name.
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// SHA-256 (hex) the file must have.
    pub sha256: Option<String>,
}

/// Images and ISOs
#[utoipa::path(get, path = "/api/v1/images", tag = "images", params(ListParams), responses(
    (status = 200, body = Page<Aged<ImageView>>), Refusals))]
pub async fn list_images(
    State(core): State<Core>,
    Params(list): Params<ListParams>,
) -> Answer<Json<Page<Aged<ImageView>>>> {
    Ok(Json(core.aged_page(core.images(&list).await?, |view| view.image.spec.host).await?))
}

/// Upload a disk image (qcow2, raw) or an ISO
///
/// The body is the file itself. `Content-Length` announces its size: it is compared, and checked against the free space
/// before a byte is stored. While it runs, the upload is a task that can be watched and cancelled.
#[utoipa::path(post, path = "/api/v1/images", tag = "images", params(UploadParams),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = Image), Refusals))]
pub async fn upload_image(
    State(core): State<Core>,
    Who(ctx): Who,
    Params(given): Params<UploadParams>,
    headers: HeaderMap,
    request: Request,
) -> Answer<impl IntoResponse> {
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    let (host, given) = Placed { host: given.host, what: given }.resolve(&core).await?;
    let wanted = UploadRequest {
        host: Some(host),
        name: given.name,
        description: given.description,
        announced_bytes: announced,
        expected_sha256: given.sha256,
    };
    let mut body = request.into_body().into_data_stream();
    let image = match store(&core, &ctx, wanted, &mut body).await {
        Ok(image) => image,
        Err(problem) => {
            drain(body).await;
            return Err(problem.into());
        }
    };
    let location = format!("/api/v1/images/{}", image.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(image)))
}

async fn store(
    core: &Core,
    ctx: &hostd_core::Ctx,
    wanted: UploadRequest,
    chunks: &mut BodyDataStream,
) -> Result<Image, Problem> {
    let announced = wanted.announced_bytes;
    let mut upload = core.upload(ctx, wanted).await?;
    let mut received: u64 = 0;
    while let Some(chunk) = chunks.next().await {
        let Ok(chunk) = chunk else {
            let of = announced.map(|n| format!(" of {n}")).unwrap_or_default();
            let detail = format!("The upload was cut off after {received}{of} bytes. Upload the file again.");
            let problem = Problem::new(ProblemKind::BadRequest, detail);
            upload.fail(problem.clone()).await;
            return Err(problem);
        };
        received += chunk.len() as u64;
        if let Err(problem) = upload.write(&chunk).await {
            upload.fail(problem.clone()).await;
            return Err(problem);
        }
    }
    upload.finish().await
}

async fn drain(mut rest: BodyDataStream) {
    // A client that goes on for longer sees its connection close; the task tells why.
    let _ = timeout(DRAIN, async { while let Some(Ok(_)) = rest.next().await {} }).await;
}

/// One image
#[utoipa::path(get, path = "/api/v1/images/{id}", tag = "images", params(("id" = ImageId, Path)), responses(
    (status = 200, body = Aged<ImageView>), Refusals))]
pub async fn get_image(State(core): State<Core>, Id(id): Id<ImageId>) -> Answer<Tagged<Aged<ImageView>>> {
    let view = core.image(id).await?;
    let (generation, host) = (view.image.meta.generation, view.image.spec.host);
    Ok(Tagged(generation, core.aged(view, host).await?))
}

/// Delete an image no disk and no CD-ROM drive uses
#[utoipa::path(delete, path = "/api/v1/images/{id}", tag = "images", params(("id" = ImageId, Path)), responses(
    (status = 202, body = Accepted), Refusals))]
pub async fn delete_image(State(core): State<Core>, Who(ctx): Who, Id(id): Id<ImageId>) -> Answer<Accepted> {
    core.submit(&ctx, Command::Image(ImageCommand::Delete { id })).await?.try_into()
}
