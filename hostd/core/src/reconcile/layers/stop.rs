//! A deletion that somebody cancelled: its merges stop, and the snapshot is what it was if nothing was copied yet.
//!
//! A merge copies into the very layer that the snapshot kept. From the first byte on the snapshot can't be gone back to; what
//! the machine's disks hold never changes. So a merge leaves a note before it begins, by which a cut one is known, too.

use super::live::without_merges;
use crate::Core;
use hostd_types::command::SnapshotCommand;
use hostd_types::*;

pub(super) async fn stop(core: Core, snapshot: Snapshot) {
    if let Err(problem) = try_stop(&core, &snapshot).await {
        tracing::info!(snapshot = snapshot.spec.name, %problem, "a merge is not stopped yet");
        // Not even a wake-up makes it spin.
        tokio::time::sleep(super::WAIT).await;
    }
}

async fn try_stop(core: &Core, snapshot: &Snapshot) -> Result<(), Problem> {
    let vm = snapshot.spec.vm;
    let _hold = core.0.merges.hold(vm.uuid()).await;
    // QEMU goes on with what an earlier daemon began.
    without_merges(core, vm, "Stopping a merge").await?;
    let Some(snapshot) = core.store().snapshot(snapshot.id).await? else { return Ok(()) };
    let volumes = core.store().volumes_of(vm).await?;
    let open = |volume: &Volume| {
        let layer = snapshot.spec.layers.get(&volume.id);
        layer.is_some_and(|layer| volume.spec.layers.children(*layer).count() == 1)
    };
    if !volumes.iter().any(open) {
        return Ok(()); // it was just done
    }
    let kept = volumes
        .iter()
        .filter(|volume| had(&snapshot, volume))
        .all(|volume| is_whole(core, &snapshot, volume));
    core.0.merges.settled(snapshot.id);
    core.report(Command::Snapshot(SnapshotCommand::Stopped { id: snapshot.id, kept })).await.map(drop)
}

/// The machine had the disk when the snapshot was taken.
fn had(snapshot: &Snapshot, volume: &Volume) -> bool {
    snapshot.spec.machine.disks.iter().any(|disk| disk.volume == volume.id)
}

/// What the snapshot kept of the disk is all there, and nothing else was copied into it.
fn is_whole(core: &Core, snapshot: &Snapshot, volume: &Volume) -> bool {
    let Some(layer) = snapshot.spec.layers.get(&volume.id) else { return false };
    let layers = &volume.spec.layers;
    let pool = &core.0.pool;
    let touched =
        |upper: LayerId| pool.merging(volume.id, upper).exists() || pool.merged(volume.id, upper).exists();
    layers.has(*layer) && !layers.children(*layer).any(touched)
}
