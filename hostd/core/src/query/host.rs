//! Reads of hosts.

use super::found;
use crate::{ClusterHealth, Core, HostView};
use hostd_types::*;
use std::sync::atomic::Ordering;

impl Core {
    /// All hosts.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn hosts(&self) -> Result<Vec<Host>, Problem> {
        self.store().hosts().await
    }

    /// One host with everything it knows about itself.
    ///
    /// # Errors
    /// `NotFound`; `Unsupported` for another host than this one.
    pub async fn host_view(&self, id: HostId) -> Result<HostView, Problem> {
        let host = found(self.store().host(id).await?, "host", id)?;
        if id != self.host() {
            let detail = format!("Ask {} itself what it sees.", host.spec.name);
            return Err(Problem::new(ProblemKind::Unsupported, detail));
        }
        Ok(HostView {
            host,
            facts: self.facts().await,
            foreign_domains: self.0.foreign_domains.load(Ordering::Relaxed),
            reconcilers: self.reconcilers(),
            latest: self.0.history.latest(),
        })
    }

    /// Load of this host, newest last, one point every 5 s, the last 30 minutes.
    pub fn host_samples(&self) -> Vec<HostSample> {
        self.0.history.host()
    }

    /// Numbers of the replicated log.
    pub async fn cluster_health(&self) -> ClusterHealth {
        self.0.cluster.health().await
    }
}
