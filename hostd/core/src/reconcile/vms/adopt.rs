//! Taking over a machine that libvirt had already: its definition is kept before ours replaces it, and put back when that
//! fails.

use super::act::{Later, Work};
use crate::Core;
use crate::error::{storage, virt};
use crate::pool::Pool;
use hostd_types::*;
use hostd_virt::VirtError;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where the definition of a machine is kept that was taken over.
pub(crate) fn original(core: &Core, vm: VmId) -> PathBuf {
    core.settings().state_dir.join("adopted").join(format!("{vm}.xml"))
}

impl Work {
    /// The machine is one that libvirt had already.
    pub(super) async fn is_adopted(&self) -> Result<bool, Later> {
        let volumes = self.core.store().volumes_of(self.vm.id).await?;
        let taken = |volume: &Volume| volume.spec.adopted_from.is_some();
        Ok(self.adopting || volumes.iter().any(taken) || original(&self.core, self.vm.id).exists())
    }

    /// Before ours is defined over it; answers why that can't be.
    pub(super) async fn keep_original(&self) -> Result<Option<Problem>, Later> {
        let vm = self.vm.id;
        let doing = format!("Taking over {}", self.vm.spec.name);
        let (hypervisor, file) = (&self.core.0.hypervisor, original(&self.core, vm));
        if !file.exists() {
            let xml = hypervisor.whole_xml(vm).await.map_err(|error| virt(&doing, error))?;
            write_whole(&file, &xml).map_err(storage)?;
        }
        let seen = hypervisor.domains().await.map_err(|error| virt(&doing, error))?;
        if seen.iter().any(|domain| domain.vm == vm && domain.state.is_active()) {
            return Ok(Some(started(&self.vm.spec.name)));
        }
        let own = seen.into_iter().filter(|domain| domain.vm == vm).collect();
        let foreign = hypervisor.foreign(own).await.map_err(|error| virt(&doing, error))?;
        let nvram = foreign.into_iter().find_map(|domain| domain.nvram).filter(|file| file.exists());
        hypervisor.prepare_adoption(vm, nvram).await.map_err(|error| virt(&doing, error))?;
        Ok(None)
    }

    /// It could not be taken over: everything becomes what it was.
    pub(super) async fn give_back(&self) -> Result<(), Later> {
        let vm = self.vm.id;
        let doing = format!("Giving back {}", self.vm.spec.name);
        for volume in self.core.store().volumes_of(vm).await? {
            put_back(&self.core, &volume).await?;
        }
        let file = original(&self.core, vm);
        let Ok(xml) = std::fs::read_to_string(&file) else { return Ok(()) };
        let back = self.core.0.hypervisor.give_back(vm, xml, self.vm.spec.autostart).await;
        match back {
            Err(error @ VirtError::Down(_)) => return Err(virt(&doing, error)),
            // The file stays: it is all there is of it.
            Err(error) => {
                tracing::error!(vm = self.vm.spec.name, file = %file.display(), %error, "a definition can't be put back")
            }
            Ok(()) => Pool::remove(&file).map_err(storage)?,
        }
        Ok(())
    }
}

fn started(name: &str) -> Problem {
    let detail = format!(
        "{name} was started outside Quantix before it was taken over; nothing of it was changed. Shut it down and take it over again."
    );
    Problem::wrong_state(detail)
}

/// Why the file of a volume can't be taken over now: its machine was started meanwhile.
///
/// # Errors
/// When libvirt does not answer.
pub(in crate::reconcile) async fn in_use(core: &Core, volume: &Volume) -> Result<Option<Problem>, Problem> {
    let Some(vm) = volume.spec.vm else { return Ok(None) };
    let seen = core.0.hypervisor.domains().await.map_err(|error| virt("Looking at the machines", error))?;
    if !seen.iter().any(|domain| domain.vm == vm && domain.state.is_active()) {
        return Ok(None);
    }
    let row = core.store().vm(vm).await?;
    Ok(Some(started(row.as_ref().map_or("The machine", |vm| vm.spec.name.as_str()))))
}

/// Gives the file of a volume that was taken over the name of that volume; fine when it has it.
///
/// # Errors
/// When it can't be renamed.
pub(in crate::reconcile) async fn take_in(core: &Core, volume: &Volume, from: &str) -> std::io::Result<()> {
    let to = core.0.pool.volume(volume.id, volume.spec.format);
    rename_whole(from.into(), to).await
}

/// Gives it back the name that it had; fine when it never got another.
///
/// # Errors
/// When it can't be renamed.
pub(in crate::reconcile) async fn put_back(core: &Core, volume: &Volume) -> Result<(), Problem> {
    let Some(from) = &volume.spec.adopted_from else { return Ok(()) };
    let here = core.0.pool.volume(volume.id, volume.spec.format);
    if !here.exists() {
        return Ok(());
    }
    rename_whole(here, from.into()).await.map_err(storage)
}

/// Renames a file inside the pool, durably; nothing that has the new name is overwritten.
async fn rename_whole(from: PathBuf, to: PathBuf) -> std::io::Result<()> {
    let work = move || {
        if to.exists() {
            let taken = || Err(std::io::Error::other(format!("{} is there already", to.display())));
            return if from.exists() { taken() } else { Ok(()) };
        }
        std::fs::rename(&from, &to)?;
        Pool::sync_dir(&to)?;
        Pool::sync_dir(&from)
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

fn write_whole(file: &Path, text: &str) -> std::io::Result<()> {
    let dir = file.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(dir)?;
    let part = file.with_extension("part");
    let mut options = std::fs::OpenOptions::new();
    let mut written = options.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    written.write_all(text.as_bytes())?;
    written.sync_all()?;
    std::fs::rename(&part, file)?;
    Pool::sync_dir(file)
}
