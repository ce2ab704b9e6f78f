//! Reads of images.

use super::{found, page};
use crate::federation::Ask;
use crate::{Core, ImageView};
use hostd_types::*;

impl Core {
    /// A page of images.
    ///
    /// # Errors
    /// When the state can't be read or the list's parameters are wrong.
    pub async fn images(&self, list: &ListParams) -> Result<Page<ImageView>, Problem> {
        let mut rows = self.store().images(list).await?;
        let mut views = Vec::with_capacity(rows.items.len());
        for image in std::mem::take(&mut rows.items) {
            views.push(self.image_view(image).await?);
        }
        Ok(page(rows, views))
    }

    /// One image, with what its host alone sees when that answers.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn image(&self, id: ImageId) -> Result<ImageView, Problem> {
        let image = found(self.store().image(id).await?, "image", id)?;
        let seen: Option<ImageView> = self.seen_there(image.spec.host, &Ask::Image(id)).await;
        let mut view = self.image_view(image).await?;
        view.progress = view.progress.or(seen.and_then(|seen| seen.progress));
        Ok(view)
    }

    async fn image_view(&self, image: Image) -> Result<ImageView, Problem> {
        let disks = self.store().volumes_over(image.id).await?.len() as u64;
        let drives = self.store().vms_with_cdrom(image.id).await?.len() as u64;
        let progress = self.0.live.upload_progress(image.id);
        Ok(ImageView { image, disks, drives, progress })
    }
}
