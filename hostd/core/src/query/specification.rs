//! Reads of customization specifications, without secrets.

use super::found;
use crate::{Core, SpecificationView};
use hostd_types::*;

impl Core {
    /// All customization specifications, by name.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn specifications(&self) -> Result<Vec<SpecificationView>, Problem> {
        let vms = self.store().vms_by_specification().await?;
        let all = self.store().specifications().await?.into_iter();
        Ok(all
            .map(|one| {
                let vms = vms.get(&one.id).copied().unwrap_or(0);
                self.specification_view(one, vms)
            })
            .collect())
    }

    /// One of them.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn specification(&self, id: SpecificationId) -> Result<SpecificationView, Problem> {
        let one = found(self.store().specification(id).await?, "customization specification", id)?;
        let vms = self.store().vms_by_specification().await?.get(&id).copied().unwrap_or(0);
        Ok(self.specification_view(one, vms))
    }

    fn specification_view(&self, mut specification: Specification, vms: u64) -> SpecificationView {
        let warnings = self.warnings(&specification.spec.customization);
        specification.spec.customization.redact();
        SpecificationView { specification, vms, warnings }
    }
}
