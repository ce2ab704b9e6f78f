//! The log of a simulated host: the same database, written by a task; what syncing it takes is the simulation's choice.

use super::disk::Request;
use super::disk::{Disk, GROUP_MAX, IDLE};
use crate::simulation;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedReceiver;

/// Serves until the log is closed or dropped, as [`Disk::serve`] does.
pub(super) async fn serve(
    mut disk: Disk,
    mut requests: UnboundedReceiver<Request>,
    simulated: Arc<dyn simulation::Disk>,
) {
    disk.never_checkpoint();
    loop {
        let first = if disk.waits() {
            tokio::time::timeout(IDLE, requests.recv()).await
        } else {
            Ok(requests.recv().await)
        };
        let mut group = Vec::new();
        match first {
            Ok(Some(first)) => group.push(first),
            Ok(None) => return,
            // What waits is written now.
            Err(_) => {}
        }
        while group.len() < GROUP_MAX
            && let Ok(more) = requests.try_recv()
        {
            group.push(more);
        }
        // It lies in the file from here on, and would survive a power cut after the sync.
        if disk.write(&mut group) {
            simulated.sync().await;
        }
        if let Some(closed) = disk.answer(group) {
            drop(disk);
            // Whoever closes may have stopped waiting.
            let _ = closed.send(());
            return;
        }
    }
}
