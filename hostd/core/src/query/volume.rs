//! Reads of volumes.

use super::{found, page};
use crate::federation::Ask;
use crate::{Core, VolumeView};
use hostd_types::*;

impl Core {
    /// A page of volumes.
    ///
    /// # Errors
    /// When the state can't be read or the list's parameters are wrong.
    pub async fn volumes(&self, list: &ListParams) -> Result<Page<VolumeView>, Problem> {
        let mut rows = self.store().volumes(list).await?;
        let views = self.volume_views(std::mem::take(&mut rows.items)).await?;
        Ok(page(rows, views))
    }

    /// The volumes of a host that a machine can be given.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn free_volumes_on(&self, host: HostId) -> Result<Vec<VolumeView>, Problem> {
        let mut free = self.store().free_volumes_on(host).await?;
        free.retain(|volume| volume.status.phase == Phase::Ready);
        self.volume_views(free).await
    }

    /// One volume, with what its host alone sees when that answers.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn volume(&self, id: VolumeId) -> Result<VolumeView, Problem> {
        let volume = found(self.store().volume(id).await?, "volume", id)?;
        let seen: Option<VolumeView> = self.seen_there(volume.spec.host, &Ask::Volume(id)).await;
        let mut view = found(self.volume_views(vec![volume]).await?.pop(), "volume", id)?;
        // The row is this host's own: what the other one has may be older than what was just written here.
        view.allocated_bytes = view.allocated_bytes.or(seen.and_then(|seen| seen.allocated_bytes));
        Ok(view)
    }

    /// Joins volumes with their machine, their image and the room they take.
    pub(super) async fn volume_views(&self, volumes: Vec<Volume>) -> Result<Vec<VolumeView>, Problem> {
        let vms = volumes.iter().filter_map(|volume| volume.spec.vm).collect();
        let vms = self.store().vm_names(&vms).await?;
        let images = volumes.iter().filter_map(|volume| volume.spec.image).collect();
        let images = self.store().image_names(&images).await?;
        let mut views = Vec::with_capacity(volumes.len());
        for volume in volumes {
            let vm_name = volume.spec.vm.and_then(|id| vms.get(&id).cloned());
            let image_name = volume.spec.image.and_then(|id| images.get(&id).cloned());
            let layers = [LayerId::BASE].into_iter().chain(volume.spec.layers.over.keys().copied());
            let allocated_bytes = layers.map(|layer| self.layer_bytes(&volume, layer)).sum();
            views.push(VolumeView { volume, allocated_bytes, vm_name, image_name });
        }
        Ok(views)
    }
}
