//! Reads of hosts.

use super::found;
use crate::federation::{Ask, Condition};
use crate::standing::removed_here;
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
    /// `NotFound`; `Unavailable` or `Removed` when it is this host's own, as of [`Core::host_view`].
    pub async fn host_row(&self, id: HostId) -> Result<Host, Problem> {
        match self.store().host(id).await? {
            None if id == self.host() => Err(self.no_row().await),
            row => found(row, "host", id),
        }
    }

    /// Why this host has no row.
    async fn no_row(&self) -> Problem {
        match self.condition().await {
            Ok(Condition::Removed) => removed_here(),
            Ok(Condition::Alone | Condition::Member | Condition::Moving) => {
                let detail = "This host is on its way between two clusters. Wait until it has arrived.";
                Problem::new(ProblemKind::Unavailable, detail).retry_after(1)
            }
            Err(problem) => problem,
        }
    }

    /// One host with everything it knows about itself.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` when it is another one that does not answer, or this one and on its way between two
    /// clusters; `Removed` when it is this one and the others removed it.
    pub async fn host_view(&self, id: HostId) -> Result<HostView, Problem> {
        let host = self.host_row(id).await?;
        if id != self.host() {
            return self.host_view_there(id).await;
        }
        Ok(HostView {
            host,
            facts: self.facts().await,
            foreign_domains: self.0.foreign_domains.load(Ordering::Relaxed),
            reconcilers: self.reconcilers(),
            latest: self.0.history.latest(),
            watchdog: Some(self.0.watchdog.now()),
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
