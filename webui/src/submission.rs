//! A form that was sent, with its fields; the edge has proved that it comes from our own page.

use crate::fields::Fields;
use crate::flash::Flash;
use crate::visit::Visit;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use hostd_core::Core;
use hostd_edge::PageForm;
use hostd_types::{Command, Outcome, Problem, ProblemKind};

/// One sent form.
pub(crate) struct Submission {
    /// Who sent it; its request id is the form's hidden one.
    pub(crate) visit: Visit,
    /// What was sent.
    pub(crate) fields: Fields,
}

impl Submission {
    /// Submits `command` under the form's request id.
    pub(crate) async fn submit(&self, command: Command) -> Result<Outcome, Problem> {
        self.visit.core.submit(&self.visit.ctx, command).await
    }
    /// Where a refused button leads: back to `path` with the reason, or to the error page when there is no going on.
    pub(crate) fn refused(&self, path: &str, problem: Problem) -> Response {
        match problem.kind {
            ProblemKind::Exists
            | ProblemKind::Invalid
            | ProblemKind::WrongState
            | ProblemKind::Conflict
            | ProblemKind::Capacity
            | ProblemKind::TooMany
            | ProblemKind::Unsupported
            | ProblemKind::Cancelled
            | ProblemKind::NoQuorum
            | ProblemKind::Removed
            | ProblemKind::Unavailable => Flash::bad(&problem).then(path),
            ProblemKind::NotFound
            | ProblemKind::Unauthenticated
            | ProblemKind::Forbidden
            | ProblemKind::BadRequest
            | ProblemKind::Internal => self.visit.failed(problem).into_response(),
        }
    }
    /// Submits a button's command: 303 to `path` with `said` and the task, or with the reason of the refusal.
    pub(crate) async fn act(&self, command: Command, path: &str, said: impl Into<String>) -> Response {
        match self.submit(command).await {
            Ok(outcome) => Flash::accepted(said, &outcome).then(path),
            Err(problem) => self.refused(path, problem),
        }
    }
}

impl FromRequest<Core> for Submission {
    type Rejection = Response;
    async fn from_request(request: Request, core: &Core) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let visit = Visit::from_request_parts(&mut parts, core).await?;
        let PageForm(pairs) = PageForm::from_request(Request::from_parts(parts, body), core).await?;
        Ok(Self { visit, fields: Fields::new(pairs) })
    }
}
