//! What this host is for: it runs machines, or it is a witness that only votes.
//!
//! The role is a fact of the machine itself, told at the start and remembered in its own store; the host's row says the
//! same to the others. A witness needs neither libvirt nor a pool nor networks, and starts nothing that looks after them.

use crate::Core;
use crate::pool::Pool;
use hostd_cluster::Cluster;
use hostd_types::command::*;
use hostd_types::*;

/// Local fact: what this host was started as.
const ROLE: &str = "host.role";
/// Why a witness has no libvirt and no hardware virtualization.
pub(crate) const RUNS_NONE: &str = "this host is a witness and runs no machines";

/// What this host is from now on: what it was told to be, else what it was before.
///
/// # Errors
/// `WrongState` when it is to become a witness and something is on it, or it is on its way between two clusters.
pub(crate) async fn settle(cluster: &Cluster, told: Option<HostRole>) -> Result<HostRole, Problem> {
    let known = cluster.local().get(ROLE).await?.and_then(|text| text.parse().ok());
    let role = told.or(known).unwrap_or_default();
    if role == known.unwrap_or_default() {
        return Ok(role);
    }
    if cluster.switching().await?.is_some() {
        let detail = "The host is on its way between two clusters. Start it as before, and change its role when it has \
                      arrived.";
        return Err(Problem::wrong_state(detail));
    }
    if role == HostRole::Witness
        && let Some(kept) = kept(&cluster.store().belongings(cluster.host()).await?)
    {
        let detail = format!(
            "This host can't be a witness, because a witness runs no machines and holds no disks, and on it is: {kept}. Start \
             it without --role witness; or delete that first, then start it as a witness."
        );
        return Err(Problem::wrong_state(detail));
    }
    cluster.local().put(ROLE, role.as_str()).await?;
    Ok(role)
}

/// What is on a host, in words; `None` when nothing is.
fn kept(all: &Belongings) -> Option<String> {
    let names = |what: &str, names: Vec<&str>| match names.is_empty() {
        true => None,
        false => Some(format!("{what} {}", crate::admit::list_names(names.into_iter()))),
    };
    let kept: Vec<String> = [
        names("machine", all.vms.iter().map(|row| row.spec.name.as_str()).collect()),
        names("volume", all.volumes.iter().map(|row| row.spec.name.as_str()).collect()),
        names("image", all.images.iter().map(|row| row.spec.name.as_str()).collect()),
        names("network", all.networks.iter().map(|row| row.spec.name.as_str()).collect()),
    ]
    .into_iter()
    .flatten()
    .collect();
    if kept.is_empty() { None } else { Some(kept.join(", ")) }
}

impl Core {
    /// What this host is for.
    pub fn role(&self) -> HostRole {
        self.0.role
    }

    /// It only votes.
    pub fn is_witness(&self) -> bool {
        self.0.role == HostRole::Witness
    }

    /// Makes this host's row say what it was started as.
    ///
    /// # Errors
    /// When the state can't be read or written.
    pub(crate) async fn report_role(&self) -> Result<bool, Problem> {
        let Some(host) = self.store().host(self.host()).await? else { return Ok(false) };
        if host.spec.role == self.0.role {
            return Ok(false);
        }
        self.report(Command::Host(HostCommand::SetRole { id: host.id, role: self.0.role })).await?;
        Ok(true)
    }

    /// Refuses to make something on a witness, before anything is looked for that only hosts have.
    pub(crate) fn may_hold(&self, command: &Command) -> Result<(), Problem> {
        let makes = matches!(
            command,
            Command::Vm(VmCommand::Create { .. } | VmCommand::Adopt { .. })
                | Command::Volume(VolumeCommand::Create { .. })
                | Command::Image(ImageCommand::Create { .. })
                | Command::Network(NetworkCommand::Create { .. })
        );
        if self.is_witness() && makes {
            let detail = "This host is a witness: it votes, and holds no machines. Choose another host.";
            return Err(Problem::field("/host", detail));
        }
        Ok(())
    }

    /// The pool, where there is one.
    pub(crate) fn pool_space(&self) -> Option<PoolFacts> {
        let pool: &Pool = &self.0.pool;
        if self.is_witness() { None } else { pool.space().ok() }
    }
}
