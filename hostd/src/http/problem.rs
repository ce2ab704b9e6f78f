//! Problems as they leave the API: RFC 9457 `application/problem+json`, always in the same shape.

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hostd_types::{FieldError, Problem, ProblemKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::openapi::response::Response as Documented;
use utoipa::openapi::{Content, Ref, RefOr, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

/// A problem on the wire (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProblemDetails {
    /// Page that explains this kind of problem; its last part is a stable slug: `/help/problems#not-found`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Short title of the kind.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened, in a sentence, with the way out.
    pub detail: String,
    /// Id of the request, as in the header `X-Request-Id` and in the host's log.
    #[serde(default)]
    pub instance: String,
    /// Wrong fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

impl ProblemDetails {
    /// `problem` as answered with `status` to the request `instance`.
    pub fn new(problem: &Problem, status: StatusCode, instance: &str) -> Self {
        Self {
            kind: format!("/help/problems#{}", problem.kind.slug()),
            title: problem.kind.title().to_owned(),
            status: status.as_u16(),
            detail: problem.detail.clone(),
            instance: instance.to_owned(),
            errors: problem.errors.clone(),
        }
    }
}

/// What a handler answers when it can't do what was asked: a problem, and the HTTP status if it is not its kind's own.
#[derive(Debug, Clone)]
pub struct Fault {
    problem: Problem,
    status: Option<StatusCode>,
}

impl Fault {
    /// `problem` with the status HTTP has for exactly this (405, 412, 413, 415).
    pub fn with_status(problem: Problem, status: StatusCode) -> Self {
        Self { problem, status: Some(status) }
    }

    /// The request can't be read, for the reason `status` names.
    pub fn unreadable(status: StatusCode, detail: impl Into<String>) -> Self {
        Self::with_status(Problem::new(ProblemKind::BadRequest, detail), status)
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self { problem, status: None }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let own =
            StatusCode::from_u16(self.problem.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = self.status.unwrap_or(own).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The door's refusals.
pub fn refuse(_: &Parts, problem: Problem) -> Response {
    Fault::from(problem).into_response()
}

/// Writes the body of a fault once the request's id is known.
pub async fn complete(request: Request, next: Next) -> Response {
    let tag = request.extensions().get::<hostd_edge::RequestTag>().map(|t| t.0.clone()).unwrap_or_default();
    let mut response = next.run(request).await;
    let Some(fault) = response.extensions_mut().remove::<Fault>() else { return response };
    let details = ProblemDetails::new(&fault.problem, response.status(), &tag);
    let body = serde_json::to_vec(&details).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    if let Some(seconds) = fault.problem.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    *response.body_mut() = Body::from(body);
    response
}

/// For the API document: every operation may be refused.
pub enum Refusals {}

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Documented>> {
        let told = |what: &str| {
            let content = Content::new(Some(Ref::from_schema_name("ProblemDetails")));
            RefOr::T(
                ResponseBuilder::new().description(what).content("application/problem+json", content).build(),
            )
        };
        BTreeMap::from([
            ("4XX".to_owned(), told("Refused; the problem says why and what to do.")),
            ("5XX".to_owned(), told("The host could not do it at this moment.")),
        ])
    }
}
