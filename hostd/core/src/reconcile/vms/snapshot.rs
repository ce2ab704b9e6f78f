//! Taking a snapshot of a machine, and going back to one.
//!
//! Taking: empty layers are made over the active ones, and the disks are switched to them, all or none, by QEMU if the
//! machine runs, by the next definition if it is off. The new layers are the truth as soon as they are there: they show
//! the same as what they are over, so a crash before, during or after the switch ends in the same snapshot. With the memory
//! of a running machine libvirt writes that first (`memory.rs`).

use super::act::{Later, Work};
use super::memory::drop_memory;
use super::plan::Wait;
use super::quiesce;
use crate::admit::pending;
use crate::error::{disk, virt};
use crate::merges::Hold;
use crate::reconcile::layers::{FileStep, tell_merged, without_merges};
use hostd_types::command::{SnapshotCommand, VmCommand};
use hostd_types::*;
use hostd_virt::{LiveDisk, SeenDomain, VirtError};
use std::time::Instant;

/// What is to do about a machine's snapshots.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    /// Let its guest go on.
    GoOn,
    /// Take this one.
    Take(Box<Snapshot>),
    /// Go back.
    Revert(Revert),
}

impl Change {
    /// It writes or reads memory, which only so many machines do at once.
    pub fn needs_memory_room(&self) -> bool {
        match self {
            Change::GoOn => false,
            Change::Take(snapshot) => snapshot.spec.memory,
            Change::Revert(revert) => revert.resume,
        }
    }
}

/// The next change, if now is the time for one; pure. `held`: the guest was asked to hold still, and nobody works on it.
pub(super) fn change(
    vm: &Vm,
    domain: Option<&SeenDomain>,
    taking: Option<&Snapshot>,
    held: bool,
) -> Option<Change> {
    let now = domain.map_or(VmState::Off, |domain| domain.state);
    if vm.spec.deleting.is_some() || vm.status.phase != Phase::Ready {
        return None;
    }
    // A machine that hangs can be forced off first: what is then taken is what its disks hold.
    let pressed = pending(vm).map(|request| request.action);
    if pressed == Some(PowerAction::ForceOff) || (held && pressed == Some(PowerAction::Reset)) {
        return None;
    }
    if held {
        return Some(Change::GoOn);
    }
    match now {
        VmState::Starting | VmState::Stopping | VmState::Unknown => return None,
        VmState::Off | VmState::Crashed | VmState::Running | VmState::Paused => {}
    }
    if let Some(snapshot) = taking {
        return Some(Change::Take(Box::new(snapshot.clone())));
    }
    vm.spec.snapshots.revert.clone().map(Change::Revert)
}

/// A disk that gets a new layer.
pub(super) struct Put {
    pub volume: Volume,
    pub next: LayerId,
    under: LayerId,
}

