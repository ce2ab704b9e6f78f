//! Rules for tasks.

use crate::snapshot::Snapshot;
use hostd_types::*;

/// May this task be cancelled?
pub(super) fn cancel(id: TaskId, now: &Snapshot) -> Result<(), Problem> {
    let task = now.task.as_ref().ok_or_else(|| Problem::not_found("task", id))?;
    match &task.state {
        TaskState::Running if task.is_cancellable() => Ok(()),
        // Writing memory takes a while; switching disks does not.
        TaskState::Running if task.action == "snapshot.create" && keeps_memory(now) => Ok(()),
        TaskState::Running => {
            let detail = format!("{} can't be cancelled; it ends by itself.", task.action);
            Err(Problem::wrong_state(detail))
        }
        TaskState::Succeeded | TaskState::Failed { .. } => {
            Err(Problem::wrong_state("The task has ended; there is nothing to cancel."))
        }
    }
}

fn keeps_memory(now: &Snapshot) -> bool {
    now.snapshot.as_ref().is_some_and(|snapshot| snapshot.spec.memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_uploads_and_shutdowns_can_be_cancelled() {
        for (action, state, allowed) in [
            ("image.create", TaskState::Running, true),
            ("vm.shutdown", TaskState::Running, true),
            ("snapshot.delete", TaskState::Running, true),
            ("snapshot.create", TaskState::Running, false),
            ("vm.create", TaskState::Running, false),
            ("image.create", TaskState::Succeeded, false),
        ] {
            let task = Task {
                id: TaskId::new(),
                action: action.into(),
                subject: Subject { kind: Kind::Vm, id: String::new(), name: "x".into() },
                host: HostId::new(),
                state,
                created_by: Actor::Console,
                created_at: Timestamp::now(),
                ended_at: None,
                cancelling: false,
                progress: None,
            };
            let id = task.id;
            let now = Snapshot { task: Some(task), ..Default::default() };
            assert_eq!(cancel(id, &now).is_ok(), allowed, "{action}");
        }
        assert!(cancel(TaskId::new(), &Snapshot::default()).is_err());
    }
}
