//! Layers of disks on this host that no snapshot needs: merged into the one under them, then removed.
//!
//! The order keeps every byte: copy, check, let what was over the layer be over its heir, write that into the rows, and
//! only then remove the file. A merge that is cut is begun again from the files, the rows and what QEMU shows; whoever
//! needs the disks (a start, a snapshot) cuts it.

mod files;
mod live;
mod stop;
#[cfg(test)]
mod story_tests;

pub(super) use files::FileStep;
pub(super) use live::{go_on, without_merges};

use super::jobs::Jobs;
use super::vms::drop_memory;
use super::{Reconcile, Summary};
use crate::Core;
use crate::error::disk;
use crate::merges::Turn;
use hostd_types::command::SnapshotCommand;
use hostd_types::*;
use std::collections::HashMap;
use std::time::Duration;

/// Disks worked on at the same time.
const AT_ONCE: usize = 4;

/// Pause while libvirt or the cluster does not answer.
const WAIT: Duration = Duration::from_secs(1);

/// What is to do about the layers of one volume.
struct Next {
    volume: Volume,
    /// The layer to merge; none: only files are to be removed.
    upper: Option<LayerId>,
    /// Who watches.
    task: Option<TaskId>,
}

/// Writes into the rows what merges came to whose outcome is noted beside the files alone; tells whether there was any. To be
/// called while nothing works on the layers.
///
/// # Errors
/// When it can't be written.
pub(super) async fn tell_merged(core: &Core, volume: &Volume) -> Result<bool, Problem> {
    let mut noted = false;
    for upper in volume.spec.layers.over.keys().copied() {
        if core.0.pool.merged(volume.id, upper).exists() {
            noted = true;
            let merged = SnapshotCommand::Merged { volume: volume.id, upper };
            core.report(Command::Snapshot(merged)).await?;
        }
    }
    if let (true, Some(vm)) = (noted, volume.spec.vm) {
        go_on(core, vm).await; // the daemon that paused it for the merge died before it could
    }
    Ok(noted)
}

/// Merges and removes layers.
pub(super) struct LayersOfDisks {
    core: Core,
    jobs: Jobs<VolumeId>,
    stops: Jobs<SnapshotId>,
}

impl LayersOfDisks {
    pub fn new(core: &Core) -> Self {
        core.0.merges.tell(&core.0.wakes.layers);
        let (tracker, bell) = (&core.0.tracker, &core.0.wakes.layers);
        Self {
            core: core.clone(),
            jobs: Jobs::new(AT_ONCE, tracker, bell),
            stops: Jobs::new(AT_ONCE, tracker, bell),
        }
    }

    /// What is to do next about the layers of a volume, by the rows as they are now.
    async fn next(&self, id: VolumeId) -> Result<Option<Next>, Problem> {
        let store = self.core.store();
        let Some(volume) = store.volume(id).await? else { return Ok(None) };
        let snapshots = match volume.spec.vm {
            Some(vm) => store.snapshots_of(vm).await?,
            None => Vec::new(),
        };
        let mut kept = owned_layers(&snapshots, id);
        // What somebody stopped rests until it is asked for again.
        let stopped = snapshots.iter().filter(|snapshot| snapshot.status.stopped);
        kept.extend(stopped.filter_map(|snapshot| snapshot.spec.layers.get(&id)));
        kept.extend(pinned_layers(&volume, &store.volumes_from(&[id].into()).await?));
        let upper = volume.spec.layers.next_merge(&kept);
        if upper.is_none() && volume.spec.layers.gone.is_empty() {
            return Ok(None);
        }
        let task = upper.and_then(|upper| task(&snapshots, &volume, upper));
        Ok(Some(Next { volume, upper, task }))
    }

