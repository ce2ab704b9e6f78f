//! The memory of a running machine: kept with a snapshot, and gone on from.
//!
//! libvirt writes it to a file whose header says whether it is whole, and only then switches the disks; whatever dies, a
//! machine whose disks were switched has its memory in the file. Going on begins with fresh layers over those of the snapshot
//! each time it is tried, since a guest that went on for a moment has written to them; the rows name them when it runs.

use super::act::{Later, Work};
use super::snapshot::Put;
use crate::Core;
use crate::admit::pending;
use crate::error::{storage, virt};
use crate::pool::Pool;
use hostd_types::*;
use hostd_virt::VirtError;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;

/// Time between two looks at how much is written.
const LOOK: Duration = Duration::from_millis(500);
/// A guest that changes its memory faster than it can be written is stopped after this long, so that it ends.
const ENOUGH: Duration = Duration::from_secs(60);

impl Work {
    /// Makes sure that libvirt does nothing about a snapshot any more that an earlier daemon began.
    pub(super) async fn nothing_goes_on(&self, snapshot: &Snapshot, doing: &str) -> Result<(), Later> {
        let job = self.core.0.hypervisor.job(self.vm.id).await.map_err(|error| virt(doing, error))?;
        let Some(job) = job else { return Ok(()) };
        self.measure(snapshot, Progress { done: job.done, total: job.total });
        if self.is_cancelled(snapshot).await? {
            self.stop().await;
        }
        let detail = format!("{doing} goes on: what was begun before the restart has not ended yet.");
        Err(Problem::new(ProblemKind::Unavailable, detail))
    }

    /// A place among those whose memory is written or read, taken when nothing but that is left to do.
    pub(super) fn memory_room(&self, doing: &str) -> Result<OwnedSemaphorePermit, Later> {
        Arc::clone(&self.memories).try_acquire_owned().map_err(|_| {
            let detail = format!("{doing} waits until the memory of other machines is written.");
            Problem::new(ProblemKind::Unavailable, detail)
        })
    }

    /// Keeps the memory and switches the disks. Of a failure `true` says that it may still happen.
    pub(super) async fn keep_memory(
        &self,
        snapshot: &Snapshot,
        to: Vec<(String, PathBuf)>,
        room: OwnedSemaphorePermit,
    ) -> Result<(), (bool, Problem)> {
        let mut room = Some(room);
        let doing = format!("Taking the snapshot {} of {}", snapshot.spec.name, self.vm.spec.name);
        // Half a file of an earlier try.
        drop_memory(&self.core, snapshot.id).await.map_err(|problem| (false, problem))?;
        let file = self.core.0.pool.memory(snapshot.id);
        let mut call = std::pin::pin!(self.core.0.hypervisor.keep_memory(self.vm.id, to, file));
        let (begun, mut cancelled, mut paused) = (Instant::now(), false, false);
        let done = loop {
            tokio::select! {
                done = &mut call => break done,
                () = tokio::time::sleep(LOOK) => {}
                // libvirt goes on with it by itself; the next daemon follows.
                () = self.core.0.stop.cancelled() => {
                    let detail = format!("{doing} goes on without the daemon.");
                    return Err((true, Problem::new(ProblemKind::Unavailable, detail)));
                }
            }
            match self.core.0.hypervisor.job(self.vm.id).await {
                Ok(Some(job)) => self.measure(snapshot, Progress { done: job.done, total: job.total }),
                Ok(None) => {}
                // QEMU hangs: others need not wait for it.
                Err(_) => drop(room.take()),
            }
            if !cancelled && self.is_cancelled(snapshot).await.unwrap_or(false) {
                cancelled = true;
                self.stop().await;
            }
            if self.is_forced_off().await.unwrap_or(false) {
                // A QEMU that hangs ends neither its job nor when it is asked to.
                let pulled = self.core.0.hypervisor.destroy(self.vm.id).await;
                tracing::info!(vm = self.vm.spec.name, ?pulled, "it is forced off while its memory is kept");
            }
            if !paused && begun.elapsed() > ENOUGH {
                // libvirt lets it go on when it is done, as it was running at the beginning.
                paused = self.core.0.hypervisor.suspend(self.vm.id).await.is_ok();
            }
        };
        if let Some(task) = snapshot.spec.task {
            self.core.0.live.end(task);
        }
        done.map_err(|error| match error.retryable() {
            false if cancelled => {
                let detail = format!("{doing} was cancelled; nothing of it was kept.");
                (false, Problem::new(ProblemKind::Cancelled, detail))
            }
            later => (later, self.in_words(&doing, error)),
        })
    }

