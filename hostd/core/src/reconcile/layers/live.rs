//! Merging layers that a running machine uses: QEMU does it, and is asked how far it is.
//!
//! When the active layer is the one to go, the layer under it takes its place while the machine is paused, for the blink
//! until that is noted beside the files: whatever dies at whatever moment, what the guest wrote is in the one file that
//! the note or its absence names.

use super::Work;
use super::files::renames;
use crate::Core;
use crate::error::{disk, storage, virt};
use crate::merges::{Pause, Turn};
use crate::pool::Pool;
use crate::reconcile::vms::mark;
use hostd_types::*;
use hostd_virt::{LiveDisk, VirtError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Time between two looks at a merge.
const LOOK: Duration = Duration::from_millis(200);

/// How a merge inside QEMU came out.
pub(super) enum Ended<'a> {
    /// What the layer held is in the one under it. What QEMU shows of the machine differs from the rows until they say
    /// so.
    Merged(Option<Pause<'a>>),
    /// Somebody needs the disks; it goes on later.
    Stopped,
    /// No QEMU uses the layer.
    NotInUse,
}

impl Work {
    /// The files that a running machine has open.
    pub(super) async fn files_in_use(&self, vm: VmId) -> Result<Vec<PathBuf>, Problem> {
        let disks = self.core.0.hypervisor.live_disks(vm).await.map_err(|error| self.failed(error))?;
        Ok(disks.into_iter().flatten().flat_map(|disk| disk.files).collect())
    }

    fn failed(&self, error: VirtError) -> Problem {
        let later = error.retryable();
        let mut problem = virt(&format!("Merging layers of the disk {}", self.volume.spec.name), error);
        if later {
            problem.kind = ProblemKind::Unavailable;
        }
        problem
    }

    /// What libvirt answered; nothing when it could not because the machine is off by now.
    async fn answered<T>(&self, vm: VmId, answer: Result<T, VirtError>) -> Result<Option<T>, Problem> {
        match answer {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.retryable() => Err(self.failed(error)),
            Err(error) => match self.core.0.hypervisor.live_disks(vm).await {
                Ok(None) => Ok(None),
                Ok(Some(_)) | Err(_) => Err(self.failed(error)),
            },
        }
    }

    fn odd(&self, what: &str) -> Problem {
        let detail = format!(
            "Merging layers of the disk {} stopped: {what}. Nothing was removed.",
            self.volume.spec.name
        );
        Problem::new(ProblemKind::Internal, detail)
    }

    /// Merges `upper` while the machine runs.
    pub(super) async fn merge_live(
        &self,
        vm: VmId,
        upper: LayerId,
        turn: &Turn,
    ) -> Result<Ended<'_>, Problem> {
        let layers = &self.volume.spec.layers;
        let Some(lower) = layers.over.get(&upper).copied() else { return Ok(Ended::NotInUse) };
        let file = |layer| self.core.0.pool.layer(&self.volume, layer).path;
        let (top, base) = (file(upper), file(lower));
        let mut begun = false;
        loop {
            let disks = self.core.0.hypervisor.live_disks(vm).await.map_err(|error| self.failed(error))?;
            let Some(disks) = disks else { return Ok(Ended::NotInUse) };
            let Some((live, at)) = position(&disks, &top) else {
                // Either no machine uses it, or it was taken out and nobody was there to note it.
                if !disks.iter().any(|live| live.files.contains(&base)) {
                    return Ok(Ended::NotInUse);
                }
                self.taken_out(vm, upper, lower, &disks).await?;
                return Ok(Ended::Merged(None));
            };
            if live.files.get(at + 1) != Some(&base) {
                return Err(self.odd("QEMU has it over another file than noted"));
            }
            let job = self.core.0.hypervisor.block_job(vm, &live.target).await;
            let job = self.answered(vm, job).await?;
            if !begun && job.is_some() {
                // libvirt has answered, so that whatever an earlier call or daemon began is over; only then it may go on.
                match self.core.0.hypervisor.live_disks(vm).await.map_err(|error| self.failed(error))? {
                    Some(disks) if position(&disks, &top).is_some() => go_on(&self.core, vm).await,
                    Some(_) | None => continue,
                }
            }
            match job {
                None => return Ok(Ended::NotInUse),
                Some(None) if begun => return Err(self.odd("QEMU gave it up; the pool may be full")),
                Some(None) => {
                    self.note_merging(upper)?;
                    let begin = self.core.0.hypervisor.begin_merge(vm, &live.target, &top, &base, at == 0);
                    if self.answered(vm, begin.await).await?.is_none() {
                        return Ok(Ended::NotInUse);
                    }
                }
                Some(Some(job)) => {
                    if let Some(task) = self.task {
                        self.core.0.live.measure(task, Progress { done: job.done, total: job.total });
                    }
                    if at == 0 && live.mergeable {
                        return self.take_over(vm, upper, lower, live).await;
                    }
                }
            }
            begun = true;
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = turn.stop.cancelled() => {
                    self.stop(vm, live).await;
                    return Ok(Ended::Stopped);
                }
                // QEMU goes on with it by itself; the next daemon follows.
                () = self.core.0.stop.cancelled() => return Ok(Ended::Stopped),
            }
        }
    }

    async fn stop(&self, vm: VmId, live: &LiveDisk) {
        if let Err(error) = self.core.0.hypervisor.stop_merge(vm, &live.target).await {
            // It may have ended by itself, or QEMU did.
            tracing::info!(%vm, %error, "a merge can't be stopped");
        }
    }

    /// Lets the layer under the active one take its place.
    async fn take_over(
        &self,
        vm: VmId,
        upper: LayerId,
        lower: LayerId,
        live: &LiveDisk,
    ) -> Result<Ended<'_>, Problem> {
        let hypervisor = &self.core.0.hypervisor;
        let quiet = self.core.0.merges.pause(vm);
        let note = paused_note(&self.core, vm);
        let runs = self.runs(vm).await?;
        if runs {
            mark(&note).map_err(storage)?;
            let paused = hypervisor.suspend(vm).await;
            if let Err(error @ VirtError::Down(_)) = paused {
                return Err(self.failed(error)); // it may still be paused: the note stays until it goes on
            }
            if !matches!(self.answered(vm, paused).await, Ok(Some(()))) {
                go_on(&self.core, vm).await;
                return Err(self.odd("the machine could not be paused for it"));
            }
        }
        let taken = hypervisor.take_over(vm, &live.target).await;
        let taken = match taken {
            // It may still happen. The machine stays paused until the next look, which asks libvirt first.
            Err(error) if error.retryable() => return Err(self.failed(error)),
            other => other,
        };
        let done = self.check_taken_over(vm, upper, lower, taken).await;
        go_on(&self.core, vm).await;
        Ok(if done? { Ended::Merged(Some(quiet)) } else { Ended::NotInUse })
    }

    /// Whether it has taken over, noted durably; not when QEMU ended meanwhile.
    async fn check_taken_over(
        &self,
        vm: VmId,
        upper: LayerId,
        lower: LayerId,
        taken: Result<(), VirtError>,
    ) -> Result<bool, Problem> {
        let disks = self.core.0.hypervisor.live_disks(vm).await.map_err(|error| self.failed(error))?;
        let file = |layer| self.core.0.pool.layer(&self.volume, layer).path;
        // Without QEMU nothing was written since the pause: both show the same, and the rows still name the upper one.
        let Some(disks) = disks else { return Ok(false) };
        if position(&disks, &file(upper)).is_some() {
            taken.map_err(|error| self.failed(error))?;
            return Err(self.odd("QEMU still uses the layer that was to go"));
        }
        if position(&disks, &file(lower)).is_none_or(|(_, at)| at > 0) {
            return Err(self.odd("QEMU does not use the layer that was to take over"));
        }
        self.note_merged(upper)?;
        Ok(true)
    }

    /// The layer is out of QEMU's chain, which happens only when the one under it has everything.
    async fn taken_out(
        &self,
        vm: VmId,
        upper: LayerId,
        lower: LayerId,
        disks: &[LiveDisk],
    ) -> Result<(), Problem> {
        let pool = &self.core.0.pool;
        if self.volume.spec.layers.active == upper {
            self.note_merged(upper)?;
            go_on(&self.core, vm).await;
            return Ok(());
        }
        let doing = format!("Checking the merged disk {}", self.volume.spec.name);
        let path = pool.layer(&self.volume, upper).path;
        let lower_file = pool.layer(&self.volume, lower);
        let mut verified = hostd_virt::disk::verify(&path, &lower_file, true).await;
        if verified.is_err() {
            // Of a file that it could write to before, QEMU may keep tables in its memory: it writes them when it stops.
            self.flush(vm).await?;
            verified = hostd_virt::disk::verify(&path, &lower_file, true).await;
        }
        verified.map_err(|error| disk(&doing, error))?;
        for step in renames(&self.volume.spec.layers, upper, lower) {
            let super::FileStep::Rename { layer, .. } = step else { continue };
            // QEMU has renamed what it uses itself.
            if position(disks, &pool.layer(&self.volume, layer).path).is_none() {
                self.step(step).await?;
            }
        }
        Ok(())
    }

    /// Pauses a machine that runs for a moment, in which QEMU writes out everything of all its files.
    async fn flush(&self, vm: VmId) -> Result<(), Problem> {
        if !self.runs(vm).await? {
            return Ok(());
        }
        let _quiet = self.core.0.merges.pause(vm);
        mark(&paused_note(&self.core, vm)).map_err(storage)?;
        let paused = self.core.0.hypervisor.suspend(vm).await;
        if let Err(error @ VirtError::Down(_)) = paused {
            return Err(self.failed(error)); // it may still be paused: the note stays until it goes on
        }
        go_on(&self.core, vm).await;
        Ok(())
    }

    /// Notes durably, beside the files, that the layer under `upper` is the one that counts.
    fn note_merged(&self, upper: LayerId) -> Result<(), Problem> {
        make_note(&self.core.0.pool.merged(self.volume.id, upper))
    }

    /// Notes durably that from now on a part of what `upper` holds may be in the layer under it.
    pub(super) fn note_merging(&self, upper: LayerId) -> Result<(), Problem> {
        make_note(&self.core.0.pool.merging(self.volume.id, upper))
    }

    async fn runs(&self, vm: VmId) -> Result<bool, Problem> {
        let seen = self.core.0.hypervisor.domains().await.map_err(|error| self.failed(error))?;
        Ok(seen.iter().any(|domain| domain.vm == vm && domain.state == VmState::Running))
    }
}

