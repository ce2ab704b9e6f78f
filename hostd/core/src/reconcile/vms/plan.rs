//! What to do about each machine; pure. One step at a time: after it the machine is looked at again.

use super::devices::{self, Change, Live};
use crate::admit::{pending, words};
use hostd_types::*;
use hostd_virt::SeenDomain;

/// Whether what a machine is made of is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parts {
    /// All of it.
    Ready,
    /// Not yet.
    Waiting,
    /// Something will not come.
    Failed(Problem),
}

/// How far one disk of a machine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Disk {
    /// It is there.
    Ready,
    /// It is being made, or will be.
    Making,
    /// It has no row any more.
    Missing,
    /// Making it failed; nothing works on it any more.
    Failed(Problem),
}

/// Whether all disks are there. They have failed only when none is being made any more: undoing the machine earlier
/// would leave the file of one that is finished afterwards.
pub(super) fn disks(each: impl Iterator<Item = Disk>) -> Parts {
    let (mut waiting, mut failed) = (false, None);
    for disk in each {
        match disk {
            Disk::Ready => {}
            Disk::Making => return Parts::Waiting,
            Disk::Missing => waiting = true,
            Disk::Failed(problem) => failed = failed.or(Some(problem)),
        }
    }
    match failed {
        Some(problem) => Parts::Failed(problem),
        None if waiting => Parts::Waiting,
        None => Parts::Ready,
    }
}

/// The wait for a guest that was asked to shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// It was not asked yet.
    None,
    /// It has time left.
    Running,
    /// Its time is over.
    Over,
}

/// Everything the plan looks at.
#[derive(Debug, Clone)]
pub(super) struct Sight<'a> {
    /// What is wanted, and what was last reported.
    pub vm: &'a Vm,
    /// What libvirt shows.
    pub domain: Option<&'a SeenDomain>,
    /// Differences of the definition in force, in words.
    pub drift: Vec<String>,
    /// What waits for its next power-off, in words.
    pub pending: Vec<String>,
    /// What is kept for its next start is not made from what is wanted.
    pub kept_differs: bool,
    /// Changes of devices under way, oldest first.
    pub changes: Vec<Change<'a>>,
    /// CPUs or memory to give it while it runs.
    pub live: Option<Live>,
    /// Since when its guest may hold still, for nothing.
    pub held_since: Option<Timestamp>,
    /// The medium in the drive is another one.
    pub medium_differs: bool,
    /// It is to be made later.
    pub early: bool,
    /// Its new disks.
    pub disks: Parts,
    /// Its networks.
    pub networks: Parts,
    /// The devices of its host that it has for itself.
    pub host_devices: Parts,
    /// The pending request is the host's own and gives networks and devices more time to come up.
    pub patient: bool,
    /// The wait for the guest to obey the pending request.
    pub wait: Wait,
    /// Somebody asked to cancel the pending request's task.
    pub cancelled: bool,
    /// Defining it again did not help before; don't try again until something changes.
    pub stubborn: bool,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Define it for the first time, report it ready, start it if that is asked for.
    Create,
    /// Making it failed: remove the domain and its new disks, then the rows.
    UndoCreate(Problem),
    /// Remove the domain, then the disks if they go, then the rows.
    Delete,
    /// Define it again and report; with the state to report.
    Define(VmState, Option<String>),
    /// Change the medium in the drive of a running machine.
    ChangeMedium,
    /// Do something about a device of a running machine, or grow a disk.
    Device {
        /// The task of the change.
        task: TaskId,
        /// It runs.
        on: bool,
    },
    /// Report how a change of a device came out.
    EndChange(TaskId, ChangeEnd),
    /// Give CPUs or memory to a running machine.
    Give(Live),
    /// Start it (defining it first if `define`).
    Start {
        /// The definition is out of date.
        define: bool,
    },
    /// Press the power button and wait.
    Press,
    /// Pull the plug.
    ForceOff,
    /// Press the reset button.
    Reset,
    /// Freeze it.
    Suspend,
    /// Let it go on.
    Resume,
    /// Report what is seen, and how the pending request ended if it did.
    Report(VmStatus, Option<Result<(), Problem>>),
}