    /// A full disk by its name: QEMU tells of an input or output error alone.
    fn in_words(&self, doing: &str, error: VirtError) -> Problem {
        let mut problem = virt(doing, error);
        if self.core.0.pool.space().is_ok_and(|space| space.free_bytes < ROOM) {
            problem.kind = ProblemKind::Capacity;
            problem.detail.push_str(" The pool is full; nothing of it was kept.");
        }
        problem
    }

    fn measure(&self, snapshot: &Snapshot, progress: Progress) {
        if let Some(task) = snapshot.spec.task {
            self.core.0.live.measure(task, progress);
        }
    }

    async fn is_cancelled(&self, snapshot: &Snapshot) -> Result<bool, Problem> {
        let Some(task) = snapshot.spec.task else { return Ok(false) };
        Ok(self.core.store().task(task).await?.is_some_and(|task| task.cancelling))
    }

    /// Somebody asked for that since the machine was looked at.
    async fn is_forced_off(&self) -> Result<bool, Problem> {
        let now = self.core.store().vm(self.vm.id).await?;
        Ok(now.as_ref().and_then(pending).is_some_and(|request| request.action == PowerAction::ForceOff))
    }

    async fn stop(&self) {
        if let Err(error) = self.core.0.hypervisor.stop_job(self.vm.id).await {
            tracing::info!(vm = self.vm.spec.name, %error, "the keeping of its memory can't be stopped");
        }
    }

    /// How large the file is that keeps the memory, durably; none when there is none, although the disks were switched.
    pub(super) async fn kept_memory(&self, snapshot: &Snapshot) -> Result<Option<u64>, Later> {
        let file = self.core.0.pool.memory(snapshot.id);
        let doing = format!("Looking at the memory of {}", self.vm.spec.name);
        let whole = self.core.0.hypervisor.is_whole(&file).await.map_err(|error| virt(&doing, error))?;
        if !whole {
            tracing::warn!(vm = self.vm.spec.name, file = %file.display(), "a snapshot's memory is not whole; it keeps disks alone");
            drop_memory(&self.core, snapshot.id).await?;
            return Ok(None);
        }
        let look = move || -> std::io::Result<u64> {
            let opened = std::fs::File::open(&file)?;
            opened.sync_all()?;
            Pool::sync_dir(&file)?;
            Ok(opened.metadata()?.len())
        };
        let looked = tokio::task::spawn_blocking(look).await.map_err(std::io::Error::other);
        looked.and_then(|done| done).map(Some).map_err(storage)
    }

    /// Removes layers that an earlier try to go on was over; nothing uses them, and no row knows them.
    pub(super) async fn drop_fresh(&self, puts: &[Put]) -> Result<(), Later> {
        let files = puts.iter().map(|put| self.core.0.pool.layer(&put.volume, put.next).path).collect();
        Pool::discard(files).await.map_err(storage)
    }

    /// Lets the guest go on from the memory of `snapshot` on fresh layers. Of a failure `true` says to try again.
    pub(super) async fn resume(&self, snapshot: &Snapshot, puts: &[Put]) -> Result<(), (bool, Problem)> {
        let doing = format!("Letting {} go on from the snapshot {}", self.vm.spec.name, snapshot.spec.name);
        let hypervisor = &self.core.0.hypervisor;
        let failed = |error: VirtError| (error.retryable(), virt(&doing, error));
        let seed = self.core.seed(&self.vm);
        hypervisor.write_seed(self.vm.id, seed).await.map_err(failed)?;
        let active = puts
            .iter()
            .map(|put| (put.volume.id, self.core.0.pool.layer(&put.volume, put.next).path))
            .collect();
        let file = self.core.0.pool.memory(snapshot.id);
        let now = self.domain_plan().map_err(|problem| (false, problem))?.clone();
        if let Err(error) = hypervisor.go_on_from(self.vm.id, file, active, now).await {
            if !error.retryable() {
                // Half a machine does not stay.
                match hypervisor.destroy(self.vm.id).await {
                    Ok(()) | Err(VirtError::NoDomain(_)) => {}
                    Err(error) => return Err((true, virt(&doing, error))),
                }
            }
            return Err(failed(error));
        }
        let mut status = self.status(VmState::Running, None);
        status.observed_at = Some(Timestamp::now());
        let report = command::VmCommand::Report { id: self.vm.id, status, done: None };
        self.core.report(Command::Vm(report)).await.map(drop).map_err(|problem| (true, problem))
    }
}

/// Less than this means that the pool is full.
const ROOM: u64 = 1 << 20;

/// Removes the file that keeps a snapshot's memory; fine when there is none.
pub(in crate::reconcile) async fn drop_memory(core: &Core, snapshot: SnapshotId) -> Result<(), Problem> {
    Pool::discard(vec![core.0.pool.memory(snapshot)]).await.map_err(storage)
}
