//! Reads of networks.

use super::{found, page};
use crate::federation::Ask;
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

    /// One network, with what its host alone sees when that answers.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn network(&self, id: NetworkId) -> Result<NetworkView, Problem> {
        let network = found(self.store().network(id).await?, "network", id)?;
        let seen: Option<NetworkView> = self.seen_there(network.spec.host, &Ask::Network(id)).await;
        let mut view = self.network_view(network).await?;
        view.leases.extend(seen.into_iter().flat_map(|seen| seen.leases));
        Ok(view)
    }

    async fn network_view(&self, network: Network) -> Result<NetworkView, Problem> {
        let vms = self.store().vms_on_network(network.id).await?.len() as u64;
        let leases = self.leases(&network).await;
        Ok(NetworkView { network, vms, leases })
    }

    /// Addresses a network of this host leased; none when they can't be read, which the log says.
    pub(super) async fn leases(&self, network: &Network) -> Vec<Lease> {
        if network.spec.host != self.host() {
            return Vec::new();
        }
        match self.0.nets.leases(network).await {
            Ok(leases) => leases,
            Err(error) => {
                tracing::warn!(network = %network.spec.name, %error, "the leases can't be read");
                Vec::new()
            }
        }
    }
}