    /// Ends the deletions about which nothing more is to do now, or that failed. What copies need is merged later, by itself.
    async fn settle(&self, volumes: &HashMap<VolumeId, Volume>, all: &[Volume]) -> Result<usize, Problem> {
        let mut ended = 0;
        let tasks = self.core.store().running_tasks_on(self.core.host()).await?;
        for snapshot in self.core.store().unsettled_snapshots_on(self.core.host()).await? {
            if snapshot.status.phase != Phase::Deleting {
                continue;
            }
            let open = |(volume, layer): &(&VolumeId, &LayerId)| {
                let volume = volumes.get(volume);
                volume.is_some_and(|volume| {
                    volume.spec.layers.children(**layer).count() == 1
                        && !pinned_layers(volume, all).contains(layer)
                })
            };
            let open: Vec<VolumeId> = snapshot.spec.layers.iter().filter(open).map(|(id, _)| *id).collect();
            let cancelled = |task: &Task| Some(task.id) == snapshot.spec.task && task.cancelling;
            if !open.is_empty() && tasks.iter().any(cancelled) {
                self.stops.start(snapshot.id, stop::stop(self.core.clone(), snapshot));
                continue;
            }
            if !open.is_empty() && snapshot.status.stopped {
                continue;
            }
            let problem = self.core.0.merges.fault_since(snapshot.id, &open);
            if open.is_empty() || problem.is_some() {
                // The memory last: nothing refers to it any more.
                drop_memory(&self.core, snapshot.id).await?;
                self.core.0.merges.settled(snapshot.id);
                let deleted = SnapshotCommand::Deleted { id: snapshot.id, problem };
                self.core.report(Command::Snapshot(deleted)).await?;
                ended += 1;
            }
        }
        Ok(ended)
    }
}

impl Reconcile for LayersOfDisks {
    fn name(&self) -> &'static str {
        "layers of disks"
    }
    fn period(&self) -> Duration {
        Duration::from_secs(60)
    }
    async fn run(&mut self) -> Result<Summary, Problem> {
        let busy = self.jobs.busy();
        let volumes = self.core.store().volumes_on(self.core.host()).await?;
        let copies: Vec<Volume> = volumes.iter().filter(|v| v.spec.origin.is_some()).cloned().collect();
        let layered =
            volumes.into_iter().filter(|v| !v.spec.layers.is_single() && v.status.phase == Phase::Ready);
        let layered: HashMap<VolumeId, Volume> = layered.map(|volume| (volume.id, volume)).collect();
        let mut summary = Summary { checked: layered.len(), ..Summary::default() };
        summary.changed += self.settle(&layered, &copies).await?;
        for volume in layered.into_values().filter(|volume| !busy.contains(&volume.id)) {
            if let Some(rest) = self.core.0.merges.rests(volume.id) {
                if self.next(volume.id).await?.is_some() {
                    summary.failed += 1;
                    summary.again = Some(summary.again.map_or(rest, |again| again.min(rest)));
                }
                continue;
            }
            // The turn first: somebody may ask for a copy of a layer until it has come.
            let Some(turn) = self.core.0.merges.begin(&volume) else { continue };
            let Some(Next { volume, upper, task }) = self.next(volume.id).await? else { continue };
            summary.changed += 1;
            let work = Work { core: self.core.clone(), task, volume };
            self.jobs.start(work.volume.id, work.go(upper, turn));
        }
        Ok(summary)
    }
}

/// The task of the deletion that a merge of `upper` is for.
fn task(snapshots: &[Snapshot], volume: &Volume, upper: LayerId) -> Option<TaskId> {
    let lower = volume.spec.layers.over.get(&upper)?;
    let of = snapshots.iter().find(|s| s.spec.layers.get(&volume.id) == Some(lower));
    of.and_then(|snapshot| snapshot.spec.task)
}

/// One disk being worked on.
struct Work {
    core: Core,
    volume: Volume,
    /// Who watches.
    task: Option<TaskId>,
}

