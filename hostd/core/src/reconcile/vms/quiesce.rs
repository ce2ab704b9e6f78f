//! Asking a guest to hold still for a moment, and making sure that it goes on: when the work is done, when that takes too
//! long, and when the daemon died meanwhile.

use super::plan::Wait;
use super::waits::Waits;
use crate::Core;
use crate::error::virt;
use hostd_types::*;
use hostd_virt::VirtError;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest a guest is held still by us, whatever the work does. The agent's own answers take up to 4 s on both sides.
const HELD: Duration = Duration::from_secs(2);
/// Time between two tries to let a guest go: an agent that comes to itself lets it go a moment later.
const AGAIN: Duration = Duration::from_secs(1);
/// The same when it has been tried for longer than [`TRIED`]. It is never given up: nobody else lets the guest go.
const SELDOM: Duration = Duration::from_secs(10);
const TRIED: Duration = Duration::from_secs(60);
/// What the next try is remembered by.
const LET_GO: &str = "let go";

/// Where it is noted that the guest of `vm` may hold still. The file is empty until its agent has heard of it.
fn note(core: &Core, vm: VmId) -> PathBuf {
    core.settings().run_dir.join("vm").join(vm.to_string()).join("held-still")
}

/// Makes an empty file as a note. The directory is QEMU's: no link that stands there is followed.
pub(in crate::reconcile) fn mark(note: &Path) -> std::io::Result<()> {
    write(note, "")
}

fn write(note: &Path, text: &str) -> std::io::Result<()> {
    match std::fs::remove_file(note) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(note)?;
    file.write_all(text.as_bytes())
}

/// Runs `work` while the guest has written everything out and holds still; `true` beside what it came to: the guest held
/// still until it was done.
///
/// # Errors
/// When the guest can't be asked; `work` was not begun then.
pub(super) async fn quiesced<T>(
    core: &Core,
    vm: &Vm,
    work: impl Future<Output = T>,
) -> Result<(T, bool), Problem> {
    let note = note(core, vm.id);
    mark(&note).map_err(crate::error::storage)?;
    let asked = core.0.hypervisor.freeze(vm.id).await;
    if let Err(error) = &asked
        && never_listened(error)
    {
        forget(core, vm.id);
    } else if let Err(error) = write(&note, "asked") {
        tracing::warn!(vm = vm.spec.name, %error, "can't note that the guest holds still");
    }
    if let Err(error) = asked {
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
        done = &mut work => (done, true),
        () = tokio::time::sleep(HELD) => {
            tracing::warn!(vm = vm.spec.name, "the guest is let go before the work is done");
            go_on(core, vm.id).await;
            return Ok((work.await, false));
        }
    };
    go_on(core, vm.id).await;
    Ok(done)
}

/// Since when the guest of a machine may hold still, if nobody works on that.
pub(super) fn held_since(core: &Core, vm: VmId) -> Option<Timestamp> {
    let written = note(core, vm).symlink_metadata().ok()?.modified().ok()?;
    let since = written.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_unix(i64::try_from(since.as_secs()).ok()?))
}

/// The guest began anew, or there is none.
pub(in crate::reconcile) fn forget(core: &Core, vm: VmId) {
    drop(std::fs::remove_file(note(core, vm)));
}

/// It is time for another try to let the guest go.
pub(super) fn may_try(waits: &Waits, vm: VmId) -> bool {
    waits.asked(vm, LET_GO) != Wait::Running
}

/// Lets the guest go on, or says when that is tried again; what else is asked of the machine comes in between.
pub(super) async fn try_again(core: &Core, waits: &Waits, vm: VmId) {
    let since = std::fs::symlink_metadata(note(core, vm)).and_then(|note| note.modified()).ok();
    let old = since.and_then(|since| since.elapsed().ok()).is_some_and(|age| age > TRIED);
    go_on(core, vm).await;
    waits.ask(vm, LET_GO.into(), Instant::now() + if old { SELDOM } else { AGAIN });
}

/// No agent was there that could have heard.
fn never_listened(error: &VirtError) -> bool {
    matches!(error, VirtError::Call { message, .. } if message.contains("not connected"))
}

/// Lets the guest go on, once.
async fn go_on(core: &Core, vm: VmId) {
    let note = note(core, vm);
    let Ok(asked) = std::fs::symlink_metadata(&note).map(|note| note.len() > 0) else { return };
    let Err(error) = core.0.hypervisor.thaw(vm).await else { return forget(core, vm) };
    let gone = match &error {
        VirtError::Down(_) => false,
        VirtError::NoDomain(_) => true,
        // Whoever never listened does not hold still; an agent that died since then left the guest as it was.
        VirtError::Call { .. } if !asked && never_listened(&error) => true,
        VirtError::Call { .. } => matches!(core.0.hypervisor.live_disks(vm).await, Ok(None)),
    };
    if gone {
        forget(core, vm);
    } else {
        tracing::warn!(%vm, %error, "a guest that may hold still can't be let go");
    }
}
