//! Images: the list, uploads with and without scripts, deletion.

use super::Answer;
use crate::error::{problem_json, wants_json};
use crate::filters;
use crate::flash::Flash;
use crate::listing::{Listing, Pager};
use crate::page::{Page as _, Refusal, answer, page};
use crate::submission::Submission;
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Response};
use hostd_core::{ImageView, Upload, UploadRequest};
use hostd_edge::Csrf;
use hostd_types::command::ImageCommand;
use hostd_types::{Command, Image, ImageId, Problem, ProblemKind};

/// Most bytes of a text part of the upload form.
const TEXT_MAX: usize = 16 * 1024;
/// Most bytes read after a refusal, so that a browser that still sends sees the answer.
const DRAIN_MAX: usize = 64 << 20;

/// The list with the upload form.
#[derive(Template)]
#[template(path = "images.html")]
pub(crate) struct ImagesPage {
    pub(crate) layout: Layout,
    pub(crate) refusal: Refusal,
    pub(crate) images: Vec<ImageView>,
    pub(crate) pager: Pager,
    pub(crate) listing: Listing,
    pub(crate) form: ImageForm,
}
page!(ImagesPage, refusal);

/// The text parts of the upload form, as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ImageForm {
    pub(crate) host: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) sha256: String,
}

/// The upload's route takes bodies of any length; it never keeps one in memory.
pub(crate) fn no_limit() -> DefaultBodyLimit {
    DefaultBodyLimit::disable()
}

async fn page_of(
    visit: &Visit,
    listing: Listing,
    form: ImageForm,
    problem: Option<Problem>,
) -> Result<ImagesPage, crate::error::PageError> {
    let page = visit.core.images(&listing.params()).await.or_page(visit)?;
    Ok(ImagesPage {
        layout: visit.layout("images", Section::Images, "Images").watching("image task vm volume"),
        refusal: Refusal(problem),
        pager: listing.pager("/images", &page, "image"),
        images: page.items,
        listing,
        form,
    })
}

/// `GET /images`
pub(crate) async fn show(visit: Visit, Query(listing): Query<Listing>) -> Answer {
    let listing = listing.with_views(&visit, hostd_types::ListName::Images).await?;
    let form = ImageForm { host: visit.core.host().to_string(), ..ImageForm::default() };
    Ok(answer(&page_of(&visit, listing, form, None).await?))
}

/// `POST /images`: multipart, the texts before the file. Scripts ask for JSON and get `{location}` or the problem.
pub(crate) async fn upload(visit: Visit, csrf: Csrf, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let json = wants_json(&parts);
    let multipart = Multipart::from_request(Request::from_parts(parts, body), &()).await;
    let (form, result) = match multipart {
        Ok(multipart) => receive(&visit, &csrf, multipart).await,
        Err(rejection) => {
            (ImageForm::default(), Err(Problem::new(ProblemKind::BadRequest, rejection.body_text())))
        }
    };
    match result {
        Ok(image) => {
            let said = Flash::good(format!("{} is uploaded and ready.", image.spec.name)).then("/images");
            if !json {
                return said;
            }
            let cookies: Vec<_> = said.headers().get_all(SET_COOKIE).iter().cloned().collect();
            let mut done =
                (StatusCode::OK, axum::Json(serde_json::json!({"location": "/images"}))).into_response();
            for cookie in cookies {
                done.headers_mut().append(SET_COOKIE, cookie);
            }
            done
        }
        Err(problem) if json => problem_json(&problem),
        Err(problem) if problem.kind == ProblemKind::Forbidden => visit.failed(problem).into_response(),
        Err(problem) => match page_of(&visit, Listing::default(), form, Some(problem)).await {
            Ok(page) => {
                debug_assert!(!page.status().is_success());
                answer(&page)
            }
            Err(error) => error.into_response(),
        },
    }
}

