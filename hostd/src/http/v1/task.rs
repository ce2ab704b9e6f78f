//! `/api/v1/tasks`

use crate::http::answer::Answer;
use crate::http::body::{Id, Params};
use crate::http::problem::Refusals;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use hostd_core::Core;
use hostd_edge::Who;
use hostd_types::command::{Command, TaskCommand};
use hostd_types::{ListParams, Page, Task, TaskId};

/// Tasks, newest first
#[utoipa::path(get, path = "/api/v1/tasks", tag = "tasks", params(ListParams), responses(
    (status = 200, body = Page<Task>), Refusals))]
pub async fn list_tasks(
    State(core): State<Core>,
    Params(list): Params<ListParams>,
) -> Answer<Json<Page<Task>>> {
    Ok(Json(core.tasks(&list).await?))
}

/// One task
#[utoipa::path(get, path = "/api/v1/tasks/{id}", tag = "tasks", params(("id" = TaskId, Path)), responses(
    (status = 200, body = Task), Refusals))]
pub async fn get_task(State(core): State<Core>, Id(id): Id<TaskId>) -> Answer<Json<Task>> {
    Ok(Json(core.task(id).await?))
}

/// Ask a running task to stop; it ends when what it had begun is undone
#[utoipa::path(post, path = "/api/v1/tasks/{id}/cancel", tag = "tasks", params(("id" = TaskId, Path)), responses(
    (status = 202, body = Task), Refusals))]
pub async fn cancel_task(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<TaskId>,
) -> Answer<(StatusCode, Json<Task>)> {
    core.submit(&ctx, Command::Task(TaskCommand::Cancel { id })).await?;
    Ok((StatusCode::ACCEPTED, Json(core.task(id).await?)))
}
