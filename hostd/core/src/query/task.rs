//! Reads of tasks and events.

use super::found;
use crate::federation::Ask;
use crate::{Changes, Core};
use hostd_types::*;

impl Core {
    /// A page of tasks; those of this host carry their progress. What was begun here while the host is cut off, and is not
    /// told to the others yet, is on top of the first page.
    ///
    /// # Errors
    /// When the state can't be read or the list's parameters are wrong.
    pub async fn tasks(&self, list: &ListParams) -> Result<Page<Task>, Problem> {
        let mut page = self.store().tasks(list).await?;
        for task in &mut page.items {
            task.progress = self.0.live.progress(task.id);
        }
        let untold = self.0.isolated_vms.tasks();
        let asked = |task: &Task| {
            list.state.as_deref().is_none_or(|state| task.state.as_str() == state)
                && list.host.is_none_or(|host| task.host == host)
                && list
                    .q
                    .as_deref()
                    .is_none_or(|q| task.subject.name.to_lowercase().contains(&q.to_lowercase()))
        };
        // One that was just told is a row already.
        let untold: Vec<Task> = untold
            .into_iter()
            .filter(|task| asked(task) && page.items.iter().all(|row| row.id != task.id))
            .collect();
        page.total += untold.len() as u64;
        if list.cursor.is_none() {
            page.items.splice(0..0, untold);
        }
        Ok(page)
    }

    /// One task with its progress, when its host tells it.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn task(&self, id: TaskId) -> Result<Task, Problem> {
        if let Some(task) = self.0.isolated_vms.task(id) {
            return Ok(task);
        }
        let mut task = found(self.store().task(id).await?, "task", id)?;
        task.progress = match task.state {
            TaskState::Running if task.host != self.host() => {
                self.seen_there(task.host, &Ask::Progress(id)).await.flatten()
            }
            TaskState::Running | TaskState::Succeeded | TaskState::Failed { .. } => self.0.live.progress(id),
        };
        Ok(task)
    }

    /// A page of events, of one resource when `subject` names its id.
    ///
    /// # Errors
    /// When the state can't be read or the list's parameters are wrong.
    pub async fn events(&self, list: &ListParams, subject: Option<&str>) -> Result<Page<Event>, Problem> {
        self.store().events(list, subject).await
    }

    /// When the oldest event happened.
    pub(crate) async fn oldest_event(&self) -> Result<Option<Timestamp>, Problem> {
        let list = ListParams { limit: Some(1), sort: Some("created".into()), ..ListParams::default() };
        Ok(self.store().events(&list, None).await?.items.first().map(|event| event.at))
    }

    /// Changes of the state (after commit) and volatile ones (`index` 0: progress, samples).
    pub fn changes(&self) -> Changes {
        self.0.live.changes()
    }
}