/// Whether a step waits for steps of other machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// Only so many at once: it works on disks and QEMUs that come.
    Shared,
    /// Never: it is a report, or asks a QEMU that may hang.
    Own,
}

impl Step {
    /// Whether it waits for others.
    pub fn room(&self) -> Room {
        match self {
            Step::Create | Step::UndoCreate(_) | Step::Define(..) | Step::Start { .. } => Room::Shared,
            Step::Delete
            | Step::ChangeMedium
            | Step::Device { .. }
            | Step::EndChange(..)
            | Step::Give(_)
            | Step::Press
            | Step::ForceOff
            | Step::Reset
            | Step::Suspend
            | Step::Resume
            | Step::Report(..) => Room::Own,
        }
    }
}

/// Plans one machine; `None`: nothing to do, or something to wait for.
pub(super) fn plan(sight: &Sight<'_>) -> Option<Step> {
    let vm = sight.vm;
    if vm.spec.deleting.is_some() {
        return Some(Step::Delete);
    }
    match vm.status.phase {
        Phase::Deleting => Some(Step::Delete),
        Phase::Creating if sight.early => None,
        Phase::Creating => match &sight.disks {
            Parts::Failed(problem) => Some(Step::UndoCreate(problem.clone())),
            Parts::Waiting => None,
            Parts::Ready => Some(Step::Create),
        },
        Phase::Ready => match pending(vm) {
            Some(request) => power(sight, request),
            None => settle(sight),
        },
    }
}

/// What libvirt shows the machine doing.
fn state(sight: &Sight<'_>) -> VmState {
    sight.domain.map_or(VmState::Off, |domain| domain.state)
}

fn is_off(state: VmState) -> bool {
    match state {
        VmState::Off | VmState::Crashed => true,
        VmState::Starting | VmState::Running | VmState::Paused | VmState::Stopping | VmState::Unknown => {
            false
        }
    }
}

/// Carries out the pending request.
fn power(sight: &Sight<'_>, request: &PowerRequest) -> Option<Step> {
    let now = state(sight);
    match now {
        // libvirt is in the middle of something: an event will tell how it came out.
        VmState::Starting | VmState::Unknown => return None,
        VmState::Stopping if request.action != PowerAction::ForceOff => return None,
        VmState::Off | VmState::Running | VmState::Paused | VmState::Stopping | VmState::Crashed => {}
    }
    let done = Some(Step::Report(seen(sight), Some(Ok(()))));
    match request.action {
        PowerAction::Start if is_off(now) => start(sight),
        PowerAction::Start => done,
        PowerAction::Shutdown if is_off(now) => done,
        PowerAction::Shutdown => ask(sight, request),
        PowerAction::Reboot if is_off(now) => start(sight),
        // It went off and was started again.
        PowerAction::Reboot if sight.vm.status.state == VmState::Starting => done,
        PowerAction::Reboot => ask(sight, request),
        PowerAction::ForceOff if is_off(now) => done,
        PowerAction::ForceOff => Some(Step::ForceOff),
        PowerAction::Pause if now == VmState::Paused => done,
        PowerAction::Resume if now == VmState::Running => done,
        PowerAction::Reset | PowerAction::Pause | PowerAction::Resume if is_off(now) => {
            let detail = format!("{} went off before the {}.", sight.vm.spec.name, words(request.action));
            Some(Step::Report(seen(sight), Some(Err(Problem::wrong_state(detail)))))
        }
        PowerAction::Reset => Some(Step::Reset),
        PowerAction::Pause => Some(Step::Suspend),
        PowerAction::Resume => Some(Step::Resume),
    }
}

