//! `qx task` and `qx event`

use super::{Session, Stop, follow, output};
use clap::Subcommand;
use hostd_types::{Event, ListParams, Task, TaskId, TaskState};
use hyper::Method;
use serde_json::Value;

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List tasks, newest first
    List {
        /// Only this state: running, succeeded, failed
        #[arg(long)]
        state: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show one
    Show { id: TaskId },
    /// Ask a running one to stop, and wait for that
    Cancel { id: TaskId },
    /// Wait for one to end
    Wait { id: TaskId },
}

#[derive(Debug, Subcommand)]
pub enum EventVerb {
    /// List events, newest first
    List {
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
}

pub async fn run(session: &Session, verb: Verb) -> Result<(), Stop> {
    match verb {
        Verb::List { state, limit } => {
            let params = ListParams { limit: Some(limit), state, ..ListParams::default() };
            let page = output::list(session, "tasks", &params).await?;
            output::page(session, page, ["STATE", "ACTION", "ABOUT", "BEGUN", "ID"], |task: Task| {
                let state = task.state.as_str().to_owned();
                [state, task.action, task.subject.name, task.created_at.to_string(), task.id.to_string()]
            })
        }
        Verb::Show { id } => {
            let answer: Value = session.client.get(&format!("/api/v1/tasks/{id}")).await?;
            show(session, answer)
        }
        Verb::Cancel { id } => {
            let path = format!("/api/v1/tasks/{id}/cancel");
            let _: Value = session.client.ask(Method::POST, &path, None::<&()>).await?;
            if !session.wait {
                return Ok(());
            }
            // A cancelled task ends as failed, which is what was asked for here.
            match follow::task(session, id).await {
                Err(Stop::TaskFailed(problem)) => {
                    output::say!("{}", problem.detail);
                    Ok(())
                }
                other => other,
            }
        }
        Verb::Wait { id } => follow::task(session, id).await,
    }
}

fn show(session: &Session, answer: Value) -> Result<(), Stop> {
    if session.json {
        output::json(&answer);
        return Ok(());
    }
    let task: Task = output::typed(answer)?;
    output::facts([
        ("Id", task.id.to_string()),
        ("Action", task.action.clone()),
        ("About", format!("{} {}", task.subject.kind.as_str(), task.subject.name)),
        ("State", task.state.as_str().into()),
        ("By", task.created_by.to_string()),
        ("Begun", task.created_at.to_string()),
        ("Ended", task.ended_at.map(|t| t.to_string()).unwrap_or_else(|| "not yet".into())),
    ]);
    if let TaskState::Failed { problem } = task.state {
        output::facts([("Because", problem.detail)]);
    }
    Ok(())
}

pub async fn run_event(session: &Session, verb: EventVerb) -> Result<(), Stop> {
    match verb {
        EventVerb::List { limit } => {
            let params = ListParams { limit: Some(limit), ..ListParams::default() };
            let page = output::list(session, "events", &params).await?;
            output::page(session, page, ["AT", "BY", "ACTION", "ABOUT", "DETAIL"], |event: Event| {
                let about = event.subject.map(|s| s.name).unwrap_or_default();
                [event.at.to_string(), event.by.to_string(), event.action, about, event.detail]
            })
        }
    }
}
