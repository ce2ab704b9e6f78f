//! Reads of images.

use super::{found, page};
use crate::federation::Ask;
use crate::{Core, ImageView};
use hostd_types::*;
use std::collections::BTreeMap;

/// Number of disks over each image, and of drives that hold it.
struct Uses {
    disks: BTreeMap<ImageId, u64>,
    drives: BTreeMap<ImageId, u64>,
}

impl Core {
    /// A page of images.
    ///
    /// # Errors
    /// When the state can't be read or the list's parameters are wrong.
    pub async fn images(&self, list: &ListParams) -> Result<Page<ImageView>, Problem> {
        let mut rows = self.store().images(list).await?;
        let uses = self.image_uses().await?;
        let views = std::mem::take(&mut rows.items).into_iter().map(|image| self.image_view(image, &uses));
        let views = views.collect();
        Ok(page(rows, views))
    }

    /// The images of a host.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn images_on(&self, host: HostId) -> Result<Vec<ImageView>, Problem> {
        let images = self.store().images_on(host).await?;
        let uses = self.image_uses().await?;
        Ok(images.into_iter().map(|image| self.image_view(image, &uses)).collect())
    }

    /// One image, with what its host alone sees when that answers.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn image(&self, id: ImageId) -> Result<ImageView, Problem> {
        let image = found(self.store().image(id).await?, "image", id)?;
        let seen: Option<ImageView> = self.seen_there(image.spec.host, &Ask::Image(id)).await;
        let mut view = self.image_view(image, &self.image_uses().await?);
        view.progress = view.progress.or(seen.and_then(|seen| seen.progress));
        Ok(view)
    }

    async fn image_uses(&self) -> Result<Uses, Problem> {
        Ok(Uses { disks: self.store().volumes_by_image().await?, drives: self.store().vms_by_cdrom().await? })
    }

    fn image_view(&self, image: Image, uses: &Uses) -> ImageView {
        let count = |uses: &BTreeMap<ImageId, u64>| uses.get(&image.id).copied().unwrap_or(0);
        let (disks, drives) = (count(&uses.disks), count(&uses.drives));
        let progress = self.0.live.upload_progress(image.id);
        ImageView { image, disks, drives, progress }
    }
}
