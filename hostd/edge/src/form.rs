//! Forms of pages.

use crate::Refuse;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use hostd_types::{Problem, ProblemKind, RequestId};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Most bytes of a URL-encoded form: user-data and network configuration at their longest, each byte escaped, and room for
/// the rest.
const FORM_MAX: usize = 512 * 1024;

/// Extractor: the fields of a URL-encoded form, after the door checked its `csrf` field. The hidden field `request` (a
/// UUID made with the page) became the `request` of [`crate::Who`], so that sending the form twice acts once.
/// For repeated fields (a batch of checkboxes) take `PageForm<Vec<(String, String)>>`.
#[derive(Debug, Clone)]
pub struct PageForm<T>(pub T);

/// The hidden fields every form of a page carries.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Hidden {
    #[serde(default)]
    pub csrf: String,
    #[serde(default)]
    pub request: Option<RequestId>,
}

/// The body of a form the door has read already.
#[derive(Clone)]
pub(crate) struct Read {
    body: Bytes,
    refuse: Refuse,
}

/// The request is a URL-encoded form.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    kind.split(';').next().is_some_and(|k| k.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// The request is a multipart form; its handler checks the `csrf` part.
pub(crate) fn is_multipart(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    kind.split(';').next().is_some_and(|k| k.trim().eq_ignore_ascii_case("multipart/form-data"))
}

/// Reads a form's body and hidden fields and leaves the body for the handler.
pub(crate) async fn read(parts: &mut Parts, body: Body, refuse: Refuse) -> Result<(Hidden, Body), Problem> {
    let bytes = to_bytes(body, FORM_MAX).await.map_err(|_| {
        Problem::new(
            ProblemKind::BadRequest,
            "The form is too large or was cut off; shorten it and send it again.",
        )
    })?;
    let hidden = serde_urlencoded::from_bytes(&bytes).map_err(|_| {
        Problem::new(ProblemKind::BadRequest, "The form can't be read; reload the page and send it again.")
    })?;
    parts.extensions.insert(Read { body: bytes.clone(), refuse });
    Ok((hidden, Body::from(bytes)))
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for PageForm<T> {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let (parts, _) = request.into_parts();
        let Some(read) = parts.extensions.get::<Read>() else {
            return Err(axum::response::IntoResponse::into_response(
                axum::http::StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ));
        };
        serde_urlencoded::from_bytes(&read.body).map(PageForm).map_err(|error| {
            let detail = format!("The form can't be read ({error}); reload the page and send it again.");
            (read.refuse)(&parts, Problem::new(ProblemKind::BadRequest, detail))
        })
    }
}
