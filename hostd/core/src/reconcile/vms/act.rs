//! Carrying out one step for one machine, and reporting how it came out.

use super::Waits;
use super::plan::Step;
use super::quiesce;
use crate::Core;
use crate::admit::pending;
use crate::error::{storage, virt};
use crate::pool::Pool;
use crate::reconcile::volumes::remove_files;
use hostd_types::command::{TaskEnd, VmCommand};
use hostd_types::*;
use hostd_virt::{DomainPlan, MediumChange, VirtError};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// One machine being worked on.
pub(super) struct Work {
    pub core: Core,
    pub vm: Vm,
    /// What its domain is made from; absent when a part of it is gone.
    pub plan: Option<DomainPlan>,
    /// Drives that do not hold what they should.
    pub media: Vec<MediumChange>,
    /// Task of its creation, while that runs.
    pub creation: Option<TaskId>,
    /// libvirt had it already.
    pub adopting: bool,
    pub waits: Waits,
    /// What is wrong with its definition, in a form to compare.
    pub fault: String,
    /// Places for those whose memory is written or read.
    pub memories: Arc<Semaphore>,
}

/// A step that can't be finished now is taken again later; this says why.
pub(super) type Later = Problem;

impl Work {
    /// Carries out `step`.
    pub async fn act(self, step: Step) {
        let name = self.vm.spec.name.clone();
        let result = match step {
            Step::Create => self.create().await,
            Step::UndoCreate(problem) => self.undo_create(problem).await,
            Step::Delete => self.delete().await,
            Step::Define(state, reason) => self.define_again(state, reason).await,
            Step::ChangeMedium => self.change_medium().await,
            Step::Device { task, on } => self.device(task, on).await,
            Step::EndChange(task, end) => self.end_change(task, end).await,
            Step::Give(live) => self.give(live).await,
            Step::Start { define } => self.start(define).await,
            Step::Press => self.press().await,
            Step::ForceOff => self.force_off().await,
            Step::Reset => {
                // Nothing of a reset can be seen afterwards: dying before the report means resetting again.
                let done = self.core.0.hypervisor.reset(self.vm.id).await;
                if done.is_ok() {
                    quiesce::forget(&self.core, self.vm.id);
                }
                self.finish(done, VmState::Running).await
            }
            Step::Suspend => {
                let done = self.core.0.hypervisor.suspend(self.vm.id).await;
                self.finish(done, VmState::Paused).await
            }
            Step::Resume => {
                let done = self.core.0.hypervisor.resume(self.vm.id).await;
                self.finish(done, VmState::Running).await
            }
            Step::Report(status, end) => self.report(status, end).await,
        };
        if let Err(problem) = result {
            tracing::warn!(vm = name, %problem, "a machine is not as wanted yet");
        }
    }

    fn task(&self) -> Option<TaskId> {
        pending(&self.vm).map(|request| request.task)
    }

    /// Reports `status`; with `end`, the pending request is done and its task ends.
    async fn report(&self, mut status: VmStatus, end: Option<Result<(), Problem>>) -> Result<(), Later> {
        let mut done = None;
        if let Some(end) = end {
            if let Some(request) = pending(&self.vm) {
                status.power_done = request.seq;
                done = Some(TaskEnd { task: request.task, problem: end.err() });
            }
            self.waits.forget(self.vm.id);
        }
        status.observed_at = Some(Timestamp::now());
        let report = VmCommand::Report { id: self.vm.id, status, done };
        self.core.report(Command::Vm(report)).await.map(drop)
    }

    pub(super) fn status(&self, state: VmState, reason: Option<&str>) -> VmStatus {
        VmStatus {
            phase: Phase::Ready,
            state,
            reason: reason.map(str::to_owned),
            drift: Vec::new(),
            held_since: if state.is_active() { self.vm.status.held_since } else { None },
            // What waits for the power-off is looked at again with the next look.
            pending: if state == self.vm.status.state { self.vm.status.pending.clone() } else { Vec::new() },
            ..self.vm.status.clone()
        }
    }

    /// Reports how a request that takes no time came out; `Down` leaves it pending.
    async fn finish(&self, done: Result<(), VirtError>, state: VmState) -> Result<(), Later> {
        match done {
            Ok(()) => self.report(self.status(state, None), Some(Ok(()))).await,
            Err(error) => self.failed(error, self.vm.status.state, None).await,
        }
    }

    /// The pending request failed: it ends, unless only libvirt is away.
    async fn failed(&self, error: VirtError, state: VmState, reason: Option<&str>) -> Result<(), Later> {
        let action = pending(&self.vm).map_or("change", |request| crate::admit::words(request.action));
        let down = matches!(error, VirtError::Down(_));
        let problem = virt(&format!("The {action} of {}", self.vm.spec.name), error);
        if down {
            return Err(problem);
        }
        self.report(self.status(state, reason), Some(Err(problem))).await
    }

