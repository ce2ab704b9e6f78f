//! Reads of networks.

use super::{found, page};
use crate::{Core, NetworkView};
use hostd_types::*;

impl Core {
    /// A page of networks.
    ///
    /// # Errors
    /// When the state can't be read or the list's parameters are wrong.
    pub async fn networks(&self, list: &ListParams) -> Result<Page<NetworkView>, Problem> {
        let mut rows = self.store().networks(list).await?;
        let mut views = Vec::with_capacity(rows.items.len());
        for network in std::mem::take(&mut rows.items) {
            views.push(self.network_view(network).await?);
        }
        Ok(page(rows, views))
    }

    /// One network.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn network(&self, id: NetworkId) -> Result<NetworkView, Problem> {
        let network = found(self.store().network(id).await?, "network", id)?;
        self.network_view(network).await
    }

    async fn network_view(&self, network: Network) -> Result<NetworkView, Problem> {
        let vms = self.store().vms_on_network(network.id).await?.len() as u64;
        let leases = self.leases(&network).await;
        Ok(NetworkView { network, vms, leases })
    }

    /// Addresses a network leased; none when they can't be read, which the log says.
    pub(super) async fn leases(&self, network: &Network) -> Vec<Lease> {
        match self.0.nets.leases(network).await {
            Ok(leases) => leases,
            Err(error) => {
                tracing::warn!(network = %network.spec.name, %error, "the leases can't be read");
                Vec::new()
            }
        }
    }
}
