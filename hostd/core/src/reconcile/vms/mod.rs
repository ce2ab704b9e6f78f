//! Machines on this host: their domains are made, watched and removed; requests about their power are carried out.
//!
//! A request stays pending until its outcome is reported. If the daemon dies in between, the next one looks first: what
//! is fulfilled is only reported. A reset leaves nothing to see, so that it is carried out at least once; a guest may
//! be asked again to shut down, which changes nothing for one that is doing so.
//!
//! Each machine is worked on by itself: a slow call about one holds up no other, and what may wait for a QEMU that hangs waits
//! beside the rest ([`Step::room`]). What libvirt shows is compared with what
//! was last reported, so that everything that happens outside is told truthfully.

mod act;
mod adopt;
mod autostart;
mod devices;
mod gather;
mod memory;
mod plan;
mod quiesce;
mod snapshot;
mod waits;

pub(super) use adopt::{in_use, put_back, take_in};
pub(crate) use gather::planned_in;
pub(super) use memory::drop_memory;
pub(super) use quiesce::{forget as forget_held, mark};

use act::Work;
use autostart::Autostart;
use gather::Wanted;
use plan::{Room, Sight, Step, Wait, plan};
use waits::Waits;

use super::jobs::Jobs;
use super::{Reconcile, Summary};
use crate::Core;
use crate::admit::pending;
use hostd_types::command::VmCommand;
use hostd_types::*;
use hostd_virt::{SeenDomain, VirtError};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Machines that are made, defined or started at the same time.
const AT_ONCE: usize = 8;
/// Machines whose memory is written or read at the same time.
const MEMORIES_AT_ONCE: usize = 2;
/// libvirt may be away this long (its daemon restarts) before machines become unknown.
const GRACE: Duration = Duration::from_secs(2);
/// Time a start that the host made itself gives its networks to come up, seconds from its request: at boot, ports and
/// bridges may come later than machines.
const PATIENCE_S: i64 = 120;

/// Makes machines as they are wanted.
pub(super) struct Vms {
    core: Core,
    jobs: Jobs<VmId>,
    memories: Arc<Semaphore>,
    waits: Waits,
    autostart: Autostart,
    down_since: Option<Instant>,
}

impl Vms {
    pub fn new(core: &Core) -> Self {
        Self {
            core: core.clone(),
            jobs: Jobs::new(AT_ONCE, &core.0.tracker, &core.0.wakes.vms),
            memories: Arc::new(Semaphore::new(MEMORIES_AT_ONCE)),
            waits: Waits::default(),
            autostart: Autostart::default(),
            down_since: None,
        }
    }

    /// libvirt does not answer: after a moment every machine's state is unknown, told once.
    async fn unknown(&mut self, busy: &HashSet<VmId>) -> Result<Summary, Problem> {
        let since = *self.down_since.get_or_insert_with(Instant::now);
        let left = GRACE.saturating_sub(since.elapsed());
        if !left.is_zero() {
            return Ok(Summary { again: Some(left), ..Summary::default() });
        }
        let vms = self.core.store().vms_on(self.core.host()).await?;
        let mut summary = Summary { checked: vms.len(), ..Summary::default() };
        let known = |vm: &&Vm| {
            vm.status.phase == Phase::Ready
                && vm.status.state != VmState::Unknown
                && pending(vm).is_none()
                && !busy.contains(&vm.id)
        };
        for vm in vms.iter().filter(known) {
            let status = VmStatus {
                state: VmState::Unknown,
                reason: Some("libvirt does not answer".into()),
                observed_at: Some(Timestamp::now()),
                ..vm.status.clone()
            };
            self.core.report(Command::Vm(VmCommand::Report { id: vm.id, status, done: None })).await?;
            summary.changed += 1;
        }
        Ok(summary)
    }