    pub(super) fn domain_plan(&self) -> Result<&DomainPlan, Problem> {
        self.plan.as_ref().ok_or_else(|| {
            let detail = format!("A disk or network of {} is gone; it can't be defined.", self.vm.spec.name);
            Problem::new(ProblemKind::Conflict, detail)
        })
    }

    async fn define(&self) -> Result<(), VirtError> {
        match self.domain_plan() {
            Ok(plan) => self.core.0.hypervisor.define(plan).await,
            Err(problem) => Err(VirtError::Call { operation: "define", message: problem.detail, code: 0 }),
        }
    }

    async fn create(&self) -> Result<(), Later> {
        if self.is_adopted().await?
            && let Some(problem) = self.keep_original().await?
        {
            return self.undo_create(problem).await;
        }
        if let Some(source) = &self.vm.spec.lineage.source
            && let Err(error) = self.core.0.hypervisor.copy_variables(source.vm, &self.vm).await
        {
            let problem = virt(&format!("Copying the UEFI variables of {}", source.name), error);
            return self.undo_create(problem).await;
        }
        match self.define().await {
            Ok(()) => {}
            Err(error) => {
                let down = matches!(error, VirtError::Down(_));
                let problem = virt(&format!("Defining {}", self.vm.spec.name), error);
                return if down { Err(problem) } else { self.undo_create(problem).await };
            }
        }
        let mut status = self.status(VmState::Off, None);
        status.applied_generation = self.vm.meta.generation;
        if self.task().is_some() {
            // Started by the next look, which also sees whether its networks are up.
            return self.report(status, None).await;
        }
        status.observed_at = Some(Timestamp::now());
        let done = self.creation.map(|task| TaskEnd { task, problem: None });
        let report = VmCommand::Report { id: self.vm.id, status, done };
        self.core.report(Command::Vm(report)).await.map(drop)
    }

    async fn undo_create(&self, problem: Problem) -> Result<(), Later> {
        // A copy's disks may still be being made; that ends when it sees that they are not wanted.
        let _hold = self.core.0.merges.hold(self.vm.id.uuid()).await;
        if self.is_adopted().await? {
            self.give_back().await?;
        } else {
            self.undo_new().await?;
        }
        let new = self.new_volumes();
        let failed = VmCommand::CreateFailed { id: self.vm.id, problem };
        self.core.report(Command::Vm(failed)).await?;
        for id in new {
            self.core.0.faults.forget_volume(id);
        }
        Ok(())
    }

    /// Volumes that were made for it.
    fn new_volumes(&self) -> Vec<VolumeId> {
        (0..self.vm.spec.disks.len()).map(|index| derived_volume(self.vm.id, index)).collect()
    }

    async fn undo_new(&self) -> Result<(), Later> {
        let undone = self.core.0.hypervisor.undefine(self.vm.id).await;
        undone.map_err(|error| virt(&format!("Undoing the making of {}", self.vm.spec.name), error))?;
        let new = self.new_volumes();
        let volumes = self.core.store().volumes_of(self.vm.id).await?;
        for volume in volumes.iter().filter(|volume| new.contains(&volume.id)) {
            remove_files(&self.core, volume).await?;
        }
        Ok(())
    }

    /// The domain first, the disks last, the rows when all is gone.
    async fn delete(&self) -> Result<(), Later> {
        if self.vm.status.applied_generation == 0 {
            let volumes = self.core.store().volumes_of(self.vm.id).await?;
            let copied = |v: &Volume| v.status.phase == Phase::Creating && v.spec.origin.is_some();
            // Nobody makes the disks of what is gone, and what was not taken over yet is somebody else's.
            if volumes.iter().any(copied) || self.is_adopted().await? {
                let why = Problem::new(ProblemKind::Cancelled, "It was deleted before it was made.");
                return self.undo_create(why).await;
            }
        }
        let doing = format!("Deleting {}", self.vm.spec.name);
        match self.core.0.hypervisor.destroy(self.vm.id).await {
            Ok(()) | Err(VirtError::NoDomain(_)) => {}
            Err(error) => return Err(virt(&doing, error)),
        }
        let _hold = self.core.0.merges.hold(self.vm.id.uuid()).await;
        self.core.0.hypervisor.undefine(self.vm.id).await.map_err(|error| virt(&doing, error))?;
        let disks = self.vm.spec.deleting.as_ref().is_some_and(|deletion| deletion.disks);
        if disks {
            for volume in self.core.store().volumes_of(self.vm.id).await? {
                remove_files(&self.core, &volume).await?;
            }
        }
        for snapshot in self.core.store().snapshots_of(self.vm.id).await? {
            super::drop_memory(&self.core, snapshot.id).await?;
        }
        let original = super::adopt::original(&self.core, self.vm.id);
        if original.exists() {
            Pool::discard(vec![original]).await.map_err(storage)?;
        }
        self.waits.forget(self.vm.id);
        self.core.report(Command::Vm(VmCommand::Deleted { id: self.vm.id })).await.map(drop)
    }

