//! Tables of what is done about machines.

use super::*;
use crate::admit::sample;
use hostd_virt::DomainShape;

struct Case {
    vm: Vm,
    domain: Option<SeenDomain>,
    wait: Wait,
    cancelled: bool,
    stubborn: bool,
    drift: Vec<String>,
    kept_differs: bool,
    medium_differs: bool,
    early: bool,
    disks: Parts,
    networks: Parts,
    host_devices: Parts,
    patient: bool,
}

impl Case {
    /// A machine as wanted, last reported and seen in `state`.
    fn new(state: VmState) -> Self {
        let mut vm = sample::vm("web");
        vm.status.state = state;
        let domain = SeenDomain {
            vm: vm.id,
            state,
            reason: None,
            generation: Some(vm.meta.generation),
            persistent: true,
            shape: DomainShape::default(),
            saved: None,
        };
        Self {
            vm,
            domain: Some(domain),
            wait: Wait::None,
            cancelled: false,
            stubborn: false,
            drift: Vec::new(),
            kept_differs: false,
            medium_differs: false,
            early: false,
            disks: Parts::Ready,
            networks: Parts::Ready,
            host_devices: Parts::Ready,
            patient: false,
        }
    }
    fn asked(mut self, action: PowerAction) -> Self {
        self.vm.spec.power = Some(PowerRequest {
            seq: 1,
            action,
            task: TaskId::new(),
            at: Timestamp::from_unix(1_700_000_000),
            deadline_s: 60,
        });
        self
    }
    fn reported(mut self, state: VmState) -> Self {
        self.vm.status.state = state;
        self
    }
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
    fn step(&self) -> Option<Step> {
        plan(&Sight {
            vm: &self.vm,
            held_since: None,
            domain: self.domain.as_ref(),
            drift: self.drift.clone(),
            pending: Vec::new(),
            kept_differs: self.kept_differs,
            changes: Vec::new(),
            live: None,
            medium_differs: self.medium_differs,
            early: self.early,
            disks: self.disks.clone(),
            networks: self.networks.clone(),
            host_devices: self.host_devices.clone(),
            patient: self.patient,
            wait: self.wait,
            cancelled: self.cancelled,
            stubborn: self.stubborn,
        })
    }
    /// The state reported and how the request ended.
    fn ended(&self) -> (VmState, Result<(), ProblemKind>) {
        match self.step() {
            Some(Step::Report(status, Some(end))) => (status.state, end.map_err(|problem| problem.kind)),
            other => panic!("the request did not end: {other:?}"),
        }
    }
}

use PowerAction as P;
use VmState as S;

#[test]
fn as_wanted_means_nothing_to_do() {
    for state in [S::Off, S::Running, S::Paused, S::Crashed] {
        assert_eq!(Case::new(state).step(), None, "{state:?}");
    }
}

#[test]
fn requests_are_carried_out_in_the_states_that_take_them() {
    let table = [
        (S::Off, P::Start, Some(Step::Start { define: false })),
        (S::Crashed, P::Start, Some(Step::Start { define: false })),
        (S::Running, P::Shutdown, Some(Step::Press)),
        (S::Running, P::Reboot, Some(Step::Press)),
        (S::Off, P::Reboot, Some(Step::Start { define: false })),
        (S::Running, P::Reset, Some(Step::Reset)),
        (S::Running, P::ForceOff, Some(Step::ForceOff)),
        (S::Stopping, P::ForceOff, Some(Step::ForceOff)),
        (S::Stopping, P::Shutdown, None),
        (S::Running, P::Pause, Some(Step::Suspend)),
        (S::Paused, P::Resume, Some(Step::Resume)),
        (S::Starting, P::Start, None),
    ];
    for (state, action, step) in table {
        assert_eq!(Case::new(state).asked(action).step(), step, "{action:?} while {state:?}");
    }
}

#[test]
fn what_asks_a_qemu_that_may_hang_or_only_reports_waits_for_no_other_machine() {
    for state in [VmState::Running, VmState::Paused] {
        for action in [
            PowerAction::Shutdown,
            PowerAction::Reboot,
            PowerAction::ForceOff,
            PowerAction::Reset,
            PowerAction::Pause,
            PowerAction::Resume,
        ] {
            let step = Case::new(state).asked(action).step();
            assert_eq!(step.expect("a step").room(), Room::Own, "{action:?} of one that is {state:?}");
        }
    }
    let seen = Case::new(VmState::Running).reported(VmState::Off).step();
    assert_eq!(seen.expect("a report").room(), Room::Own);
    let start = Case::new(VmState::Off).asked(PowerAction::Start).step();
    assert_eq!(start.expect("a start").room(), Room::Shared);
}

