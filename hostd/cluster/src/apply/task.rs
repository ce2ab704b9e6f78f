//! Tasks: started and ended by other commands; cancelled and pruned by their own.

use super::scope::Scope;
use super::{Done, Step};
use crate::error::StateError;
use crate::rows::millis;
use crate::schema;
use hostd_types::command::TaskCommand;
use hostd_types::*;
use rusqlite::{OptionalExtension, params};

pub(crate) fn apply(scope: &mut Scope<'_>, command: &TaskCommand) -> Step<Done> {
    match command {
        TaskCommand::Cancel { id } => cancel(scope, *id),
        TaskCommand::Tell { task, detail } => tell(scope, task, detail),
        TaskCommand::Prune { before } => prune(scope, *before),
    }
}

fn tell(scope: &mut Scope<'_>, task: &Task, detail: &str) -> Step<Done> {
    if scope.task(task.id)?.is_none() {
        scope.write_task(task)?;
    }
    let result = match &task.state {
        TaskState::Running | TaskState::Succeeded => EventResult::Ok,
        TaskState::Failed { .. } => EventResult::Failed,
    };
    scope.event(task.action.clone(), Some(&task.subject), result, detail)?;
    Ok(Done::started(task.id, task.subject.clone()))
}

fn cancel(scope: &mut Scope<'_>, id: TaskId) -> Step<Done> {
    let mut task = scope.task(id)?.ok_or_else(|| Problem::not_found("task", id))?;
    if task.state != TaskState::Running {
        return Err(Problem::wrong_state("The task has ended; there is nothing to cancel.").into());
    }
    task.cancelling = true;
    scope.write_task(&task)?;
    scope.accepted(&task.subject, format!("cancel {}", task.action))?;
    Ok(Done::about(task.subject))
}

fn prune(scope: &mut Scope<'_>, before: Timestamp) -> Step<Done> {
    let (before_ms, now) = (millis(before), millis(scope.entry.at));
    let tasks = scope.db.execute("DELETE FROM task WHERE ended < ?1", [before_ms])?;
    let events = scope.db.execute("DELETE FROM event WHERE at < ?1", [before_ms])?;
    let ended = |table: &str| -> Step<Vec<String>> {
        let sql = format!("DELETE FROM {table} WHERE expires <= ?1 RETURNING id");
        let mut gone = scope.db.prepare(&sql)?;
        let mut ids = gone.query_map([now], |r| r.get(0))?.collect::<Result<Vec<String>, _>>()?;
        ids.sort_unstable();
        Ok(ids)
    };
    let (sessions, tokens) = (ended("session")?, ended("token")?);
    let mut detail = format!(
        "removed {tasks} tasks and {events} events older than {before}, {} ended sessions and {} ended tokens",
        sessions.len(),
        tokens.len()
    );
    if scope.cluster()?.is_some() {
        // Until then they tell who joined with them.
        let joins = scope.db.execute("DELETE FROM join_token WHERE expires < ?1", [before_ms])?;
        detail = format!("{detail}, {joins} ended join tokens");
    }
    if schema::level(scope.db)? >= LIFE {
        let links = ended("console_link")?;
        detail = format!("{detail}, {} ended console links", links.len());
        links.into_iter().for_each(|id| scope.changed(Kind::ConsoleLink, id));
    }
    for id in sessions {
        scope.changed(Kind::Session, id);
    }
    for id in tokens {
        scope.changed(Kind::Token, id);
    }
    scope.event(scope.entry.command.name(), None, EventResult::Ok, detail)?;
    Ok(Done { task: None, subject: None })
}

impl Scope<'_> {
    /// Starts this command's task.
    pub(crate) fn start_task(&mut self, subject: &Subject, host: HostId) -> Step {
        let task = Task {
            id: self.entry.task,
            action: self.entry.command.name(),
            subject: subject.clone(),
            host,
            state: TaskState::Running,
            created_by: self.entry.by.clone(),
            created_at: self.entry.at,
            ended_at: None,
            cancelling: false,
            progress: None,
        };
        if self.task(task.id)?.is_some() {
            return Err(Problem::new(ProblemKind::Conflict, "A task with this id is there already.").into());
        }
        self.write_task(&task)
    }

    /// Ends a task unless it is gone or has ended; tells the action of a task that ended now.
    pub(crate) fn end_task(&mut self, id: TaskId, problem: Option<Problem>) -> Step<Option<String>> {
        let Some(mut task) = self.task(id)? else { return Ok(None) };
        if task.state != TaskState::Running {
            return Ok(None);
        }
        task.state = match problem {
            None => TaskState::Succeeded,
            Some(problem) => TaskState::Failed { problem },
        };
        task.ended_at = Some(self.entry.at);
        self.write_task(&task)?;
        Ok(Some(task.action))
    }

    /// Ends a task because something else took its place.
    pub(crate) fn cancel_task(&mut self, id: TaskId, by: &str) -> Step {
        self.end_task(id, Some(Problem::new(ProblemKind::Cancelled, format!("replaced by {by}"))))?;
        Ok(())
    }

    /// The running task that does `action` to the resource `subject`.
    pub(crate) fn running_task(&self, subject: impl ToString, action: &str) -> Step<Option<TaskId>> {
        let id: Option<String> = self
            .db
            .prepare_cached(
                "SELECT id FROM task WHERE subject = ?1 AND state = 'running' AND action = ?2 ORDER BY id LIMIT 1",
            )?
            .query_row(params![subject.to_string(), action], |r| r.get(0))
            .optional()?;
        Ok(id.map(|id| id.parse()).transpose().map_err(StateError::from)?)
    }

    /// Ends the running task that does `action` to the resource `subject`, if there is one.
    pub(crate) fn end_running(
        &mut self,
        subject: impl ToString,
        action: &str,
        problem: Option<Problem>,
    ) -> Step {
        if let Some(id) = self.running_task(subject, action)? {
            self.end_task(id, problem)?;
        }
        Ok(())
    }

    fn task(&self, id: TaskId) -> Step<Option<Task>> {
        let body: Option<String> = self
            .db
            .prepare_cached("SELECT body FROM task WHERE id = ?1")?
            .query_row([id.to_string()], |r| r.get(0))
            .optional()?;
        Ok(body.map(|b| serde_json::from_str(&b)).transpose().map_err(StateError::from)?)
    }

    fn write_task(&mut self, task: &Task) -> Step {
        let body = serde_json::to_string(task).map_err(StateError::from)?;
        self.db
            .prepare_cached(
                "INSERT INTO task (id, action, subject, name, host, state, created, ended, body) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
                 ON CONFLICT (id) DO UPDATE SET state = ?6, ended = ?8, body = ?9",
            )?
            .execute(params![
                task.id.to_string(),
                task.action,
                task.subject.id,
                task.subject.name,
                task.host.to_string(),
                task.state.as_str(),
                millis(task.created_at),
                task.ended_at.map(millis),
                body
            ])?;
        self.changed(Kind::Task, task.id);
        Ok(())
    }
}
