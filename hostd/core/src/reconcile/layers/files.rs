//! What is done to the files of layers, step by step. A step that was cut is done again; only the last kind removes a
//! file, and never one that another layer is over.

use crate::pool::Pool;
use hostd_types::*;
use hostd_virt::disk::{self, DiskError};

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::reconcile) enum FileStep {
    /// Make an empty layer over another.
    Put {
        /// The new layer.
        next: LayerId,
        /// What it is over.
        under: LayerId,
    },
    /// Copy what a layer holds into the one under it.
    Commit {
        /// The layer.
        upper: LayerId,
        /// The one under it.
        lower: LayerId,
    },
    /// Check that nothing was lost.
    Verify {
        /// The layer.
        upper: LayerId,
        /// What has to show the same by itself.
        lower: LayerId,
    },
    /// Let a layer that was over one be over what took its place.
    Rename {
        /// The layer.
        layer: LayerId,
        /// What it is over from now on.
        under: LayerId,
    },
    /// Remove the file of a layer that is not needed.
    Remove {
        /// The layer.
        layer: LayerId,
    },
}

/// The steps of a merge of `upper` into what it is over, while no QEMU uses either.
pub(in crate::reconcile) fn merge(layers: &Layers, upper: LayerId) -> Vec<FileStep> {
    let Some(lower) = layers.over.get(&upper).copied() else { return Vec::new() };
    let mut steps = vec![FileStep::Commit { upper, lower }, FileStep::Verify { upper, lower }];
    steps.extend(renames(layers, upper, lower));
    steps
}

/// Lets everything over `upper` be over `lower`, which holds the same.
pub(super) fn renames(layers: &Layers, upper: LayerId, lower: LayerId) -> impl Iterator<Item = FileStep> {
    layers.children(upper).map(move |layer| FileStep::Rename { layer, under: lower })
}

impl FileStep {
    /// Does it.
    ///
    /// # Errors
    /// Why it could not be done; every layer shows what it did before.
    pub(in crate::reconcile) async fn run(self, pool: &Pool, volume: &Volume) -> Result<(), DiskError> {
        let file = |layer| pool.layer(volume, layer);
        match self {
            FileStep::Put { next, under } => {
                disk::put(&file(next).path, volume.spec.size_bytes, &file(under)).await
            }
            FileStep::Commit { upper, lower } => disk::commit(&file(upper).path, &file(lower)).await,
            FileStep::Verify { upper, lower } => disk::verify(&file(upper).path, &file(lower), false).await,
            FileStep::Rename { layer, under } => disk::rename_backing(&file(layer).path, &file(under)).await,
            FileStep::Remove { layer } => remove(pool, volume, layer).await,
        }
    }
}

async fn remove(pool: &Pool, volume: &Volume, layer: LayerId) -> Result<(), DiskError> {
    let path = pool.layer(volume, layer).path;
    for other in volume.spec.layers.over.keys() {
        let other = pool.layer(volume, *other).path;
        if disk::backing(&other)?.as_deref() == Some(path.as_path()) {
            let (path, other) = (path.display(), other.display());
            return Err(DiskError::Io(format!("{other} is still over {path}, which stays")));
        }
    }
    let mut part = path.clone().into_os_string();
    part.push(".part");
    // The notes last: while the file is there they say what it is.
    let notes = [pool.merging(volume.id, layer), pool.merged(volume.id, layer)];
    Ok(Pool::discard([part.into(), path].into_iter().chain(notes).collect()).await?)
}
