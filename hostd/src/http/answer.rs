//! What handlers answer when all is well.

use super::problem::Fault;
use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hostd_types::{Outcome, Problem, ProblemKind, TaskId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A handler's answer.
pub type Answer<T> = Result<T, Fault>;

/// Work was accepted and goes on in a task (`202`, with `Location: /api/v1/tasks/{id}`).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// The task to watch.
    pub task: TaskId,
    /// Id of what it is about.
    pub id: String,
}

impl TryFrom<Outcome> for Accepted {
    type Error = Fault;

    fn try_from(outcome: Outcome) -> Result<Self, Fault> {
        match (outcome.task, outcome.subject) {
            (Some(task), Some(subject)) => Ok(Self { task, id: subject.id }),
            (None, _) | (_, None) => {
                tracing::error!(
                    index = outcome.index,
                    "a command that starts work answered without its task"
                );
                Err(Problem::new(ProblemKind::Internal, "The work was accepted, but its task is not known.")
                    .into())
            }
        }
    }
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        let location = format!("/api/v1/tasks/{}", self.task);
        let location = HeaderValue::from_str(&location).unwrap_or(HeaderValue::from_static("/api/v1/tasks"));
        (StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(self)).into_response()
    }
}

/// A body with `ETag: "<generation>"`, for `If-Match` on a later change. It marks the spec alone: the status may change
/// under the same tag, so it is no validator for caches.
pub struct Tagged<T>(pub u64, pub T);

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let tag = HeaderValue::from_str(&format!("\"{}\"", self.0)).unwrap_or(HeaderValue::from_static("*"));
        ([(header::ETAG, tag)], Json(self.1)).into_response()
    }
}

/// The generation a change insists on: `If-Match: "3"`. Absent and `*` insist on none.
///
/// # Errors
/// The header holds something else.
pub fn expected_generation(headers: &HeaderMap) -> Result<Option<u64>, Fault> {
    let Some(given) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = given.to_str().unwrap_or("").trim();
    if text == "*" {
        return Ok(None);
    }
    let number = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).and_then(|t| t.parse().ok());
    number.map(Some).ok_or_else(|| {
        let detail = "If-Match must be the ETag of an earlier answer, such as \"3\", quotes included.";
        Fault::unreadable(StatusCode::BAD_REQUEST, detail)
    })
}

/// The refusal of a change: when a generation was insisted on and the resource moved on, HTTP's own 412.
pub fn refused(problem: Problem, expected: Option<u64>) -> Fault {
    if expected.is_some() && problem.kind == ProblemKind::Conflict {
        return Fault::with_status(problem, StatusCode::PRECONDITION_FAILED);
    }
    problem.into()
}
