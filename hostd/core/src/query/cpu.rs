//! The processor that machines in the CPU mode Flexible see.

use crate::Core;
use hostd_types::{CpuBaseline, Problem};

impl Core {
    /// What it is in this cluster, and why.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn cpu_baseline(&self) -> Result<CpuBaseline, Problem> {
        let cluster = self.store().cluster().await?;
        let chosen = cluster.as_ref().and_then(|cluster| cluster.spec.cpu_model.as_deref());
        Ok(CpuBaseline::of(&self.store().hosts().await?, chosen))
    }
}
