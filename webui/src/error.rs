//! A `Problem` as a page: what happened, in the same words as the API, and a way out.

use crate::filters;
use crate::page::{Page, answer};
use crate::visit::{Frame, Layout, Section, Theme, Visit};
use askama::Template;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use hostd_types::{Problem, ProblemKind};

/// The error page.
#[derive(Template)]
#[template(path = "error.html")]
pub(crate) struct ErrorPage {
    /// Surroundings.
    pub(crate) layout: Layout,
    /// What happened.
    pub(crate) problem: Problem,
}

impl ErrorPage {
    /// Status and short title, as HTTP has them.
    fn status_code(&self) -> u16 {
        self.problem.kind.status()
    }
    /// The next step besides going back.
    fn way_out(&self) -> (&'static str, &'static str) {
        match self.problem.kind {
            ProblemKind::NotFound => ("/vms", "All machines"),
            ProblemKind::Unavailable | ProblemKind::Capacity => ("/host", "Look at the host"),
            ProblemKind::Unauthenticated => ("/login", "Log in"),
            ProblemKind::Removed | ProblemKind::NoQuorum => ("/cluster", "Look at the cluster"),
            ProblemKind::Exists
            | ProblemKind::Invalid
            | ProblemKind::Forbidden
            | ProblemKind::WrongState
            | ProblemKind::Conflict
            | ProblemKind::TooMany
            | ProblemKind::BadRequest
            | ProblemKind::Unsupported
            | ProblemKind::Cancelled
            | ProblemKind::Internal => ("/", "Overview"),
        }
    }
}

impl Page for ErrorPage {
    fn layout(&self) -> &Layout {
        &self.layout
    }
    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.problem.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// A page that could not be shown.
pub(crate) struct PageError {
    problem: Problem,
    frame: Box<Frame>,
}

impl PageError {
    /// The problem in the frame of the page that met it.
    pub(crate) fn framed(problem: Problem, frame: Frame) -> Self {
        Self { problem, frame: Box::new(frame) }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        if self.problem.kind == ProblemKind::Unauthenticated {
            return to_login(&self.frame.path);
        }
        let retry_after = self.problem.retry_after;
        let layout = self.frame.layout("error", Section::None, self.problem.kind.title());
        let mut response = answer(&ErrorPage { layout, problem: self.problem });
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The login page, which leads back to `path`.
pub(crate) fn to_login(path: &str) -> Response {
    let next = match path {
        "/" | "" => "/login".to_owned(),
        other => format!("/login?next={}", query_value(other)),
    };
    Redirect::to(&next).into_response()
}

/// `text` as the value of a query parameter.
pub(crate) fn query_value(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// How the edge's refusals look: the login page for a lost session, a problem document for scripts, else a page.
pub(crate) fn refuse(parts: &Parts, problem: Problem) -> Response {
    if wants_json(parts) {
        return problem_json(&problem);
    }
    let mut frame = Frame::anonymous(parts);
    if parts.method != Method::GET {
        // The form can't be sent again by a redirect; the page it stands on can.
        frame.path = "/".into();
    }
    PageError::framed(problem, frame).into_response()
}

/// The script that sent this reads JSON.
pub(crate) fn wants_json(parts: &Parts) -> bool {
    let accept = parts.headers.get(header::ACCEPT).and_then(|v| v.to_str().ok());
    accept.is_some_and(|a| a.starts_with("application/json"))
}

/// The problem for our own scripts, in the API's form.
pub(crate) fn problem_json(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::json!({
        "title": problem.kind.title(), "status": status.as_u16(), "detail": problem.detail, "errors": problem.errors,
    });
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}

/// Any path nobody knows.
pub(crate) async fn not_found(visit: Visit) -> PageError {
    let path = visit.frame.path.split('?').next().unwrap_or_default();
    visit.failed(Problem::new(ProblemKind::NotFound, format!("There is no page {path}.")))
}
