//! The host reports itself when something about it changed, and notes the time.

use super::{Reconcile, Summary};
use crate::Core;
use hostd_types::command::HostCommand;
use hostd_types::*;
use std::time::Duration;

/// Reports this host.
pub(super) struct HostReport {
    core: Core,
}

impl HostReport {
    pub fn new(core: &Core) -> Self {
        Self { core: core.clone() }
    }
}

impl Core {
    /// Reports this host if what the state says of it is not so.
    ///
    /// # Errors
    /// When the state can't be read or written.
    pub(crate) async fn report_host(&self) -> Result<bool, Problem> {
        let machine = &self.0.machine;
        let status = HostStatus {
            version: self.settings().version.clone(),
            boot_id: machine.boot_id.clone(),
            durable: !self.settings().live,
        };
        let known = self.store().host(self.host()).await?;
        if known.is_some_and(|host| host.status == status && host.spec.name == machine.hostname) {
            return Ok(false);
        }
        let report = HostCommand::Report { id: self.host(), name: machine.hostname.clone(), status };
        self.report(Command::Host(report)).await?;
        Ok(true)
    }
}

impl Reconcile for HostReport {
    fn name(&self) -> &'static str {
        "host"
    }
    fn period(&self) -> Duration {
        Duration::from_secs(60)
    }
    async fn run(&mut self) -> Result<Summary, Problem> {
        self.core.0.clock.note(self.core.local()).await?;
        let changed = self.core.report_host().await?;
        Ok(Summary { checked: 1, changed: usize::from(changed), ..Summary::default() })
    }
}
