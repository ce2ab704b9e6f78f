//! Disks of machines that are copies: put over a layer of another disk, or copied from it.
//!
//! The rows keep the layer as it is from the moment the copy is asked for. What was begun before that (a merge) is stopped
//! or ends, and its outcome is in the rows, before anything is made from the layer. A copy that is cut is begun again; its
//! file gets its name when it is whole.

use super::{remove_files, report};
use crate::Core;
use crate::error::{disk, storage};
use crate::merges::Hold;
use crate::pool::{human, reserve};
use crate::reconcile::jobs::Jobs;
use crate::reconcile::layers::{tell_merged, without_merges};
use hostd_types::*;
use hostd_virt::disk as files;
use std::collections::BTreeSet;
use tokio::sync::broadcast::error::RecvError;

/// Machines whose disks are put over others at the same time.
const LINKS_AT_ONCE: usize = 4;
/// Machines whose disks are copied at the same time.
const COPIES_AT_ONCE: usize = 2;
/// What a copy tells of itself is a part of this.
const WHOLE: u64 = 10_000;

/// The copies under way. Quick ones don't wait for those that take long.
pub(super) struct Clones {
    links: Jobs<VmId>,
    copies: Jobs<VmId>,
}

/// Why the disks of a copy are not made.
enum Not {
    /// The daemon ends, or the cluster does not answer: later.
    Yet,
    /// They can't be made; the machine goes.
    Ever(Problem),
}

impl From<Problem> for Not {
    fn from(problem: Problem) -> Self {
        tracing::info!(%problem, "the disks of a copy wait");
        Not::Yet
    }
}

impl Clones {
    pub fn new(core: &Core) -> Self {
        let (tracker, bell) = (&core.0.tracker, &core.0.wakes.volumes);
        Self {
            links: Jobs::new(LINKS_AT_ONCE, tracker, bell),
            copies: Jobs::new(COPIES_AT_ONCE, tracker, bell),
        }
    }

    /// Begins to make the disks of `vm`, of which `disks` are still to be made; false when it is not the time for that.
    pub fn start(&self, core: &Core, vm: VmId, disks: &[Volume], failed: &BTreeSet<VolumeId>) -> bool {
        if disks.iter().any(|volume| failed.contains(&volume.id)) {
            return false; // its machine's undoing is under way
        }
        let fault = disks.iter().find_map(|volume| volume.status.fault.clone());
        let origins = || disks.iter().filter_map(|volume| volume.spec.origin.as_ref());
        if fault.is_none() && origins().any(|origin| origin.layer.is_none()) {
            return false; // the snapshot is being taken
        }
        let jobs = if origins().all(|origin| origin.linked) { &self.links } else { &self.copies };
        if jobs.busy().contains(&vm) {
            return false;
        }
        let core = core.clone();
        jobs.start(vm, async move {
            let made = match fault {
                None => make(&core, vm).await,
                Some(why) => Err(Not::Ever(Problem::new(ProblemKind::Conflict, why))),
            };
            match made {
                Ok(()) | Err(Not::Yet) => {}
                Err(Not::Ever(problem)) => give_up(&core, vm, problem).await,
            }
        });
        true
    }
}

/// The machine's reconciler undoes the machine when none of its disks is being made any more.
async fn give_up(core: &Core, vm: VmId, problem: Problem) {
    let undone = async {
        for volume in unmade(core, vm).await? {
            remove_files(core, &volume).await?;
            core.0.faults.note_volume(volume.id, problem.clone());
        }
        Ok::<(), Problem>(())
    };
    if let Err(problem) = undone.await {
        tracing::warn!(%vm, %problem, "what was made of a copy can't be removed yet");
    }
    core.0.wakes.vms.notify_one();
}

async fn unmade(core: &Core, vm: VmId) -> Result<Vec<Volume>, Problem> {
    let mut volumes = core.store().volumes_of(vm).await?;
    volumes.retain(|volume| volume.status.phase == Phase::Creating && volume.spec.origin.is_some());
    Ok(volumes)
}

async fn make(core: &Core, vm: VmId) -> Result<(), Not> {
    // Whoever undoes the machine waits until nothing makes its disks any more.
    let _hold = core.0.merges.hold(vm.uuid()).await;
    let tasks = core.store().running_tasks_on(core.host()).await?;
    let about = vm.to_string();
    let task = tasks.into_iter().find(|task| task.action == "vm.clone" && task.subject.id == about);
    let task = task.map(|task| task.id);
    let mut stop = std::pin::pin!(stopped(core, vm, task));
    let made = make_all(core, vm, task, stop.as_mut()).await;
    if let Some(task) = task {
        core.0.live.end(task);
    }
    made
}

/// What ends the work on a copy before its end.
type Stop<'a, F> = std::pin::Pin<&'a mut F>;

/// Waits for `work`, unless somebody stops it: then it is dropped.
async fn unless<T>(
    stop: Stop<'_, impl Future<Output = Not>>,
    work: impl Future<Output = Result<T, Not>>,
) -> Result<T, Not> {
    tokio::select! {
        biased;
        why = stop => Err(why),
        done = work => done,
    }
}

