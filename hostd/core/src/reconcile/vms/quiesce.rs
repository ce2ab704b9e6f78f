//! Asking a guest to hold still for a moment, and making sure that it goes on: when the work is done, when that takes too
//! long, and when the daemon died meanwhile.

use crate::Core;
use crate::error::virt;
use hostd_types::*;
use hostd_virt::VirtError;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest a guest is held still by us, whatever the work does. The agent's own answers take up to 4 s on both sides.
const HELD: Duration = Duration::from_secs(2);

/// How long it is tried to let a guest go.
const TRIED: Duration = Duration::from_secs(60);
/// Time between two tries.
const AGAIN: Duration = Duration::from_secs(1);

/// Where it is noted that the guest of `vm` may hold still.
fn note(core: &Core, vm: VmId) -> PathBuf {
    core.settings().run_dir.join("vm").join(vm.to_string()).join("held-still")
}

/// Makes an empty file as a note. The directory is QEMU's: no link that stands there is followed.
pub(in crate::reconcile) fn mark(note: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(note) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    std::fs::OpenOptions::new().write(true).create_new(true).open(note).map(drop)
}

/// Runs `work` while the guest has written everything out and holds still.
///
/// # Errors
/// When the guest can't be asked; `work` was not begun then.
pub(super) async fn quiesced<T>(core: &Core, vm: &Vm, work: impl Future<Output = T>) -> Result<T, Problem> {
    let note = note(core, vm.id);
    mark(&note).map_err(crate::error::storage)?;
    if let Err(error) = core.0.hypervisor.freeze(vm.id).await {
        go_on(core, vm.id).await;
        let down = matches!(error, VirtError::Down(_));
        let doing = format!("Asking the guest of {} to write everything out", vm.spec.name);
        let mut problem = virt(&doing, error);
        if !down {
            problem.detail.push_str(" Is its guest agent installed and running? Without quiescing a snapshot is as after a power cut.");
        }
        return Err(problem);
    }
    let mut work = std::pin::pin!(work);
    let done = tokio::select! {
        done = &mut work => {
            go_on(core, vm.id).await;
            done
        }
        () = tokio::time::sleep(HELD) => {
            tracing::warn!(vm = vm.spec.name, "the guest is let go before the work is done");
            go_on(core, vm.id).await;
            work.await
        }
    };
    Ok(done)
}

/// The guest of a machine may hold still, and nobody works on that.
pub(super) fn is_held(core: &Core, vm: VmId) -> bool {
    note(core, vm).symlink_metadata().is_ok()
}

/// Lets the guest go on. What can't be done now is tried again at the next look, for a minute.
pub(super) async fn go_on(core: &Core, vm: VmId) {
    let note = note(core, vm);
    let Err(error) = core.0.hypervisor.thaw(vm).await else { return drop(std::fs::remove_file(note)) };
    let gone = match &error {
        VirtError::Down(_) => false,
        VirtError::NoDomain(_) => true,
        // Whoever never listened does not hold still.
        VirtError::Call { message, .. } if message.contains("not connected") => true,
        VirtError::Call { .. } => matches!(core.0.hypervisor.live_disks(vm).await, Ok(None)),
    };
    let since = std::fs::metadata(&note).and_then(|note| note.modified()).ok();
    let old = since.and_then(|since| since.elapsed().ok()).is_some_and(|age| age > TRIED);
    if gone || old {
        drop(std::fs::remove_file(note));
    }
    if !gone {
        tracing::warn!(%vm, %error, "a guest that may hold still can't be let go");
        // Not even a wake-up makes it spin.
        tokio::time::sleep(AGAIN).await;
    }
}