fn make_note(note: &Path) -> Result<(), Problem> {
    let write = || {
        std::fs::File::create(note)?.sync_all()?;
        Pool::sync_dir(note)
    };
    write().map_err(storage)
}

/// The disks of a running machine once QEMU merges nothing, whoever began it; none when it is off.
///
/// # Errors
/// When libvirt does not answer, or a merge can't be stopped yet.
pub(in crate::reconcile) async fn without_merges(
    core: &Core,
    vm: VmId,
    doing: &str,
) -> Result<Option<Vec<LiveDisk>>, Problem> {
    let hypervisor = &core.0.hypervisor;
    let Some(disks) = hypervisor.live_disks(vm).await.map_err(|error| virt(doing, error))? else {
        return Ok(None);
    };
    for disk in disks.iter().filter(|disk| !disk.files.is_empty()) {
        let job = match hypervisor.block_job(vm, &disk.target).await {
            Ok(job) => job,
            // It has no such job, or went off; the look below tells.
            Err(error) if !error.retryable() => None,
            Err(error) => return Err(virt(doing, error)),
        };
        if job.is_some()
            && let Err(error) = hypervisor.stop_merge(vm, &disk.target).await
        {
            tracing::info!(%vm, %error, "a merge that was left can't be stopped");
            if hypervisor.block_job(vm, &disk.target).await.is_ok_and(|job| job.is_some()) {
                return Err(virt(doing, error));
            }
        }
    }
    hypervisor.live_disks(vm).await.map_err(|error| virt(doing, error))
}

/// Where it is noted that a merge paused a machine.
fn paused_note(core: &Core, vm: VmId) -> PathBuf {
    core.settings().run_dir.join("vm").join(vm.to_string()).join("paused-for-merge")
}

/// Lets a machine go on, if a merge paused it.
pub(in crate::reconcile) async fn go_on(core: &Core, vm: VmId) {
    let note = paused_note(core, vm);
    if note.symlink_metadata().is_err() {
        return;
    }
    match core.0.hypervisor.resume(vm).await {
        Ok(()) | Err(VirtError::NoDomain(_)) => drop(std::fs::remove_file(note)),
        Err(error) if error.retryable() => {
            tracing::warn!(%vm, %error, "a machine that was paused for a merge can't go on yet");
        }
        // It is off, or goes on already.
        Err(_) => drop(std::fs::remove_file(note)),
    }
}

/// Where a file is in the chain of a disk.
fn position<'a>(disks: &'a [LiveDisk], file: &Path) -> Option<(&'a LiveDisk, usize)> {
    disks.iter().find_map(|live| live.files.iter().position(|f| f == file).map(|at| (live, at)))
}
