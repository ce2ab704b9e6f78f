//! Watching a task until it ends.

use super::{Session, Stop, output, size};
use crate::http::answer::Accepted;
use hostd_types::{Kind, Task, TaskId, TaskState};
use std::io::{IsTerminal, Write};

/// Follows the task of accepted work to its end, or prints its id when nobody wants to wait.
pub async fn accepted(session: &Session, accepted: Accepted) -> Result<(), Stop> {
    if session.wait {
        return task(session, accepted.task).await;
    }
    if session.json {
        output::say!("{}", serde_json::json!({"task": accepted.task, "id": accepted.id}));
    } else {
        output::say!("{}", accepted.task);
    }
    Ok(())
}

/// Follows a task to its end.
pub async fn task(session: &Session, id: TaskId) -> Result<(), Stop> {
    // The stream is open before the task is read, so its end can't be missed in between.
    let mut changes = session.client.changes().await?;
    loop {
        let answer: serde_json::Value = session.client.get(&format!("/api/v1/tasks/{id}")).await?;
        let task: Task = output::typed(answer.clone())?;
        match task.state {
            TaskState::Running => show_progress(&task),
            TaskState::Succeeded => {
                clear_progress();
                if session.json {
                    output::json(&answer);
                } else {
                    output::say!("{} {}: done", task.action, task.subject.name);
                }
                return Ok(());
            }
            TaskState::Failed { problem } => {
                clear_progress();
                if session.json {
                    output::json(&answer);
                }
                return Err(Stop::TaskFailed(problem));
            }
        }
        loop {
            match changes.next().await? {
                Some(change) if change.kind != Kind::Task || change.id != id.to_string() => {}
                Some(_) | None => break,
            }
        }
    }
}

fn show_progress(task: &Task) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let progress = match task.progress {
        Some(p) if p.total > 0 => {
            format!("{}%, {} of {}", p.done * 100 / p.total, size::shown(p.done), size::shown(p.total))
        }
        Some(p) => size::shown(p.done),
        None => "running".into(),
    };
    eprint!("\r\x1b[K{} {}: {progress}", task.action, task.subject.name);
    // A terminal that can't be written to needs no progress.
    let _ = std::io::stderr().flush();
}

fn clear_progress() {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
}