impl Work {
    pub(super) async fn change(self, change: Change) {
        let result = match change {
            Change::GoOn => {
                quiesce::try_again(&self.core, &self.waits, self.vm.id).await;
                Ok(())
            }
            Change::Take(snapshot) => self.take(&snapshot).await,
            Change::Revert(revert) => self.revert(&revert).await,
        };
        if let Err(problem) = result {
            tracing::warn!(vm = self.vm.spec.name, %problem, "a machine's snapshots are not as wanted yet");
            // Not even a wake-up makes it spin.
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
    }

    /// Keeps merges off the disks, and makes sure that the rows say which layers count.
    pub(super) async fn hold_layers(&self) -> Result<(Vec<Hold>, Vec<Volume>), Later> {
        let mut hold = vec![self.core.0.merges.hold(self.vm.id.uuid()).await];
        let mut noted = false;
        let volumes = self.core.store().volumes_of(self.vm.id).await?;
        for volume in &volumes {
            // It may have been worked on before it was given to the machine.
            hold.push(self.core.0.merges.hold(volume.id.uuid()).await);
            noted |= tell_merged(&self.core, volume).await?;
        }
        let volumes = if noted { self.core.store().volumes_of(self.vm.id).await? } else { volumes };
        Ok((hold, volumes))
    }

    /// Keeps merges off the disks while the domain is made from them; refuses to go on with layers that were merged since.
    pub(super) async fn hold_for_start(&self) -> Result<Vec<Hold>, Later> {
        let (hold, volumes) = self.hold_layers().await?;
        let active: Vec<_> = volumes.iter().map(|volume| self.core.0.pool.active(volume).path).collect();
        if let Some(plan) = &self.plan
            && !plan.disks.iter().all(|disk| active.contains(&disk.path))
        {
            return Err(Problem::wrong_state("Its disks have changed since they were looked at."));
        }
        Ok(hold)
    }

    async fn take(&self, snapshot: &Snapshot) -> Result<(), Later> {
        let (_hold, volumes) = self.hold_layers().await?;
        let puts = puts(&volumes, &snapshot.spec.next, |volume| Some(volume.spec.layers.active));
        let doing = format!("Taking the snapshot {} of {}", snapshot.spec.name, self.vm.spec.name);
        // What an earlier daemon began may end any moment; only then what is seen is certain.
        self.nothing_goes_on(snapshot, &doing).await?;
        let live = self.live_disks(&doing).await?;
        if live.as_ref().is_some_and(|live| self.switched(live, &puts)) {
            return self.taken(snapshot, true, false).await;
        }
        if let Err(problem) = self.put(&puts, &doing).await {
            return self.not_taken(snapshot, problem).await;
        }
        if live.is_none() {
            return if snapshot.spec.memory {
                let detail = format!("{doing} failed: it went off before its memory was kept.");
                self.give_up(snapshot, Problem::wrong_state(detail), true).await
            } else {
                self.taken(snapshot, false, false).await
            };
        }
        // QEMU may go on with a merge that an earlier daemon began.
        let Some(live) = without_merges(&self.core, self.vm.id, &doing).await? else {
            return Err(Problem::wrong_state("It went off meanwhile."));
        };
        // To give up layers that QEMU writes to would lose what the guest writes.
        if self.switched(&live, &puts) {
            return self.taken(snapshot, true, false).await;
        }
        let pool = &self.core.0.pool;
        let mut to = Vec::new();
        for put in &puts {
            let now = pool.layer(&put.volume, put.under).path;
            let Some(disk) = live.iter().find(|disk| disk.files.first() == Some(&now)) else {
                let detail = format!(
                    "{doing} failed: the disk {} is not attached to the running machine as it is known. Restart the machine.",
                    put.volume.spec.name
                );
                return self.not_taken(snapshot, Problem::new(ProblemKind::Conflict, detail)).await;
            };
            to.push((disk.target.clone(), pool.layer(&put.volume, put.next).path));
        }
        if snapshot.spec.memory {
            let room = self.memory_room(&doing)?;
            let done = self.keep_memory(snapshot, to, room).await;
            return self.switch_ended(snapshot, &puts, done, false).await;
        }
        let switch = self.core.0.hypervisor.switch_disks(self.vm.id, to);
        // A switch that was late may still happen. The next one waits behind it, and must not be given up because the
        // guest, which the first may have frozen, can't be asked again.
        let late = format!("switch {}", snapshot.id);
        let quiesce = snapshot.spec.quiesce && self.waits.asked(self.vm.id, &late) == Wait::None;
        let (done, quiesced) = if quiesce {
            match quiesce::quiesced(&self.core, &self.vm, switch).await {
                Ok(done) => done,
                Err(problem) => return self.not_taken(snapshot, problem).await,
            }
        } else {
            (switch.await, false)
        };
        let done = done.map_err(|error| {
            if error.retryable() {
                self.waits.ask(self.vm.id, late, Instant::now());
            }
            (error.retryable(), virt(&doing, error))
        });
        self.switch_ended(snapshot, &puts, done, quiesced).await
    }

    /// Reports how a switch came out. Of a failure `true` says that it may still happen.
    async fn switch_ended(
        &self,
        snapshot: &Snapshot,
        puts: &[Put],
        done: Result<(), (bool, Problem)>,
        quiesced: bool,
    ) -> Result<(), Later> {
        match done {
            Ok(()) => self.taken(snapshot, true, quiesced).await,
            Err((true, problem)) => Err(problem),
            // Refused; but only what QEMU shows now is certain.
            Err((false, problem)) => match self.live_disks("Looking at the disks").await? {
                Some(live) if !self.switched(&live, puts) => self.not_taken(snapshot, problem).await,
                Some(_) => self.taken(snapshot, true, quiesced).await,
                None => Err(problem),
            },
        }
    }

    async fn live_disks(&self, doing: &str) -> Result<Option<Vec<LiveDisk>>, Later> {
        self.core.0.hypervisor.live_disks(self.vm.id).await.map_err(|error| virt(doing, error))
    }

    /// QEMU writes to the new layers.
    fn switched(&self, live: &[LiveDisk], puts: &[Put]) -> bool {
        let is_top = |path| live.iter().any(|disk| disk.files.first() == Some(&path));
        !puts.is_empty() && puts.iter().all(|put| is_top(self.core.0.pool.layer(&put.volume, put.next).path))
    }

    async fn put(&self, puts: &[Put], doing: &str) -> Result<(), Problem> {
        for Put { volume, next, under } in puts {
            let step = FileStep::Put { next: *next, under: *under };
            step.run(&self.core.0.pool, volume).await.map_err(|error| disk(doing, error))?;
        }
        Ok(())
    }

    async fn taken(&self, snapshot: &Snapshot, running: bool, quiesced: bool) -> Result<(), Later> {
        let memory_bytes = if snapshot.spec.memory { self.kept_memory(snapshot).await? } else { None };
        let taken = SnapshotCommand::Taken { id: snapshot.id, running, quiesced, memory_bytes };
        self.core.report(Command::Snapshot(taken)).await.map(drop)
    }

    async fn not_taken(&self, snapshot: &Snapshot, problem: Problem) -> Result<(), Later> {
        self.give_up(snapshot, problem, false).await
    }

    /// `switched`: the new layers may be written to.
    async fn give_up(&self, snapshot: &Snapshot, problem: Problem, switched: bool) -> Result<(), Later> {
        if snapshot.spec.memory {
            drop_memory(&self.core, snapshot.id).await?;
        }
        let failed = SnapshotCommand::CreateFailed { id: snapshot.id, problem, switched };
        self.core.report(Command::Snapshot(failed)).await.map(drop)
    }

    async fn revert(&self, revert: &Revert) -> Result<(), Later> {
        let vm = self.vm.id;
        let doing = format!("Taking {} back to a snapshot", self.vm.spec.name);
        if revert.resume {
            let file = self.core.0.pool.memory(revert.snapshot);
            let whole = self.core.0.hypervisor.is_whole(&file).await.map_err(|error| virt(&doing, error))?;
            if !whole {
                // The machine is left as it is.
                let detail = "The memory of this snapshot can't be read whole; go back to its disks alone.";
                return self.not_reverted(Problem::wrong_state(detail)).await;
            }
        }
        match self.core.0.hypervisor.destroy(vm).await {
            Ok(()) | Err(VirtError::NoDomain(_)) => {}
            Err(error) if error.retryable() => return Err(virt(&doing, error)),
            Err(error) => return self.not_reverted(virt(&doing, error)).await,
        }
        if self.vm.status.state.is_active() {
            let mut status = self.status(VmState::Off, Some("switched off to go back to a snapshot"));
            status.observed_at = Some(Timestamp::now());
            self.core.report(Command::Vm(VmCommand::Report { id: vm, status, done: None })).await?;
        }
        let (_hold, volumes) = self.hold_layers().await?;
        let Some(snapshot) = self.core.store().snapshot(revert.snapshot).await? else {
            return self.not_reverted(Problem::not_found("snapshot", revert.snapshot)).await;
        };
        let puts = puts(&volumes, &revert.next, |volume| snapshot.spec.layers.get(&volume.id).copied());
        if revert.resume {
            self.drop_fresh(&puts).await?;
        }
        if let Err(problem) = self.put(&puts, &doing).await {
            return self.not_reverted(problem).await;
        }
        if revert.resume {
            let _room = self.memory_room(&doing)?;
            if let Err((later, problem)) = self.resume(&snapshot, &puts).await {
                return if later { Err(problem) } else { self.not_reverted(problem).await };
            }
        }
        self.core.report(Command::Snapshot(SnapshotCommand::Reverted { vm })).await.map(drop)
    }

    async fn not_reverted(&self, problem: Problem) -> Result<(), Later> {
        let failed = SnapshotCommand::RevertFailed { vm: self.vm.id, problem };
        self.core.report(Command::Snapshot(failed)).await.map(drop)
    }
}

fn puts(volumes: &[Volume], next: &LayerMap, under: impl Fn(&Volume) -> Option<LayerId>) -> Vec<Put> {
    let put = |volume: &Volume| {
        let (next, under) = (*next.get(&volume.id)?, under(volume)?);
        Some(Put { volume: volume.clone(), next, under })
    };
    volumes.iter().filter_map(put).collect()
}