async fn make_all(
    core: &Core,
    vm: VmId,
    task: Option<TaskId>,
    mut stop: Stop<'_, impl Future<Output = Not>>,
) -> Result<(), Not> {
    let all = core.store().volumes_of(vm).await?;
    let total = all.iter().map(|volume| volume.spec.size_bytes).sum();
    let made = all.iter().filter(|volume| volume.status.phase != Phase::Creating);
    let mut before: u64 = made.map(|volume| volume.spec.size_bytes).sum();
    for volume in unmade(core, vm).await? {
        let size = volume.spec.size_bytes;
        let told = |share: u64| {
            let done = before + (u128::from(size) * u128::from(share) / u128::from(WHOLE)) as u64;
            if let Some(task) = task {
                core.0.live.measure(task, Progress { done, total });
            }
        };
        make_one(core, &volume, told, stop.as_mut()).await?;
        report(core, &volume, None).await?;
        before += size;
    }
    Ok(())
}

/// Only what is long and gives no file its name is stopped in the middle: whatever gets its name is waited for.
async fn make_one(
    core: &Core,
    volume: &Volume,
    told: impl FnMut(u64) + Send,
    mut stop: Stop<'_, impl Future<Output = Not>>,
) -> Result<(), Not> {
    let VolumeSpec { name, format, size_bytes, origin, .. } = &volume.spec;
    let path = core.0.pool.volume(volume.id, *format);
    if path.exists() {
        return Ok(()); // whole; what got lost is the word that it is
    }
    let doing = format!("Making the disk {name}");
    let failed = |error| Not::Ever(disk(&doing, error));
    let (from, hold) = unless(stop.as_mut(), source(core, volume)).await?;
    if origin.as_ref().is_some_and(|origin| origin.linked) {
        return files::put(&path, *size_bytes, &from).await.map_err(failed);
    }
    // From here on the rows keep new merges off the layer.
    drop(hold);
    if files::reflink(&path, *format, &from).await.map_err(failed)? {
        return Ok(());
    }
    let measured = async { files::measure(&from, *format).await.map_err(failed) };
    let needed = unless(stop.as_mut(), measured).await?;
    let space = core.0.pool.space().map_err(|error| Not::Ever(storage(error)))?;
    let free = space.free_bytes.saturating_sub(reserve(space.total_bytes));
    if needed > free {
        let detail = format!(
            "{doing} failed: the copy takes up to {}, and the pool has {} free. Delete images or disks, or make a linked \
             clone, which takes next to nothing.",
            human(needed),
            human(free)
        );
        return Err(Not::Ever(Problem::new(ProblemKind::Capacity, detail)));
    }
    unless(stop, async { files::copy(&path, *format, &from, told).await.map_err(failed) }).await?;
    files::keep(&path).await.map_err(failed)
}

/// The layer that `volume` is made from, while nothing works on the layers of its disk.
async fn source(core: &Core, volume: &Volume) -> Result<(files::Layer, Vec<Hold>), Not> {
    let gone = || {
        let detail = format!("What {} is a copy of is not there any more.", volume.spec.name);
        Not::Ever(Problem::new(ProblemKind::Conflict, detail))
    };
    let of = volume.spec.origin.as_ref().ok_or_else(gone)?.volume;
    let source = core.store().volume(of).await?.ok_or_else(gone)?;
    let mut hold = Vec::new();
    if let Some(vm) = source.spec.vm {
        hold.push(core.0.merges.hold(vm.uuid()).await);
        // QEMU goes on with what an earlier daemon began.
        without_merges(core, vm, "Making a copy").await?;
    }
    hold.push(core.0.merges.hold(of.uuid()).await);
    tell_merged(core, &source).await?;
    // A merge that ended just now may have changed both.
    let volume = core.store().volume(volume.id).await?.ok_or_else(gone)?;
    let source = core.store().volume(of).await?.ok_or_else(gone)?;
    let layer = volume.spec.origin.and_then(|origin| origin.layer).ok_or_else(gone)?;
    Ok((core.0.pool.layer(&source, layer), hold))
}

/// Waits until the copy `vm` is wanted no more: its task was cancelled or has ended, it is being deleted or is gone, or the daemon
/// ends.
async fn stopped(core: &Core, vm: VmId, task: Option<TaskId>) -> Not {
    let ever = |why| Not::Ever(Problem::new(ProblemKind::Cancelled, why));
    let mut changes = core.changes();
    loop {
        match unwanted(core, vm, task).await {
            Ok(Some(why)) => return ever(why),
            Ok(None) => {}
            Err(problem) => tracing::info!(%problem, "it can't be seen whether a copy is still wanted"),
        }
        let about = [Some(vm.to_string()), task.map(|task| task.to_string())];
        loop {
            let change = tokio::select! {
                change = changes.recv() => change,
                () = core.0.stop.cancelled() => return Not::Yet,
            };
            match change {
                Ok(change) if about.iter().flatten().any(|id| *id == change.id) => break,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

async fn unwanted(core: &Core, vm: VmId, task: Option<TaskId>) -> Result<Option<&'static str>, Problem> {
    let store = core.store();
    let row = store.vm(vm).await?;
    if row.is_none_or(|vm| vm.spec.deleting.is_some()) {
        return Ok(Some("It was deleted before it was made."));
    }
    let Some(task) = task else { return Ok(None) };
    let over = |task: Task| task.cancelling || task.state != TaskState::Running;
    Ok(store
        .task(task)
        .await?
        .is_none_or(over)
        .then_some("Somebody cancelled it; nothing is left of the copy."))
}
