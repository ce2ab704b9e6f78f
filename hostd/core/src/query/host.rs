//! Reads of hosts.

use super::found;
use crate::federation::Ask;
use crate::{ClusterHealth, Core, HostView, NoticeLevel};
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

    /// One host's row.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn host_row(&self, id: HostId) -> Result<Host, Problem> {
        found(self.store().host(id).await?, "host", id)
    }

    /// One host with everything it knows about itself.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` when it is another one that does not answer.
    pub async fn host_view(&self, id: HostId) -> Result<HostView, Problem> {
        let host = found(self.store().host(id).await?, "host", id)?;
        if id != self.host() {
            return self.host_view_there(id).await;
        }
        Ok(HostView {
            host,
            facts: self.facts().await,
            foreign_domains: self.0.foreign_domains.load(Ordering::Relaxed),
            reconcilers: self.reconcilers(),
            latest: self.0.history.latest(),
        })
    }

    /// Load of a host, newest last, one point every 5 s, the last 30 minutes.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` when it is another one that does not answer.
    pub async fn host_samples(&self, id: HostId) -> Result<Vec<HostSample>, Problem> {
        if id == self.host() { Ok(self.own_samples()) } else { self.ask(id, &Ask::HostSamples).await }
    }

    /// Load of this host.
    pub fn own_samples(&self) -> Vec<HostSample> {
        self.0.history.host()
    }

    /// What is wrong with this host, in words, for the others.
    pub(crate) async fn own_faults(&self) -> Vec<String> {
        self.own_notices()
            .await
            .into_iter()
            .filter(|n| n.level == NoticeLevel::Critical)
            .map(|n| n.text)
            .collect()
    }

    /// Numbers of the replicated log.
    pub async fn cluster_health(&self) -> ClusterHealth {
        self.0.cluster.health().await
    }
}
