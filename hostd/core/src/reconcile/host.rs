//! The host reports itself when something about it changed, takes the name it is given, and notes the time.

use super::{Reconcile, Summary};
use crate::Core;
use crate::error::internal;
use crate::facts::{addresses, hostname};
use hostd_types::command::HostCommand;
use hostd_types::*;
use std::net::SocketAddr;
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
    /// Makes the machine's hostname the name this host has in the state: the kernel forgets it at a boot, the state does
    /// not.
    ///
    /// # Errors
    /// When the state can't be read, or the kernel refuses the name.
    async fn take_name(&self) -> Result<bool, Problem> {
        if self.is_witness() {
            // Somebody else's machine, which keeps the name it has.
            return Ok(false);
        }
        let Some(host) = self.store().host(self.host()).await? else { return Ok(false) };
        let (wanted, now) = (host.spec.name, hostname());
        if wanted == now {
            return Ok(false);
        }
        nix::unistd::sethostname(&wanted)
            .map_err(|e| internal(&format!("The hostname can't become {wanted}"), e))?;
        tracing::info!(was = now, now = wanted, "took another hostname");
        Ok(true)
    }

    /// What this host reports of itself.
    pub(crate) fn host_status(&self) -> HostStatus {
        let port = self.settings().peer_listen.port();
        let port = self.0.wire.link().map_or(port, |link| link.local().port());
        let identity = self.0.wire.link().and_then(|link| link.identity());
        let print = |pem: &String| Some(hostd_peer::fingerprint(pem).ok()?.to_string());
        HostStatus {
            version: self.settings().version.clone(),
            boot_id: self.0.machine.boot_id.clone(),
            durable: !self.settings().live,
            addresses: addresses().into_iter().map(|ip| SocketAddr::new(ip, port).to_string()).collect(),
            level: LEVEL,
            certificate_ends: identity.as_ref().map(|identity| identity.ends()),
            public_key: identity.as_ref().and_then(|identity| Some(identity.public_key().ok()?.to_string())),
            authority: identity.as_ref().and_then(|identity| Some(identity.authority().ok()?.to_string())),
            cpu: self.own_cpu(),
            threads: Some(self.0.machine.cpu.threads),
            trusts: identity.iter().flat_map(|identity| identity.authorities()).filter_map(print).collect(),
        }
    }

    /// What libvirt says of the processor; none until it is known whether guests run on it.
    fn own_cpu(&self) -> Option<HostCpu> {
        let kvm = *self.0.acceleration.get()? == Acceleration::Kvm;
        self.0.hypervisor.cpu(kvm)
    }

    /// Where this host's site is, for join tokens.
    pub(crate) fn site_addresses(&self) -> Vec<SocketAddr> {
        let listen = self.settings().site_listen;
        match listen.ip().is_unspecified() {
            true => addresses().into_iter().map(|ip| SocketAddr::new(ip, listen.port())).collect(),
            false => vec![listen],
        }
    }

    /// Reports this host if what the state says of it is not so.
    ///
    /// # Errors
    /// When the state can't be read or written.
    pub(crate) async fn report_host(&self) -> Result<bool, Problem> {
        let mut status = self.host_status();
        status.fit(self.store().level().await?);
        let known = self.store().host(self.host()).await?;
        if status.cpu.is_none() {
            // libvirt is away, or was not asked yet: the processor is still the same.
            status.cpu = known.as_ref().and_then(|host| host.status.cpu.clone());
        }
        if known.is_none() && self.store().cluster().await?.is_some() {
            // The cluster has removed this host: it comes back by joining, not by a report.
            return Ok(false);
        }
        if known.is_none_or(|host| host.status != status) {
            let report = HostCommand::Report { id: self.host(), name: hostname(), status };
            self.report(Command::Host(report)).await?;
            self.report_role().await?;
            return Ok(true);
        }
        self.report_role().await
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
        let mut changed = usize::from(self.core.take_name().await?);
        changed += usize::from(self.core.report_host().await?);
        if self.core.0.acceleration.get().is_none() {
            self.core.acceleration().await;
            changed += usize::from(self.core.report_host().await?);
        }
        Ok(Summary { checked: 1, changed, ..Summary::default() })
    }
}