impl Work {
    async fn go(self, upper: Option<LayerId>, turn: Turn) {
        let result = match upper {
            Some(upper) => self.merge(upper, &turn).await,
            None => self.remove().await,
        };
        if let Some(task) = self.task {
            self.core.0.live.end(task);
        }
        match result {
            Ok(()) => self.core.0.merges.forget(self.volume.id),
            Err(problem) if matches!(problem.kind, ProblemKind::Unavailable | ProblemKind::NoQuorum) => {
                tracing::info!(volume = %self.volume.id, %problem, "layers of a disk wait");
                tokio::time::sleep(WAIT).await;
            }
            Err(problem) => {
                tracing::warn!(volume = %self.volume.id, %problem, "layers of a disk are not as wanted yet");
                self.core.0.merges.note(self.volume.id, problem);
            }
        }
    }

    async fn merge(&self, upper: LayerId, turn: &Turn) -> Result<(), Problem> {
        if self.core.0.pool.merged(self.volume.id, upper).exists() {
            if let Some(vm) = self.volume.spec.vm {
                live::go_on(&self.core, vm).await; // the daemon died before it could
            }
            return self.merged(upper).await;
        }
        if let Some(vm) = self.volume.spec.vm {
            match self.merge_live(vm, upper, turn).await? {
                live::Ended::Merged(quiet) => {
                    let done = self.merged(upper).await;
                    drop(quiet);
                    self.core.0.wakes.vms.notify_one();
                    return done;
                }
                live::Ended::Stopped => return Ok(()),
                live::Ended::NotInUse => {}
            }
        }
        tokio::select! {
            done = self.merge_files(upper) => done?,
            () = turn.stop.cancelled() => return self.let_go(upper).await,
            () = self.core.0.stop.cancelled() => return Ok(()),
        }
        self.merged(upper).await
    }

    async fn merge_files(&self, upper: LayerId) -> Result<(), Problem> {
        self.note_merging(upper)?;
        for step in files::merge(&self.volume.spec.layers, upper) {
            self.step(step).await?;
        }
        Ok(())
    }

    /// Waits until the copy that was cut has let go of the files: whoever cut it opens them next.
    async fn let_go(&self, upper: LayerId) -> Result<(), Problem> {
        let lower = self.volume.spec.layers.over.get(&upper).copied().unwrap_or_default();
        let free = hostd_virt::disk::let_go(&self.core.0.pool.layer(&self.volume, lower)).await;
        free.map_err(|error| disk(&format!("Stopping a merge of {}", self.volume.spec.name), error))
    }

    async fn step(&self, step: FileStep) -> Result<(), Problem> {
        let doing = format!("Merging layers of the disk {}", self.volume.spec.name);
        step.run(&self.core.0.pool, &self.volume).await.map_err(|error| disk(&doing, error))
    }

    /// Writes into the rows that what `upper` held is in the layer under it.
    async fn merged(&self, upper: LayerId) -> Result<(), Problem> {
        let merged = SnapshotCommand::Merged { volume: self.volume.id, upper };
        self.core.report(Command::Snapshot(merged)).await.map(drop)
    }

    /// Removes the files that the rows have given up.
    async fn remove(&self) -> Result<(), Problem> {
        let in_use = match self.volume.spec.vm {
            Some(vm) => self.files_in_use(vm).await?,
            None => Vec::new(),
        };
        for layer in &self.volume.spec.layers.gone {
            if in_use.contains(&self.core.0.pool.layer(&self.volume, *layer).path) {
                let detail = format!(
                    "A running QEMU still uses a layer of {} that is not needed; it stays until that ends.",
                    self.volume.spec.name
                );
                return Err(Problem::wrong_state(detail));
            }
            self.step(FileStep::Remove { layer: *layer }).await?;
            let dropped = SnapshotCommand::Dropped { volume: self.volume.id, layer: *layer };
            self.core.report(Command::Snapshot(dropped)).await?;
        }
        Ok(())
    }
}