/// Reads the parts in their order; the file must come last.
async fn receive(
    visit: &Visit,
    csrf: &Csrf,
    mut multipart: Multipart,
) -> (ImageForm, Result<Image, Problem>) {
    let mut form = ImageForm::default();
    let mut size = None;
    let mut ctx = visit.ctx.clone();
    let mut token = String::new();
    loop {
        let field = match multipart.next_field().await {
            Ok(Some(field)) => field,
            Ok(None) => return (form, Err(Problem::field("/file", "Choose a file to upload."))),
            Err(error) => return (form, Err(cut(&error))),
        };
        let name = field.name().unwrap_or_default().to_owned();
        if name == "file" {
            if !csrf.matches(&token) {
                let said =
                    "The form was opened in another session. Go back, reload the page and send it again.";
                return (form, Err(Problem::new(ProblemKind::Forbidden, said)));
            }
            let file = field.file_name().unwrap_or_default().to_owned();
            if form.name.is_empty() {
                form.name = name_of(&file);
            }
            let host = match visit.frame.places.named(&form.host, visit.core.host()) {
                Ok(host) => host,
                Err(problem) => {
                    drain(field).await;
                    return (form, Err(problem));
                }
            };
            let request = UploadRequest {
                host: Some(host),
                name: form.name.clone(),
                description: form.description.clone(),
                announced_bytes: size,
                expected_sha256: Some(form.sha256.to_ascii_lowercase()).filter(|s| !s.is_empty()),
            };
            let result = match visit.core.upload(&ctx, request).await {
                Ok(upload) => feed(upload, field).await,
                Err(problem) => {
                    drain(field).await;
                    Err(problem)
                }
            };
            return (form, result);
        }
        let text = match short_text(field).await {
            Ok(text) => text,
            Err(problem) => return (form, Err(problem)),
        };
        match name.as_str() {
            "csrf" => token = text,
            "request" => ctx.request = text.parse().ok().or(ctx.request),
            "host" => form.host = text.trim().to_owned(),
            "name" => form.name = text.trim().to_owned(),
            "description" => form.description = crate::forms::choice::plain_breaks(&text),
            "sha256" => form.sha256 = text.trim().to_owned(),
            "size" => size = text.trim().parse().ok(),
            _ => {}
        }
    }
}

/// Hands the file's bytes on as they come.
async fn feed(mut upload: Upload, mut field: Field<'_>) -> Result<Image, Problem> {
    loop {
        match field.chunk().await {
            Ok(Some(chunk)) => {
                if let Err(problem) = upload.write(&chunk).await {
                    upload.fail(problem.clone()).await;
                    drain(field).await;
                    return Err(problem);
                }
            }
            Ok(None) => return upload.finish().await,
            Err(error) => {
                let problem = cut(&error);
                upload.fail(problem.clone()).await;
                return Err(problem);
            }
        }
    }
}

/// Reads on for a while and forgets it: a browser that is still sending shows no answer.
async fn drain(mut field: Field<'_>) {
    let mut seen = 0;
    while let Ok(Some(chunk)) = field.chunk().await {
        seen += chunk.len();
        if seen > DRAIN_MAX {
            return;
        }
    }
}

async fn short_text(mut field: Field<'_>) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| cut(&error))? {
        if bytes.len() + chunk.len() > TEXT_MAX {
            return Err(Problem::new(ProblemKind::BadRequest, "A field of the form is too long."));
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes)
        .map_err(|_| Problem::new(ProblemKind::BadRequest, "The form's text is not UTF-8."))
}

fn cut(error: &MultipartError) -> Problem {
    Problem::new(
        ProblemKind::BadRequest,
        format!("The upload was cut off ({}). Send it again.", error.body_text()),
    )
}

/// A name made of a file's: without directories and with characters a name may have.
fn name_of(file: &str) -> String {
    let base = file.rsplit(['/', '\\']).next().unwrap_or_default();
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    let name: String = base.chars().map(safe).take(hostd_types::name::NAME_MAX).collect();
    name.trim_start_matches(['.', '_', '-']).to_owned()
}

/// `POST /images/{id}/delete`
pub(crate) async fn delete(Path(id): Path<String>, submission: Submission) -> Response {
    match submission.visit.id::<ImageId>("image", &id) {
        Ok(id) => {
            let command = Command::Image(ImageCommand::Delete { id });
            submission.act(command, "/images", "The image is being deleted.").await
        }
        Err(error) => error.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_its_image() {
        for (file, name) in [
            ("debian-12.iso", "debian-12.iso"),
            ("C:\\Users\\me\\My disk (1).qcow2", "My-disk--1-.qcow2"),
            ("../../etc/passwd", "passwd"),
            (".hidden", "hidden"),
            ("", ""),
        ] {
            assert_eq!(name_of(file), name);
            assert!(name.is_empty() || hostd_types::name::check_name(name).is_ok());
        }
    }
}
