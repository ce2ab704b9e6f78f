//! Rules for what is done with a machine's power, and for deleting it.

use crate::snapshot::Snapshot;
use hostd_types::*;

/// Longest deadline of a shutdown or reboot, seconds.
const DEADLINE_MAX_S: u32 = 3600;

/// May this be done with the machine's power now?
pub(super) fn power(id: VmId, action: PowerAction, deadline_s: u32, now: &Snapshot) -> Result<(), Problem> {
    if deadline_s > DEADLINE_MAX_S {
        let detail =
            format!("A guest gets 1 to {DEADLINE_MAX_S} seconds to obey; 0 means {SHUTDOWN_DEADLINE_S}.");
        return Err(Problem::field("/deadline_s", detail));
    }
    let vm = settled(id, now)?;
    if action == PowerAction::Start {
        super::clone::no_template(vm, "started")?;
    }
    if let Some(request) = pending(vm)
        && action != PowerAction::ForceOff
    {
        let detail = format!(
            "{} is busy with an earlier request ({}); wait for it to end, or force the machine off.",
            vm.spec.name,
            words(request.action)
        );
        return Err(Problem::wrong_state(detail));
    }
    action.possible_in(vm.status.state).map_err(|hint| refuse(vm, hint))
}

/// May the machine be deleted now?
pub(super) fn delete(id: VmId, now: &Snapshot) -> Result<(), Problem> {
    if let (Some(vm), Some(moment)) = (&now.vm, now.moment)
        && vm.planned_for(moment).is_some()
        && vm.spec.deleting.is_none()
    {
        return Ok(()); // nothing of it is made yet
    }
    if let Some(vm) = &now.vm
        && vm.status.phase == Phase::Creating
        && vm.spec.lineage.source.is_some()
        && vm.spec.deleting.is_none()
    {
        return Ok(()); // the copy stops, and what was copied goes
    }
    let vm = settled(id, now)?;
    if let Some(request) = pending(vm) {
        let detail = format!("{} is busy ({}); wait for it to end.", vm.spec.name, words(request.action));
        return Err(Problem::wrong_state(detail));
    }
    match vm.status.state {
        VmState::Off | VmState::Crashed => Ok(()),
        // Nothing of it is worth a shutdown.
        VmState::Starting | VmState::Running | VmState::Paused | VmState::Stopping
            if vm.spec.lineage.is_test() =>
        {
            Ok(())
        }
        VmState::Starting | VmState::Running | VmState::Paused | VmState::Stopping => {
            Err(refuse(vm, "shut it down or force it off first"))
        }
        VmState::Unknown => Err(unknown(vm)),
    }
}

/// The machine, if it is neither being made nor being deleted.
pub(super) fn settled(id: VmId, now: &Snapshot) -> Result<&Vm, Problem> {
    let vm = now.vm.as_ref().ok_or_else(|| Problem::not_found("virtual machine", id))?;
    let name = &vm.spec.name;
    match vm.status.phase {
        _ if vm.spec.deleting.is_some() => {
            Err(Problem::wrong_state(format!("{name} is being deleted; nothing else can be done with it.")))
        }
        Phase::Ready => Ok(vm),
        Phase::Creating => Err(Problem::wrong_state(match now.moment.and_then(|now| vm.planned_for(now)) {
            Some(at) => format!("{name} is planned for {at}; until then it can only be deleted."),
            None => format!("{name} is still being made; wait for it."),
        })),
        Phase::Deleting => Err(Problem::wrong_state(format!("{name} is being deleted."))),
    }
}

/// The request that is not carried out yet, if there is one.
pub(crate) fn pending(vm: &Vm) -> Option<&PowerRequest> {
    vm.spec.power.as_ref().filter(|request| request.seq > vm.status.power_done)
}

fn refuse(vm: &Vm, hint: &str) -> Problem {
    if hint.is_empty() {
        return unknown(vm);
    }
    Problem::wrong_state(format!("{} is {}: {hint}.", vm.spec.name, vm.status.state.as_str()))
}

fn unknown(vm: &Vm) -> Problem {
    let detail = format!(
        "The state of {} is unknown because libvirt does not answer; try again when it does.",
        vm.spec.name
    );
    Problem::new(ProblemKind::Unavailable, detail).retry_after(10)
}

