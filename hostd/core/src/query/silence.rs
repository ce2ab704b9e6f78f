//! How old rows are: what is on a host that does not answer is shown as it was told last.

use super::cluster::liveness_of;
use crate::federation::{Aged, Liveness, Silence};
use crate::{Core, HostView};
use hostd_types::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A host with everything it knows about itself, or its row alone while it does not answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant)] // one a request, never kept
pub enum HostSight {
    /// It answers.
    There(HostView),
    /// It does not.
    Silent(Aged<Host>),
}

impl Core {
    /// The hosts that do not answer, with how old what is shown of them is.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn silent_hosts(&self) -> Result<BTreeMap<HostId, Silence>, Problem> {
        let hosts = self.store().hosts().await?;
        let silent = hosts.iter().map(|host| (host.id, self.silence(host)));
        Ok(silent.filter(|(_, silence)| silence.liveness != Liveness::Up).collect())
    }

    fn silence(&self, host: &Host) -> Silence {
        let group = self.0.cluster.group();
        let member = host.spec.node.and_then(|node| group.members.get(&node));
        let known = member.and_then(|member| member.known.as_ref());
        let seen_s = known.and_then(|known| known.silent).map(|silent| silent.as_secs());
        Silence { liveness: liveness_of(host, host.id == self.host(), known), seen_s }
    }

    /// `row`, which is about something on `host`, with how old it is.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn aged<T>(&self, row: T, host: HostId) -> Result<Aged<T>, Problem> {
        let silent = self.silent_hosts().await?.remove(&host);
        Ok(Aged { row, silent })
    }

    /// Rows, each about something on the host that `host` tells, with how old they are.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn aged_page<T>(
        &self,
        page: Page<T>,
        host: impl Fn(&T) -> HostId,
    ) -> Result<Page<Aged<T>>, Problem> {
        let silent = self.silent_hosts().await?;
        let Page { items, total, next } = page;
        let aged = |row| Aged { silent: silent.get(&host(&row)).copied(), row };
        Ok(Page { items: items.into_iter().map(aged).collect(), total, next })
    }

    /// One host with everything it knows about itself, or what its row says when it does not answer.
    ///
    /// # Errors
    /// As of [`Core::host_view`], but for `Unavailable` of another host.
    pub async fn host_sight(&self, id: HostId) -> Result<HostSight, Problem> {
        match self.host_view(id).await {
            Ok(view) => Ok(HostSight::There(view)),
            Err(problem) if problem.kind == ProblemKind::Unavailable && id != self.host() => {
                let row = self.host_row(id).await?;
                // That it does not answer may be news.
                let silent = Some(self.silence(&row));
                Ok(HostSight::Silent(Aged { row, silent }))
            }
            Err(problem) => Err(problem),
        }
    }
}
