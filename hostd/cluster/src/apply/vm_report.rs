//! What a machine's host saw of it.

use super::scope::Scope;
use super::{Done, Step};
use crate::rows::phase_name;
use hostd_types::command::TaskEnd;
use hostd_types::*;

pub(crate) fn report(
    scope: &mut Scope<'_>,
    id: VmId,
    status: &VmStatus,
    done: Option<&TaskEnd>,
) -> Step<Done> {
    let mut vm = scope.get::<Vm>(id)?;
    let before = std::mem::replace(&mut vm.status, status.clone());
    // A report may have been on its way when a newer fact was written.
    vm.status.power_done = vm.status.power_done.max(before.power_done);
    if vm.spec.deleting.is_some() {
        vm.status.phase = Phase::Deleting;
    }
    scope.update(&vm)?;
    let subject = vm.subject();
    if before.state != vm.status.state {
        let mut detail = format!("{} -> {}", before.state.as_str(), vm.status.state.as_str());
        if let Some(reason) = &vm.status.reason {
            detail = format!("{detail}: {reason}");
        }
        scope.event("vm.state", Some(&subject), EventResult::Observed, detail)?;
    } else if before.phase != vm.status.phase {
        let detail = format!("{} -> {}", phase_name(before.phase), phase_name(vm.status.phase));
        scope.event("vm.state", Some(&subject), EventResult::Observed, detail)?;
    }
    if before.held_since.is_some() != vm.status.held_since.is_some() {
        let detail = match vm.status.held_since {
            Some(_) => "its agent does not answer: it may still hold back what it writes; a reset ends that",
            None => "it goes on",
        };
        scope.event("vm.held", Some(&subject), EventResult::Observed, detail)?;
    }
    if let Some(TaskEnd { task, problem }) = done {
        let action = scope.end_task(*task, problem.clone())?;
        if let (Some(action), Some(problem)) = (action, problem) {
            scope.event(action, Some(&subject), EventResult::Failed, problem.detail.clone())?;
        }
    }
    Ok(Done::about(subject))
}