fn start(sight: &Sight<'_>) -> Option<Step> {
    match (&sight.networks, &sight.host_devices) {
        (Parts::Waiting, _) | (Parts::Ready, Parts::Waiting) => None,
        (Parts::Failed(_), _) | (Parts::Ready, Parts::Failed(_)) if sight.patient => None,
        (Parts::Failed(problem), _) | (Parts::Ready, Parts::Failed(problem)) => {
            Some(Step::Report(seen(sight), Some(Err(problem.clone()))))
        }
        (Parts::Ready, Parts::Ready) => Some(Step::Start { define: outdated(sight) }),
    }
}

/// Asks the guest to shut down, waits, and gives up at the deadline; the machine keeps running then.
fn ask(sight: &Sight<'_>, request: &PowerRequest) -> Option<Step> {
    let name = &sight.vm.spec.name;
    let failed = |kind, detail| Some(Step::Report(seen(sight), Some(Err(Problem::new(kind, detail)))));
    if sight.cancelled {
        let detail =
            format!("Nobody waits for the {} of {name} any more; it keeps running.", words(request.action));
        return failed(ProblemKind::Cancelled, detail);
    }
    match sight.wait {
        Wait::None => Some(Step::Press),
        Wait::Running => None,
        Wait::Over => failed(
            ProblemKind::Unavailable,
            format!(
                "The guest of {name} did not shut down within {} s; it keeps running. Shut it down from inside, or force it off.",
                request.deadline_s
            ),
        ),
    }
}

/// The definition is not made from the wanted settings.
fn outdated(sight: &Sight<'_>) -> bool {
    match sight.domain {
        None => true,
        Some(domain) => {
            !domain.persistent
                || domain.generation != Some(sight.vm.meta.generation)
                || (is_off(domain.state) && !sight.drift.is_empty())
                || sight.kept_differs
        }
    }
}

/// Nothing is asked for: mend the definition, report what is seen.
fn settle(sight: &Sight<'_>) -> Option<Step> {
    let Some(domain) = sight.domain else {
        let reason = if sight.vm.status.state.is_active() {
            Some("removed from libvirt outside Quantix".to_owned())
        } else {
            sight.vm.status.reason.clone()
        };
        return Some(Step::Define(VmState::Off, reason));
    };
    if sight.medium_differs && matches!(domain.state, VmState::Running | VmState::Paused) && !sight.stubborn {
        return Some(Step::ChangeMedium);
    }
    let status = seen(sight);
    if outdated(sight) && !sight.stubborn {
        return Some(Step::Define(status.state, status.reason));
    }
    if let Some(step) = devices::plan(sight, domain.state) {
        return Some(step);
    }
    (!same(&status, &sight.vm.status)).then_some(Step::Report(status, None))
}

/// The status to report: what is seen, with what of the last report still holds.
pub(super) fn seen(sight: &Sight<'_>) -> VmStatus {
    let last = &sight.vm.status;
    let (state, reason) = match sight.domain {
        None => (VmState::Off, None),
        Some(domain) => (domain.state, domain.reason.clone()),
    };
    let reason = match state {
        // libvirt forgets why when its daemon restarts; what was told stays true.
        VmState::Off | VmState::Crashed if state == last.state => last.reason.clone().or(reason),
        VmState::Off if reason.is_none() && last.state.is_active() && last.state != VmState::Unknown => {
            Some("it ended while nobody looked; the host may have been restarted".to_owned())
        }
        VmState::Off
        | VmState::Starting
        | VmState::Running
        | VmState::Paused
        | VmState::Stopping
        | VmState::Crashed
        | VmState::Unknown => reason,
    };
    let current = sight.domain.is_some() && !outdated(sight);
    VmStatus {
        phase: Phase::Ready,
        state,
        reason,
        power_done: last.power_done,
        applied_generation: if current { sight.vm.meta.generation } else { last.applied_generation },
        drift: sight.drift.clone(),
        pending: sight.pending.clone(),
        held_since: sight.held_since,
        observed_at: last.observed_at,
    }
}

/// Nothing in it is worth a report; the moment of looking is not.
fn same(a: &VmStatus, b: &VmStatus) -> bool {
    VmStatus { observed_at: None, ..a.clone() } == VmStatus { observed_at: None, ..b.clone() }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
