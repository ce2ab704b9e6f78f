//! Files of volumes: made, watched, removed.

mod clones;
mod plan;

use clones::Clones;
pub(crate) use plan::MISSING;
use plan::{Step, plan};

use super::jobs::Jobs;
use super::vms::{in_use, planned_in, put_back, take_in};
use super::{Reconcile, Summary};
use crate::Core;
use crate::error::{disk, storage};
use crate::pool::Pool;
use hostd_types::command::VolumeCommand;
use hostd_types::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Files made or removed at the same time.
const AT_ONCE: usize = 4;

/// Makes volumes as they are wanted.
pub(super) struct Volumes {
    core: Core,
    jobs: Jobs<VolumeId>,
    clones: Clones,
    told: BTreeSet<PathBuf>,
}

impl Volumes {
    pub fn new(core: &Core) -> Self {
        let jobs = Jobs::new(AT_ONCE, &core.0.tracker, &core.0.wakes.volumes);
        Self { core: core.clone(), jobs, clones: Clones::new(core), told: BTreeSet::new() }
    }

    /// Machines whose new disks are to be made later, and how much later.
    async fn planned(&self, volumes: &[Volume]) -> Result<BTreeMap<VmId, Duration>, Problem> {
        let making = volumes.iter().filter(|volume| volume.status.phase == Phase::Creating);
        let owners: BTreeSet<VmId> = making.filter_map(|volume| volume.spec.vm).collect();
        let mut planned = BTreeMap::new();
        for id in owners {
            let vm = self.core.store().vm(id).await?;
            planned.extend(vm.as_ref().and_then(planned_in).map(|wait| (id, wait)));
        }
        Ok(planned)
    }
}

impl Reconcile for Volumes {
    fn name(&self) -> &'static str {
        "volumes"
    }
    fn period(&self) -> Duration {
        Duration::from_secs(60)
    }
    async fn run(&mut self) -> Result<Summary, Problem> {
        let busy = self.jobs.busy();
        // Files first: whatever has a row now had it before its file.
        let files = files_in(&self.core.0.pool.volumes()).map_err(storage)?;
        // Before the rows: a failure is forgotten once its row is gone, and must not look like one still to be made.
        let failed = self.core.0.faults.volumes();
        let volumes = self.core.store().volumes_on(self.core.host()).await?;
        let known: BTreeSet<String> = volumes.iter().map(|volume| volume.id.to_string()).collect();
        sweep(&files, &known, &mut self.told);
        let mut summary = Summary { checked: volumes.len(), ..Summary::default() };
        let planned = self.planned(&volumes).await?;
        summary.again = planned.values().min().copied();
        let (copies, volumes): (Vec<Volume>, Vec<Volume>) = volumes
            .into_iter()
            .partition(|volume| volume.status.phase == Phase::Creating && volume.spec.origin.is_some());
        let mut cloning: BTreeMap<VmId, Vec<Volume>> = BTreeMap::new();
        for volume in copies {
            if let Some(vm) = volume.spec.vm {
                cloning.entry(vm).or_default().push(volume);
            }
        }
        for (vm, disks) in cloning {
            summary.changed += usize::from(self.clones.start(&self.core, vm, &disks, &failed));
        }
        let is_due = |volume: &Volume| !volume.spec.vm.is_some_and(|vm| planned.contains_key(&vm));
        let idle = volumes.into_iter().filter(|volume| !busy.contains(&volume.id));
        for volume in idle.filter(is_due) {
            let layers = volume.spec.layers.chain(volume.spec.layers.active);
            let exists = layers.iter().all(|layer| self.core.0.pool.layer(&volume, *layer).path.exists());
            let failed = failed.contains(&volume.id);
            if let Some(step) = plan(&volume, exists, failed) {
                summary.changed += 1;
                let core = self.core.clone();
                self.jobs.start(volume.id, async move { act(&core, &volume, step).await });
            }
        }
        Ok(summary)
    }
}

async fn act(core: &Core, volume: &Volume, step: Step) {
    let result = match step {
        Step::Make => make(core, volume).await,
        Step::Remove => remove(core, volume).await,
        Step::Report { missing } => report(core, volume, missing.then(|| MISSING.to_owned())).await,
    };
    if let Err(problem) = result {
        tracing::warn!(volume = %volume.id, %problem, "a volume is not as wanted yet");
    }
}

async fn make(core: &Core, volume: &Volume) -> Result<(), Problem> {
    let ours = core.0.pool.volume(volume.id, volume.spec.format).exists();
    if volume.spec.adopted_from.is_some() && !ours {
        match in_use(core, volume).await {
            Ok(None) => {}
            Ok(Some(problem)) => return give_up(core, volume, problem).await,
            Err(problem) => {
                // Not even a wake-up makes it spin.
                tokio::time::sleep(Duration::from_millis(500)).await;
                return Err(problem);
            }
        }
    }
    match make_file(core, volume).await {
        Ok(()) => report(core, volume, None).await,
        Err(problem) => give_up(core, volume, problem).await,
    }
}

