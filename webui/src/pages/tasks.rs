//! Tasks: what is under way, and what became of the rest.

use super::Answer;
use crate::filters;
use crate::listing::{Listing, Pager};
use crate::page::{answer, page};
use crate::submission::Submission;
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Response};
use hostd_types::command::TaskCommand;
use hostd_types::{Command, ListParams, PAGE_MAX, Task, TaskId, TaskState};

/// The list.
#[derive(Template)]
#[template(path = "tasks.html")]
pub(crate) struct TasksPage {
    pub(crate) layout: Layout,
    /// Running ones, whatever page is shown.
    pub(crate) running: Vec<Task>,
    /// The rest, newest first.
    pub(crate) tasks: Vec<Task>,
    pub(crate) listing: Listing,
    pub(crate) pager: Pager,
}
page!(TasksPage);

/// One task.
#[derive(Template)]
#[template(path = "task.html")]
pub(crate) struct TaskPage {
    pub(crate) layout: Layout,
    pub(crate) task: Task,
}
page!(TaskPage);

/// `GET /tasks`
pub(crate) async fn show(visit: Visit, Query(listing): Query<Listing>) -> Answer {
    let listing = listing.with_views(&visit, hostd_types::ListName::Tasks).await?;
    let page = visit.core.tasks(&listing.params()).await.or_page(&visit)?;
    let pager = listing.pager("/tasks", &page, "task");
    let on_top = listing.state.is_empty() && listing.cursor.is_empty();
    let (running, tasks) = if on_top {
        let all = ListParams { state: Some("running".into()), limit: Some(PAGE_MAX), ..listing.params() };
        let running = visit.core.tasks(&all).await.or_page(&visit)?.items;
        let ended = page.items.into_iter().filter(|t| t.state != TaskState::Running).collect();
        (running, ended)
    } else {
        (Vec::new(), page.items)
    };
    let layout = visit.layout("tasks", Section::Tasks, "Tasks").watching("task");
    Ok(answer(&TasksPage { layout, running, tasks, listing, pager }))
}

/// `GET /tasks/{id}`
pub(crate) async fn show_one(visit: Visit, Path(id): Path<String>) -> Answer {
    let id: TaskId = visit.id("task", &id)?;
    let task = visit.core.task(id).await.or_page(&visit)?;
    let title = format!("{} · Task", crate::wording::action(&task.action));
    let layout = visit.layout("task", Section::Tasks, title).watching(format!("task:{id}"));
    Ok(answer(&TaskPage { layout, task }))
}

/// `POST /tasks/{id}/cancel`
pub(crate) async fn cancel(Path(id): Path<String>, submission: Submission) -> Response {
    match submission.visit.id::<TaskId>("task", &id) {
        Ok(id) => {
            let command = Command::Task(TaskCommand::Cancel { id });
            submission.act(command, &format!("/tasks/{id}"), "The task was asked to stop.").await
        }
        Err(error) => error.into_response(),
    }
}