#[test]
fn requests_found_fulfilled_only_end() {
    // A crash of the daemon between acting and reporting comes back here.
    for (state, action) in [
        (S::Running, P::Start),
        (S::Off, P::Shutdown),
        (S::Off, P::ForceOff),
        (S::Crashed, P::ForceOff),
        (S::Paused, P::Pause),
        (S::Running, P::Resume),
    ] {
        assert_eq!(Case::new(state).asked(action).ended(), (state, Ok(())), "{action:?}");
    }
    let rebooted = Case::new(S::Running).asked(P::Reboot).reported(S::Starting);
    assert_eq!(rebooted.ended(), (S::Running, Ok(())));
    for action in [P::Reset, P::Pause, P::Resume] {
        let ended = Case::new(S::Off).asked(action).ended();
        assert_eq!(ended, (S::Off, Err(ProblemKind::WrongState)), "{action:?}");
    }
}

#[test]
fn a_guest_that_ignores_the_button_keeps_running_and_the_task_fails() {
    for action in [P::Shutdown, P::Reboot] {
        let waiting = Case::new(S::Running).asked(action).with(|c| c.wait = Wait::Running);
        assert_eq!(waiting.step(), None);
        let over = Case::new(S::Running).asked(action).with(|c| c.wait = Wait::Over);
        assert_eq!(over.ended(), (S::Running, Err(ProblemKind::Unavailable)));
        let cancelled = Case::new(S::Running).asked(action).with(|c| c.cancelled = true);
        assert_eq!(cancelled.ended(), (S::Running, Err(ProblemKind::Cancelled)));
    }
}

#[test]
fn a_start_needs_its_networks_and_an_up_to_date_definition() {
    let stale = Case::new(S::Off).asked(P::Start).with(|c| c.vm.meta.generation = 9);
    assert_eq!(stale.step(), Some(Step::Start { define: true }));
    let gone = Case::new(S::Off).asked(P::Start).with(|c| c.domain = None);
    assert_eq!(gone.step(), Some(Step::Start { define: true }));
    let waiting = Case::new(S::Off).asked(P::Start).with(|c| c.networks = Parts::Waiting);
    assert_eq!(waiting.step(), None);
    let down = Problem::new(ProblemKind::Unavailable, "net is down");
    let failed = Case::new(S::Off).asked(P::Start).with(|c| c.networks = Parts::Failed(down));
    assert_eq!(failed.ended(), (S::Off, Err(ProblemKind::Unavailable)));
    let patient = failed.with(|c| c.patient = true);
    assert_eq!(patient.step(), None);
    let up = patient.with(|c| c.networks = Parts::Ready);
    assert_eq!(up.step(), Some(Step::Start { define: false }));
}

#[test]
fn disks_have_failed_only_when_none_is_being_made() {
    let full = || Problem::new(ProblemKind::Capacity, "full");
    let failed = || Disk::Failed(full());
    let table = [
        (vec![], Parts::Ready),
        (vec![Disk::Ready, Disk::Ready], Parts::Ready),
        (vec![Disk::Ready, Disk::Making], Parts::Waiting),
        (vec![Disk::Ready, Disk::Missing], Parts::Waiting),
        (vec![failed(), Disk::Making], Parts::Waiting),
        (vec![Disk::Making, failed()], Parts::Waiting),
        (vec![failed(), Disk::Ready], Parts::Failed(full())),
        (vec![Disk::Missing, failed()], Parts::Failed(full())),
    ];
    for (each, parts) in table {
        assert_eq!(disks(each.clone().into_iter()), parts, "{each:?}");
    }
}

#[test]
fn creation_waits_for_disks_and_is_undone_when_they_fail() {
    let creating = |disks: Parts| {
        Case::new(S::Off).with(|c| {
            c.vm.status = VmStatus::default();
            c.domain = None;
            c.disks = disks;
        })
    };
    assert_eq!(creating(Parts::Ready).step(), Some(Step::Create));
    assert_eq!(creating(Parts::Waiting).step(), None);
    assert_eq!(creating(Parts::Ready).with(|c| c.early = true).step(), None, "planned for later");
    let full = Problem::new(ProblemKind::Capacity, "full");
    assert_eq!(creating(Parts::Failed(full.clone())).step(), Some(Step::UndoCreate(full)));
}

