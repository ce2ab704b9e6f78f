//! The site of a host that can't work: every address names the fault, and nothing else is served.

use crate::http::problem::ProblemDetails;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hostd_types::Problem;
use std::sync::Arc;

/// A site that answers everything with `problem`: pages to browsers, problem+json to programs.
pub fn site(problem: Problem) -> Router {
    Router::new().fallback(answer).with_state(Arc::new(problem))
}

async fn answer(State(problem): State<Arc<Problem>>, request: Request) -> Response {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    if request.uri().path().starts_with("/api/") {
        let details = ProblemDetails::new(&problem, status, "");
        let body = serde_json::to_string(&details).unwrap_or_default();
        return (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
    }
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page(&problem.detail)).into_response()
}

fn page(detail: &str) -> String {
    let head = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
        <meta name=\"viewport\" content=\"width=device-width\"><title>Quantix can't start</title>\
        <main data-page=\"error\"><h1>Quantix can't start</h1><p role=\"alert\">";
    let tail = "</p><p>Nothing was changed, and nobody can log in on this host until the cause is removed. If a disk is \
        missing, attach it. If its data is damaged, boot a rescue system, repair the partition named data there with \
        <code>e2fsck -f /dev/DISK1</code> (a copy of the disk first), then start this host again.</p></main></html>\n";
    [head, &escape(detail), tail].concat()
}

fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
        out
    })
}