    /// Plans and begins what is to do about `vm`; true when there was something.
    fn work_on(&self, vm: &Vm, domain: Option<&SeenDomain>, wanted: &Wanted) -> bool {
        // It is paused for a moment: what is seen of it is not how it is.
        if self.core.0.merges.paused(vm.id) {
            return false;
        }
        let plan_of = wanted.domain_plan(&self.core, vm);
        let drift = match (&plan_of, domain) {
            (Some(plan), Some(domain)) => hostd_virt::drift(plan, domain),
            (Some(_) | None, _) => Vec::new(),
        };
        let waiting = match (&plan_of, domain) {
            (Some(plan), Some(domain)) if wanted.waits_known => hostd_virt::pending(plan, domain),
            (Some(_) | None, _) => Vec::new(),
        };
        let kept_differs = match (&plan_of, domain) {
            (Some(plan), Some(domain)) => hostd_virt::outdated(plan, domain),
            (Some(_) | None, _) => false,
        };
        let media = match (&plan_of, domain) {
            (Some(plan), Some(domain)) => hostd_virt::media_changes(plan, &domain.shape),
            (Some(_) | None, _) => Vec::new(),
        };
        let medium_differs = !media.is_empty();
        let generation = domain.map(|domain| (domain.persistent, domain.generation));
        let fault = format!("{generation:?} {drift:?} {kept_differs}");
        if generation == Some((true, Some(vm.meta.generation))) && drift.is_empty() && !kept_differs {
            self.waits.mended(vm.id);
        }
        let active = domain.is_some_and(|domain| domain.state.is_active());
        let held_since = if active { quiesce::held_since(&self.core, vm.id) } else { None };
        let held = held_since.is_some() && quiesce::may_try(&self.waits, vm.id);
        let change = snapshot::change(vm, domain, wanted.taking(vm.id), held);
        let work = Work {
            core: self.core.clone(),
            vm: vm.clone(),
            plan: plan_of,
            media,
            creation: wanted.creation_of(vm.id),
            adopting: wanted.is_adopting(vm.id),
            waits: self.waits.clone(),
            fault: fault.clone(),
            memories: Arc::clone(&self.memories),
        };
        let crowded = self.memories.available_permits() == 0;
        let crowded = crowded && change.as_ref().is_some_and(snapshot::Change::needs_memory_room);
        if let Some(change) = change.filter(|_| !crowded) {
            self.jobs.start_now(vm.id, work.change(change));
            return true;
        }
        let step = plan(&Sight {
            vm,
            domain,
            drift,
            pending: waiting,
            kept_differs,
            medium_differs,
            held_since,
            early: vm.planned_for(Timestamp::now()).is_some(),
            changes: devices::changes(&self.core, vm, domain, work.plan.as_ref(), wanted, &self.waits),
            live: devices::live(vm.id, domain, work.plan.as_ref(), &self.waits),
            disks: wanted.disks(&self.core, vm),
            networks: wanted.networks(vm, self.core.0.networks_seen.load(Ordering::Acquire)),
            host_devices: wanted.host_devices(vm),
            patient: pending(vm).is_some_and(|request| wanted.own(request) && self.patient(vm.id, request)),
            wait: self.wait(vm),
            cancelled: pending(vm).is_some_and(|request| wanted.cancelled(request.task)),
            stubborn: self.waits.is_stuck(vm.id, &fault),
        });
        let Some(step) = step else { return false };
        // It waits for the memories of others; what is seen of it is told meanwhile.
        if crowded && !matches!(step, Step::Report(_, None)) {
            return false;
        }
        match step.room() {
            Room::Shared => self.jobs.start(vm.id, work.act(step)),
            Room::Own => self.jobs.start_now(vm.id, work.act(step)),
        }
        true
    }

    /// The networks of a start that the host made itself still have time.
    fn patient(&self, vm: VmId, request: &PowerRequest) -> bool {
        Instant::now() < self.waits.patience(vm, request.seq, left(request, PATIENCE_S))
    }

    /// Where the wait for the guest of `vm` is. A wait that another run of the daemon began goes on.
    fn wait(&self, vm: &Vm) -> Wait {
        let Some(request) = pending(vm) else { return Wait::None };
        if let Some(until) = self.waits.until(vm.id, request.seq) {
            return if Instant::now() < until { Wait::Running } else { Wait::Over };
        }
        if vm.status.state != VmState::Stopping {
            return Wait::None;
        }
        let left = left(request, i64::from(request.deadline_s));
        self.waits.begin(vm.id, request.seq, Instant::now() + left);
        Wait::Running
    }

    async fn look(&mut self) -> Result<Option<HashMap<VmId, SeenDomain>>, Problem> {
        match self.core.0.hypervisor.domains().await {
            Ok(seen) => {
                self.down_since = None;
                Ok(Some(seen.into_iter().map(|domain| (domain.vm, domain)).collect()))
            }
            Err(VirtError::Down(_)) => Ok(None),
            Err(error) => Err(crate::error::virt("Looking at the machines", error)),
        }
    }
}

/// What is left of `seconds` since `request` was made; never more, whatever the clock says.
fn left(request: &PowerRequest, seconds: i64) -> Duration {
    let ends = request.at.plus_seconds(seconds).unix();
    let left = ends.saturating_sub(Timestamp::now().unix()).clamp(0, seconds);
    Duration::from_secs(u64::try_from(left).unwrap_or_default())
}

impl Reconcile for Vms {
    fn name(&self) -> &'static str {
        "virtual machines"
    }
    fn period(&self) -> Duration {
        Duration::from_secs(15)
    }
    async fn run(&mut self) -> Result<Summary, Problem> {
        // Before anything is read: what is read of a machine no job works on is not about to change.
        let busy = self.jobs.busy();
        let wanted = Wanted::load(&self.core).await?;
        let Some(seen) = self.look().await? else { return self.unknown(&busy).await };
        let foreign = seen.keys().filter(|id| !wanted.vms.iter().any(|vm| vm.id == **id)).count();
        self.core.0.foreign_domains.store(foreign as u64, Ordering::Relaxed);
        self.core.0.libvirt_names.note(wanted.vms.iter().filter_map(|vm| {
            let name = &seen.get(&vm.id).filter(|domain| domain.state.is_active())?.shape.name;
            (*name != vm.spec.name).then(|| (vm.id, name.clone()))
        }));
        self.waits.keep(&wanted.vms);
        let mut summary = Summary { checked: wanted.vms.len(), ..Summary::default() };
        let mut settled = HashSet::new();
        for vm in wanted.vms.iter().filter(|vm| !busy.contains(&vm.id)) {
            if self.work_on(vm, seen.get(&vm.id), &wanted) {
                summary.changed += 1;
            } else if vm.status.state != VmState::Unknown {
                settled.insert(vm.id);
            }
        }
        summary.changed += self.autostart.run(&self.core, &wanted.vms, &settled).await?;
        self.waits.keep_asked(&wanted.vms);
        let waits = self.waits.next().map(|until| until.saturating_duration_since(Instant::now()));
        summary.again = waits.into_iter().chain(wanted.next_planned()).min();
        Ok(summary)
    }
}
