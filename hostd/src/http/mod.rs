//! The HTTP API: parse, submit, answer.
//!
//! A handler extracts, converts to a command or query, and calls the core; it holds no rule of the product. Everything
//! is registered through `hostd_edge::Routes`, so every route states who may use it and every documented route is in the
//! OpenAPI document. Refusals of handlers, extractors and axum itself leave as one shape, see [`problem`].

pub mod answer;
pub mod body;
pub mod console;
pub mod credential;
pub mod layers;
pub mod openapi;
pub mod problem;
pub mod stream;
mod unknown;
pub mod v1;

use axum::Router;
use axum::extract::Request;
use axum::routing::{any, get};
use hostd_core::Core;
use hostd_edge::{Access, Routes};
use hostd_types::{Problem, ProblemKind};
use problem::Fault;
use std::sync::OnceLock;

/// The API as a plan: every route, its access rule and its documentation.
pub fn plan() -> Routes<()> {
    v1::add_all(Routes::api(problem::refuse, openapi::head()))
        .add("/api/v1/openapi.json", Access::Signed, get(openapi::serve))
        .add("/api/{*rest}", Access::Signed, any(nothing_here))
}

/// The API, mounted at `/api`.
pub fn router(core: Core) -> Router {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let plan = plan();
    let document = DOCUMENT.get_or_init(|| openapi::text(plan.openapi()));
    plan.with(core)
        .finish()
        .layer(axum::Extension(openapi::Document(document)))
        .layer(axum::middleware::from_fn(problem::complete))
}

async fn nothing_here(request: Request) -> Fault {
    let detail =
        format!("There is nothing at {}; /api/v1/openapi.json lists what there is.", request.uri().path());
    Problem::new(ProblemKind::NotFound, detail).into()
}
