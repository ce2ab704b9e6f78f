//! A host alone founds a cluster of one: there is no other kind of host.

use crate::error::chain;
use crate::{Core, hostname};
use hostd_peer::{Identity, Issuer, PeerError, Secret};
use hostd_types::command::{ClusterCommand, HostCommand};
use hostd_types::*;

/// What went wrong with certificates or keys.
pub(crate) fn keys(error: PeerError) -> Problem {
    let why = chain(&error);
    tracing::error!(error = why, "the cluster's keys or certificates can't be used");
    Problem::new(ProblemKind::Internal, format!("The cluster's keys or certificates can't be used: {why}."))
}

impl Core {
    /// Founds the cluster of one, unless the state has a cluster, and takes up this host's identity in it.
    ///
    /// # Errors
    /// When the state or the keys can't be written, or the keys don't belong to the state.
    pub(crate) async fn ensure_cluster(&self) -> Result<(), Problem> {
        if self.store().cluster().await?.is_none() {
            self.found().await?;
        }
        let Some(identity) = Identity::load(&self.settings().keys_dir()).map_err(keys)? else {
            let detail = "The keys of this host as a member of its cluster are gone (member.json). Put them back from a \
                          backup, or remove the host from the cluster on another one and let it join again.";
            return Err(Problem::new(ProblemKind::Internal, detail));
        };
        self.link_as(Some(identity))
    }

    /// Talks to others under this identity from now on.
    pub(crate) fn link_as(&self, identity: Option<Identity>) -> Result<(), Problem> {
        match self.0.wire.link() {
            Some(link) => link.set_identity(identity).map_err(keys),
            None => Ok(()),
        }
    }

    /// Raises the state to this version's level and founds the cluster. Done again from the start when it broke off: keys
    /// without a cluster are of no use to anybody.
    pub(crate) async fn found(&self) -> Result<(), Problem> {
        if self.store().level().await? < LEVEL {
            self.report(Command::Cluster(ClusterCommand::Raise { level: LEVEL })).await?;
        }
        let (id, node, now) = (ClusterId::new(), self.0.cluster.node(), Timestamp::now());
        let secret = Secret::generate().map_err(keys)?;
        let issuer = Issuer::generate(id, now).map_err(keys)?;
        let request = Identity::request(id, node).map_err(keys)?;
        let leaf = issuer.sign(&request.csr_pem, id, node, now).map_err(keys)?;
        let chain = format!("{leaf}{}", issuer.certificate());
        let trusted = vec![issuer.certificate().to_owned()];
        let authority = issuer.record(&secret).map_err(keys)?;
        let identity = Identity::new(id, node, 0, chain, &request.key_pem, trusted, secret).map_err(keys)?;
        identity.save(&self.settings().keys_dir()).map_err(keys)?;
        if self.store().host(self.host()).await?.is_none() {
            let report =
                HostCommand::Report { id: self.host(), name: hostname(), status: self.host_status() };
            self.report(Command::Host(report)).await?;
        }
        let found = ClusterCommand::Found { id, name: hostname(), authority, host: self.host(), node };
        self.report(Command::Cluster(found)).await?;
        tracing::info!(cluster = %id, %node, "founded a cluster");
        Ok(())
    }
}