    async fn define_again(&self, state: VmState, reason: Option<String>) -> Result<(), Later> {
        if let Err(error) = self.define().await {
            let down = matches!(error, VirtError::Down(_));
            let problem = virt(&format!("Defining {}", self.vm.spec.name), error);
            if down {
                return Err(problem);
            }
            if let Some(task) = self.addition() {
                // It could be defined before.
                return self.end_change(task, ChangeEnd::Failed { problem }).await;
            }
            let mut status = self.status(state, reason.as_deref());
            status.drift = vec![problem.detail];
            self.waits.stuck(self.vm.id, self.fault.clone());
            return if status.drift == self.vm.status.drift {
                Ok(())
            } else {
                self.report(status, None).await
            };
        }
        self.waits.stuck(self.vm.id, self.fault.clone());
        let mut status = self.status(state, reason.as_deref());
        status.drift = if state.is_active() { self.vm.status.drift.clone() } else { Vec::new() };
        status.applied_generation = self.vm.meta.generation;
        if (VmStatus { observed_at: None, ..status.clone() })
            == (VmStatus { observed_at: None, ..self.vm.status.clone() })
        {
            return Ok(());
        }
        self.report(status, None).await
    }

    async fn change_medium(&self) -> Result<(), Later> {
        for change in &self.media {
            let set =
                self.core.0.hypervisor.set_cdrom(self.vm.id, &change.target, change.wanted.as_deref()).await;
            if let Err(error) = set {
                self.waits.stuck(self.vm.id, self.fault.clone());
                return Err(virt(&format!("Changing the CD of {}", self.vm.spec.name), error));
            }
        }
        Ok(())
    }

    async fn start(&self, define: bool) -> Result<(), Later> {
        let _hold = self.hold_for_start().await?;
        if let Err(why) = crate::admit::check_memory_start(&self.vm.spec, &crate::facts::nodes()) {
            let status = self.status(VmState::Off, Some("it could not be started"));
            return self.report(status, Some(Err(Problem::wrong_state(why)))).await;
        }
        if self.vm.status.state != VmState::Starting {
            self.report(self.status(VmState::Starting, None), None).await?;
        }
        if let Err(problem) = self.core.0.pool.make_shares(&self.vm.spec.hardware.shares).await {
            let status = self.status(VmState::Off, Some("it could not be started"));
            return self.report(status, Some(Err(problem))).await;
        }
        // A USB device has another number each time it is plugged in.
        let passed = !self.vm.spec.hardware.host_devices.is_empty();
        if (define || passed)
            && let Err(error) = self.define().await
        {
            return self.failed(error, VmState::Off, Some("it could not be started")).await;
        }
        let seed = self.core.seed(&self.vm);
        if let Err(error) = self.core.0.hypervisor.write_seed(self.vm.id, seed).await {
            return self.failed(error, VmState::Off, Some("it could not be started")).await;
        }
        quiesce::forget(&self.core, self.vm.id);
        match self.core.0.hypervisor.start_domain(self.vm.id).await {
            Ok(()) => {
                let mut status = self.status(VmState::Running, None);
                status.applied_generation = self.vm.meta.generation;
                self.report(status, Some(Ok(()))).await
            }
            Err(error) => self.failed(error, VmState::Off, Some("it could not be started")).await,
        }
    }

    async fn press(&self) -> Result<(), Later> {
        match self.core.0.hypervisor.press_power(self.vm.id).await {
            Ok(()) => {
                if let Some(request) = pending(&self.vm) {
                    let deadline = Duration::from_secs(u64::from(request.deadline_s));
                    self.waits.begin(self.vm.id, request.seq, Instant::now() + deadline);
                }
                self.report(self.status(VmState::Stopping, None), None).await
            }
            Err(error) => self.failed(error, self.vm.status.state, None).await,
        }
    }

    async fn force_off(&self) -> Result<(), Later> {
        if self.vm.status.state != VmState::Stopping {
            self.report(self.status(VmState::Stopping, None), None).await?;
        }
        match self.core.0.hypervisor.destroy(self.vm.id).await {
            Ok(()) | Err(VirtError::NoDomain(_)) => {
                self.report(self.status(VmState::Off, Some("forced off")), Some(Ok(()))).await
            }
            Err(error) => self.failed(error, VmState::Unknown, None).await,
        }
    }
}
