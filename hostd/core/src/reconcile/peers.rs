//! Keeps the link to other members as the rows say: where they are, who is removed, and this host's own certificate.

use super::{Reconcile, Summary};
use crate::Core;
use crate::federation::{HostPulse, parsed};
use hostd_types::command::ClusterCommand;
use hostd_types::*;
use std::time::Duration;

/// Looks after the link.
pub(super) struct Peers {
    core: Core,
    begun: bool,
}

impl Peers {
    pub fn new(core: &Core) -> Self {
        Self { core: core.clone(), begun: false }
    }

    /// Takes the members' addresses and who is removed from the rows.
    async fn read_rows(&self) -> Result<usize, Problem> {
        let (hosts, wire) = (self.core.store().hosts().await?, &self.core.0.wire);
        wire.refuse(self.core.store().removed().await?);
        if let Some(link) = wire.link() {
            let known = |host: &Host| Some((host.spec.node?, parsed(&host.status.addresses)));
            link.set_addresses(hosts.iter().filter_map(known).collect());
        }
        Ok(hosts.len())
    }

    /// Lets the cluster use what every member knows by now. The leader does it, once.
    async fn raise(&self) -> Result<(), Problem> {
        let Some(cluster) = self.core.store().cluster().await? else { return Ok(()) };
        let hosts = self.core.store().hosts().await?;
        let known = hosts.iter().map(|host| host.status.level).min().unwrap_or(LEVEL).min(LEVEL);
        if self.core.0.cluster.group().leads && known > cluster.status.level {
            self.core.report(Command::Cluster(ClusterCommand::Raise { level: known })).await?;
        }
        Ok(())
    }

    /// Tells the others of this host with its next sign of life.
    async fn tell(&self) -> Result<(), Problem> {
        let (core, health) = (&self.core, self.core.cluster_health().await);
        let pulse = HostPulse {
            fsync_p99_ms: health.fsync_p99_ms,
            sample: core.0.history.latest(),
            memory_bytes: core.0.machine.memory_bytes,
            threads: core.0.machine.cpu.threads,
            pool: core.pool_space(),
            faults: core.own_faults().await,
        };
        let text = serde_json::to_string(&pulse)
            .map_err(|error| crate::error::internal("The sign of life can't be written", error))?;
        core.0.cluster.set_digest(text);
        Ok(())
    }
}

impl Reconcile for Peers {
    fn name(&self) -> &'static str {
        "peers"
    }
    fn period(&self) -> Duration {
        Duration::from_secs(5)
    }
    async fn run(&mut self) -> Result<Summary, Problem> {
        if !self.begun {
            self.core.remember_places().await?;
            self.begun = true;
        }
        let checked = self.read_rows().await?;
        // None waits for another: what needs the majority must not keep this host from learning why it has none.
        let renewed = self.core.keep_certificate().await;
        let told = [
            self.core.finish_recovery().await,
            self.core.step_rotation().await.map(drop),
            self.tell().await,
            self.raise().await,
            self.core.tell_acts(None).await,
            self.core.resume_leaving().await,
        ];
        // Last, as it may wait for hosts that are gone.
        let pleaded = self.core.plead().await;
        told.into_iter().collect::<Result<(), Problem>>()?;
        let changed = usize::from(renewed? | pleaded?);
        Ok(Summary { checked, changed, ..Summary::default() })
    }
}
