//! Reads of snapshots.

use super::found;
use crate::federation::Ask;
use crate::{Core, LayerDebt, SnapshotView, SnapshotsView};
use hostd_types::*;
use std::os::unix::fs::MetadataExt;

impl Core {
    /// One snapshot.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn snapshot(&self, id: SnapshotId) -> Result<Snapshot, Problem> {
        found(self.store().snapshot(id).await?, "snapshot", id)
    }

    /// The snapshots of a machine, each before those that came after it, with what its host alone sees when that answers.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn snapshots(&self, id: VmId) -> Result<SnapshotsView, Problem> {
        let vm = self.vm(id).await?;
        if let Some(view) = self.seen_there(vm.spec.host, &Ask::Snapshots(id)).await {
            return Ok(view);
        }
        let volumes = self.store().volumes_of(id).await?;
        let snapshots = self.store().snapshots_of(id).await?;
        let mut debt = Vec::new();
        for volume in &volumes {
            let layers = &volume.spec.layers;
            let pinned = pinned_layers(volume, &self.store().volumes_from(volume.id).await?);
            for layer in layers.debt(&owned_layers(&snapshots, volume.id)) {
                let branches = layers.children(layer).count();
                let stopped = snapshots
                    .iter()
                    .find(|s| s.status.stopped && s.spec.layers.get(&volume.id) == Some(&layer));
                let reason = match (branches, self.0.merges.fault(volume.id)) {
                    (_, _) if pinned.contains(&layer) => {
                        "Linked clones are over it; it is merged by itself when they are gone.".into()
                    }
                    (0 | 1, _) if let Some(snapshot) = stopped => {
                        format!("Its merge was stopped; delete {} again to merge it.", snapshot.spec.name)
                    }
                    (0 | 1, Some(problem)) => format!("It can't be merged yet. {}", problem.detail),
                    (0 | 1, None) => "It is being merged into what came after it.".into(),
                    (_, _) => format!(
                        "{branches} branches start from it; it is merged by itself when one of them is left."
                    ),
                };
                let size_bytes = self.layer_bytes(volume, layer);
                let volume_name = volume.spec.name.clone();
                debt.push(LayerDebt { volume: volume.id, volume_name, layer, size_bytes, branches, reason });
            }
        }
        let depth = |volume: &Volume| volume.spec.layers.chain(volume.spec.layers.active).len();
        let size = |snapshot: &Snapshot| {
            let held = volumes.iter().filter_map(|v| Some((v, *snapshot.spec.layers.get(&v.id)?)));
            held.map(|(volume, layer)| self.layer_bytes(volume, layer)).sum()
        };
        let mut ordered = Vec::with_capacity(snapshots.len());
        for (depth, snapshot) in in_order(snapshots) {
            let gone = self.gone(&snapshot.spec.machine).await?;
            let name =
                |disk: &VmDisk| volumes.iter().find(|v| v.id == disk.volume).map(|v| v.spec.name.clone());
            let detaches = vm.disks_added_since(&snapshot).filter_map(name).collect();
            ordered.push(SnapshotView { size_bytes: size(&snapshot), depth, gone, detaches, snapshot });
        }
        Ok(SnapshotsView {
            chain: volumes.iter().map(depth).max().unwrap_or(1),
            chain_max: LAYERS_MAX,
            current: vm.spec.snapshots.current,
            reverting_to: vm.spec.snapshots.revert.map(|revert| revert.snapshot),
            snapshots: ordered,
            debt,
        })
    }

    /// Media and networks of `then` that are not there any more.
    async fn gone(&self, then: &VmSpec) -> Result<Vec<String>, Problem> {
        let mut gone = Vec::new();
        let drives = std::iter::once(&then.cdrom).chain(&then.more_cdroms);
        for (image, number) in drives.zip(1..) {
            let Some(image) = *image else { continue };
            if self.store().image(image).await?.is_none_or(|image| image.status.phase == Phase::Deleting) {
                gone.push(format!("the medium of CD-ROM drive {number}"));
            }
        }
        for nic in &then.nics {
            let network = self.store().network(nic.network).await?;
            if network.is_none_or(|network| network.status.phase == Phase::Deleting) {
                gone.push(format!("the network of the card {}", nic.mac));
            }
        }
        Ok(gone)
    }

    /// Bytes that a layer takes on this host's disk.
    pub(super) fn layer_bytes(&self, volume: &Volume, layer: LayerId) -> Option<u64> {
        let path = self.0.pool.layer(volume, layer).path;
        std::fs::metadata(path).ok().map(|file| file.blocks() * 512)
    }
}

/// Each snapshot after its parent, with how many branchings are before it; siblings by age.
fn in_order(mut snapshots: Vec<Snapshot>) -> Vec<(usize, Snapshot)> {
    snapshots.sort_by_key(|snapshot| (snapshot.meta.created_at, snapshot.id));
    let known = |id: SnapshotId, among: &[Snapshot]| among.iter().any(|snapshot| snapshot.id == id);
    let (mut ordered, mut open) = (Vec::new(), Vec::new());
    let roots = snapshots.iter().filter(|s| s.spec.parent.is_none_or(|p| !known(p, &snapshots)));
    open.extend(roots.rev().map(|snapshot| (0, snapshot.id)));
    while let Some((depth, id)) = open.pop() {
        let Some(at) = snapshots.iter().position(|snapshot| snapshot.id == id) else { continue };
        ordered.push((depth, snapshots.remove(at)));
        let after = || snapshots.iter().filter(|snapshot| snapshot.spec.parent == Some(id));
        let depth = depth + usize::from(after().count() > 1);
        open.extend(after().rev().map(|snapshot| (depth, snapshot.id)));
    }
    ordered
}
