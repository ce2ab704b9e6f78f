//! Reads of tasks and events.

use super::list::{self, Listing};
use super::{Store, body};
use crate::error::read_failed;
use crate::remembered::Remembered;
use crate::rows::{Sort, integer, text};
use hostd_types::*;

const TASK_SORTS: &[Sort] =
    &[integer("created", "created"), text("name", "name"), text("state", "state"), text("action", "action")];
const EVENT_SORTS: &[Sort] = &[integer("created", "seq")];

impl Store {
    /// One task; its progress is known to the host that does the work.
    pub async fn task(&self, id: TaskId) -> Result<Option<Task>, Problem> {
        let row = sqlx::query("SELECT body FROM task WHERE id = ?")
            .bind(id.to_string())
            .fetch_optional(&self.0)
            .await
            .map_err(read_failed)?;
        row.as_ref().map(|row| body(row, 0)).transpose()
    }

    /// A page of tasks, newest first. Orders: created, name, state, action. `state` is a `TaskState::as_str`, `q` is part of
    /// the subject's name.
    pub async fn tasks(&self, list: &ListParams) -> Result<Page<Task>, Problem> {
        let listing = Listing {
            table: "task",
            columns: "body",
            key: "id",
            state: Some("state"),
            host: Some("host"),
            tags: false,
            folders: false,
            sorts: TASK_SORTS,
            newest_first: true,
            only: None,
        };
        let found = list::page(&self.0, &listing, list).await?;
        let items = found.rows.iter().map(|row| body(row, 0)).collect::<Result<_, _>>()?;
        Ok(Page { items, total: found.total, next: found.next })
    }

    /// What a request asked for and did, if it acted lately (requests are remembered for a quarter of an hour).
    pub async fn remembered(&self, request: RequestId) -> Result<Option<Remembered>, Problem> {
        let row = sqlx::query(
            "SELECT outcome FROM request WHERE id = ? AND json_extract(outcome, '$.refused') IS NULL",
        )
        .bind(request.to_string())
        .fetch_optional(&self.0)
        .await
        .map_err(read_failed)?;
        row.as_ref().map(|row| body(row, 0)).transpose()
    }

    /// The tasks that run on a host, oldest first.
    pub async fn running_tasks_on(&self, host: HostId) -> Result<Vec<Task>, Problem> {
        let sql = "SELECT body FROM task WHERE state = 'running' AND host = ? ORDER BY created, id";
        let rows = sqlx::query(sql).bind(host.to_string()).fetch_all(&self.0).await.map_err(read_failed)?;
        rows.iter().map(|row| body(row, 0)).collect()
    }

    /// A page of events, newest first; `subject` = id text of one resource. Order: created. `state` is a result's name
    /// (`ok`, `refused`, `failed`, `observed`), `q` is part of the subject's name.
    pub async fn events(&self, list: &ListParams, subject: Option<&str>) -> Result<Page<Event>, Problem> {
        let listing = Listing {
            table: "event",
            columns: "body",
            key: "seq",
            state: Some("result"),
            host: None,
            tags: false,
            folders: false,
            sorts: EVENT_SORTS,
            newest_first: true,
            only: subject.map(|id| ("subject", id)),
        };
        let found = list::page(&self.0, &listing, list).await?;
        let items = found.rows.iter().map(|row| body(row, 0)).collect::<Result<_, _>>()?;
        Ok(Page { items, total: found.total, next: found.next })
    }
}