#[test]
fn deletion_comes_before_everything() {
    let doomed = Case::new(S::Running).asked(P::Shutdown).with(|c| {
        c.vm.spec.deleting = Some(Deletion { disks: true, task: TaskId::new() });
    });
    assert_eq!(doomed.step(), Some(Step::Delete));
}

#[test]
fn changes_from_outside_are_reported_with_their_reason() {
    let table = [
        (S::Running, S::Off, Some("guest shut down")),
        (S::Running, S::Crashed, Some("its QEMU ended unexpectedly")),
        (S::Off, S::Running, None),
        (S::Running, S::Paused, Some("the disk is full")),
        (S::Unknown, S::Running, None),
    ];
    for (reported, now, reason) in table {
        let case = Case::new(now).reported(reported).with(|c| {
            c.domain.as_mut().expect("a domain").reason = reason.map(str::to_owned);
        });
        let Some(Step::Report(status, None)) = case.step() else { panic!("{:?}", case.step()) };
        assert_eq!((status.state, status.reason.as_deref()), (now, reason));
    }
    let silent = Case::new(S::Off).reported(S::Running);
    let Some(Step::Report(status, None)) = silent.step() else { panic!("a report") };
    assert!(status.reason.is_some_and(|reason| reason.contains("restarted")));
}

#[test]
fn a_reason_once_told_stays_while_the_machine_stays_off() {
    let told = Case::new(S::Off).with(|c| c.vm.status.reason = Some("guest shut down".into()));
    assert_eq!(told.step(), None);
}

#[test]
fn definitions_are_mended_while_off_and_told_while_running() {
    let drift = || vec!["memory is 1 MiB, wanted 512 MiB".to_owned()];
    let off = Case::new(S::Off).with(|c| c.drift = drift());
    assert!(matches!(off.step(), Some(Step::Define(S::Off, None))));
    let stubborn = off.with(|c| c.stubborn = true);
    assert!(matches!(stubborn.step(), Some(Step::Report(status, None)) if status.drift == drift()));
    let running = Case::new(S::Running).with(|c| c.drift = drift());
    assert!(matches!(running.step(), Some(Step::Report(status, None)) if status.drift == drift()));
    let gone = Case::new(S::Off).with(|c| c.domain = None);
    assert_eq!(gone.step(), Some(Step::Define(S::Off, None)));
    let lost = Case::new(S::Off).reported(S::Running).with(|c| c.domain = None);
    assert!(matches!(lost.step(), Some(Step::Define(S::Off, Some(reason))) if reason.contains("outside")));
    let foreign = Case::new(S::Off).with(|c| c.domain.as_mut().expect("a domain").generation = None);
    assert!(matches!(foreign.step(), Some(Step::Define(S::Off, None))));
    let edited = Case::new(S::Running).with(|c| c.vm.meta.generation = 2);
    assert!(matches!(edited.step(), Some(Step::Define(S::Running, None))));
    let kept = Case::new(S::Running).with(|c| c.kept_differs = true);
    assert!(matches!(kept.step(), Some(Step::Define(S::Running, None))));
    let medium = Case::new(S::Running).with(|c| c.medium_differs = true);
    assert_eq!(medium.step(), Some(Step::ChangeMedium));
}

#[test]
fn a_start_needs_the_devices_of_the_host_and_one_of_its_own_waits_for_them() {
    let missing = || Parts::Failed(Problem::new(ProblemKind::Unavailable, "no such stick"));
    let start = || Case::new(VmState::Off).asked(PowerAction::Start);
    let without = start().with(|case| case.host_devices = missing());
    assert_eq!(without.ended(), (VmState::Off, Err(ProblemKind::Unavailable)));
    let at_boot = start().with(|case| (case.host_devices, case.patient) = (missing(), true));
    assert_eq!(at_boot.step(), None);
    let no_network = start().with(|case| case.networks = Parts::Waiting);
    assert_eq!(no_network.with(|case| case.host_devices = missing()).step(), None);
    assert_eq!(start().step(), Some(Step::Start { define: false }));
}
