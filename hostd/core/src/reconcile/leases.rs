//! Leases: this host takes part in them, tells the watchdog how long its own lasts, and fences those that had none for too
//! long while it leads.

use super::{Reconcile, Summary};
use crate::Core;
use hostd_cluster::ToFence;
use hostd_types::command::HostCommand;
use hostd_types::*;
use std::time::Duration;

/// Looks after leases; renewing them is the cluster's own work.
pub(super) struct Leases {
    core: Core,
}

impl Leases {
    pub fn new(core: &Core) -> Self {
        Self { core: core.clone() }
    }

    /// Tells the cluster that this host knows its epoch. Whatever would need a lease has ended here with the last one.
    async fn acknowledge(&self) -> Result<bool, Problem> {
        let core = &self.core;
        let Some(host) = core.store().host(core.host()).await? else { return Ok(false) };
        let member = host.spec.node == Some(core.0.cluster.node()) && host.spec.role == HostRole::Host;
        let due = match host.spec.state {
            HostState::New | HostState::Fenced => member && core.0.cluster.lease().is_none(),
            HostState::Active => false,
        };
        if !due || core.cut_off() || core.store().level().await? < LEASES {
            return Ok(false);
        }
        let (id, epoch) = (host.id, host.spec.fence_epoch);
        core.report(Command::Host(HostCommand::Acknowledge { id, epoch })).await?;
        Ok(true)
    }

    /// Fences who is due; tells how many.
    async fn fence(&self) -> Result<usize, Problem> {
        let due = self.core.0.cluster.to_fence().await?;
        for ToFence { host, epoch, leader, term } in due.iter().copied() {
            tracing::warn!(%host, epoch, "fencing a host that has had no lease for too long");
            let fence = HostCommand::Fence { id: host, epoch, leader, term };
            self.core.report(Command::Host(fence)).await?;
        }
        Ok(due.len())
    }
}

impl Reconcile for Leases {
    fn name(&self) -> &'static str {
        "leases"
    }
    fn period(&self) -> Duration {
        Duration::from_secs(1)
    }
    async fn run(&mut self) -> Result<Summary, Problem> {
        self.core.tell_watchdog().await;
        let changed = usize::from(self.acknowledge().await?) + self.fence().await?;
        Ok(Summary { checked: 1, changed, ..Summary::default() })
    }
}