async fn make_file(core: &Core, volume: &Volume) -> Result<(), Problem> {
    let VolumeSpec { name, format, size_bytes, image, .. } = &volume.spec;
    let path = core.0.pool.volume(volume.id, *format);
    if path.exists() {
        // A file gets this name when it is whole; what got lost is the word that it is.
        return Ok(());
    }
    if let Some(from) = &volume.spec.adopted_from {
        let doing = format!("Taking over the disk {name} from {from}");
        return take_in(core, volume, from).await.map_err(|error| disk(&doing, error.into()));
    }
    let under = match image {
        None => None,
        Some(id) => {
            let image = core.store().image(*id).await?;
            let content = image.and_then(|image| image.status.content);
            let content = content.ok_or_else(|| {
                let detail = format!("The image under the disk {name} is not there any more.");
                Problem::new(ProblemKind::Conflict, detail)
            })?;
            Some((core.0.pool.image(*id), content.format))
        }
    };
    let backing = under.as_ref().map(|(path, format)| (path.as_path(), *format));
    let made = hostd_virt::disk::create(&path, *format, *size_bytes, backing).await;
    made.map_err(|error| disk(&format!("Making the disk {name}"), error))
}

/// A volume on its own fails by itself; that of a machine fails the whole machine, whose reconciler removes it.
async fn give_up(core: &Core, volume: &Volume, problem: Problem) -> Result<(), Problem> {
    if volume.spec.adopted_from.is_some() {
        put_back(core, volume).await?;
    } else {
        remove_files(core, volume).await?;
    }
    if volume.spec.vm.is_some() {
        core.0.faults.note_volume(volume.id, problem);
        core.0.wakes.vms.notify_one();
        return Ok(());
    }
    let failed = VolumeCommand::CreateFailed { id: volume.id, problem };
    core.report(Command::Volume(failed)).await.map(drop)
}

async fn remove(core: &Core, volume: &Volume) -> Result<(), Problem> {
    remove_files(core, volume).await?;
    core.report(Command::Volume(VolumeCommand::Deleted { id: volume.id })).await.map(drop)
}

/// Removes a volume's files with all its layers, durably; fine when they are gone.
///
/// # Errors
/// When a file can't be removed.
pub(super) async fn remove_files(core: &Core, volume: &Volume) -> Result<(), Problem> {
    let files = core.0.pool.files_of(volume.id).map_err(storage)?;
    Pool::discard(files).await.map_err(storage)
}

async fn report(core: &Core, volume: &Volume, fault: Option<String>) -> Result<(), Problem> {
    let status = VolumeStatus { phase: Phase::Ready, fault };
    core.report(Command::Volume(VolumeCommand::Report { id: volume.id, status })).await.map(drop)
}

/// The files of a directory.
pub(super) fn files_in(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
}

/// Removes unfinished files (`.part`) of ids that no row knows; other files of such ids are told once and stay.
pub(super) fn sweep(files: &[PathBuf], known: &BTreeSet<String>, told: &mut BTreeSet<PathBuf>) {
    for file in files {
        let Some(name) = file.file_name().and_then(|name| name.to_str()) else { continue };
        let Some((id, _)) = name.split_once('.') else { continue };
        if uuid::Uuid::parse_str(id).is_err() || known.contains(id) {
            continue;
        }
        if name.ends_with(".part") {
            match Pool::remove(file) {
                Ok(()) => {
                    tracing::info!(file = %file.display(), "removed an unfinished file that nothing knows")
                }
                Err(error) => {
                    tracing::warn!(%error, file = %file.display(), "can't remove an unfinished file")
                }
            }
        } else if told.insert(file.clone()) {
            tracing::warn!(file = %file.display(), "a file in the pool belongs to nothing known; it stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unfinished_files_of_unknown_ids_are_swept() {
        let dir = tempfile::tempdir().expect("directory");
        let (known, unknown) = (VolumeId::new().to_string(), VolumeId::new().to_string());
        let names = [
            format!("{known}.qcow2.part"),
            format!("{unknown}.qcow2.part"),
            format!("{unknown}.part"),
            format!("{unknown}.qcow2"),
            "notes.part".to_owned(),
        ];
        for name in &names {
            std::fs::write(dir.path().join(name), "x").expect("file");
        }
        let files = files_in(dir.path()).expect("list");
        sweep(&files, &BTreeSet::from([known]), &mut BTreeSet::new());
        let left: Vec<bool> = names.iter().map(|name| dir.path().join(name).exists()).collect();
        assert_eq!(left, [true, false, false, true, true]);
    }
}