/// A request in a person's words.
pub(crate) const fn words(action: PowerAction) -> &'static str {
    match action {
        PowerAction::Start => "start",
        PowerAction::Shutdown => "shutdown",
        PowerAction::Reboot => "reboot",
        PowerAction::Reset => "reset",
        PowerAction::ForceOff => "force off",
        PowerAction::Pause => "pause",
        PowerAction::Resume => "resume",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::sample;
    use PowerAction::*;
    use VmState::*;

    fn now(state: VmState) -> Snapshot {
        let mut vm = sample::vm("web");
        vm.status.state = state;
        Snapshot { vm: Some(vm), ..Default::default() }
    }

    #[test]
    fn every_action_is_allowed_in_its_states_only() {
        let all = [Off, Starting, Running, Paused, Stopping, Crashed, Unknown];
        let table: [(PowerAction, &[VmState]); 7] = [
            (Start, &[Off, Crashed]),
            (Shutdown, &[Running]),
            (Reboot, &[Running]),
            (Reset, &[Running, Paused]),
            (Pause, &[Running]),
            (Resume, &[Paused]),
            (ForceOff, &[Running, Paused, Starting, Stopping]),
        ];
        for (action, states) in table {
            for state in all {
                let answer = power(VmId::new(), action, 0, &now(state));
                assert_eq!(answer.is_ok(), states.contains(&state), "{action:?} while {state:?}");
                if let Err(problem) = answer {
                    let known = problem.detail.contains(&format!("web is {}: ", state.as_str()));
                    assert!(known || state == Unknown, "{}", problem.detail);
                    assert_eq!(problem.kind == ProblemKind::Unavailable, state == Unknown);
                }
            }
        }
        for state in all {
            assert_eq!(delete(VmId::new(), &now(state)).is_ok(), matches!(state, Off | Crashed), "{state:?}");
        }
    }

    #[test]
    fn while_a_request_is_pending_only_force_off_replaces_it() {
        let mut now = now(Running);
        let vm = now.vm.as_mut().expect("a machine");
        vm.spec.power = Some(PowerRequest {
            seq: 4,
            action: Shutdown,
            task: TaskId::new(),
            at: Timestamp::now(),
            deadline_s: 60,
        });
        vm.status.power_done = 3;
        power(VmId::new(), ForceOff, 0, &now).expect("force off");
        let problem = power(VmId::new(), Reset, 0, &now).expect_err("busy");
        assert!(problem.detail.contains("shutdown") && problem.detail.contains("force"), "{problem}");
        now.vm.as_mut().expect("a machine").status.power_done = 4;
        power(VmId::new(), Reset, 0, &now).expect("no longer pending");
        power(VmId::new(), Shutdown, 3601, &now).expect_err("deadline");
    }

    #[test]
    fn a_planned_machine_can_only_be_deleted() {
        let moment = Timestamp::now();
        let mut snapshot = Snapshot { moment: Some(moment), ..now(Off) };
        let vm = snapshot.vm.as_mut().expect("a machine");
        (vm.status.phase, vm.spec.scheduled_at) = (Phase::Creating, Some(moment.plus_seconds(60)));
        delete(VmId::new(), &snapshot).expect("nothing is made");
        let problem = power(VmId::new(), Start, 0, &snapshot).expect_err("not there");
        assert!(problem.detail.contains("is planned for"), "{problem}");
        snapshot.moment = Some(moment.plus_seconds(61));
        delete(VmId::new(), &snapshot).expect_err("it is being made now");
    }

    #[test]
    fn machines_being_made_or_deleted_are_left_alone() {
        let mut snapshot = now(Off);
        snapshot.vm.as_mut().expect("a machine").status.phase = Phase::Creating;
        assert!(
            power(VmId::new(), Start, 0, &snapshot).expect_err("made").detail.contains("still being made")
        );
        let mut snapshot = now(Off);
        let deletion = Deletion { disks: true, task: TaskId::new() };
        snapshot.vm.as_mut().expect("a machine").spec.deleting = Some(deletion);
        assert!(delete(VmId::new(), &snapshot).expect_err("gone").detail.contains("being deleted"));
        assert_eq!(delete(VmId::new(), &Snapshot::default()).expect_err("none").kind, ProblemKind::NotFound);
    }
}
