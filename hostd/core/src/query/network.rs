//! Reads of networks.

use super::{found, page};
use crate::federation::Ask;
use crate::{Core, NetworkView};
use hostd_types::*;
use std::collections::{BTreeMap, BTreeSet};

/// Leased addresses by network and hardware address.
pub type Leased = BTreeMap<(NetworkId, String), String>;

impl Core {
    /// A page of networks.
    ///
    /// # Errors
    /// When the state can't be read or the list's parameters are wrong.
    pub async fn networks(&self, list: &ListParams) -> Result<Page<NetworkView>, Problem> {
        let mut rows = self.store().networks(list).await?;
        let views = self.network_views(std::mem::take(&mut rows.items)).await?;
        Ok(page(rows, views))
    }

    /// The networks of a host.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn networks_on(&self, host: HostId) -> Result<Vec<NetworkView>, Problem> {
        let networks = self.store().networks_on(host).await?;
        self.network_views(networks).await
    }

    async fn network_views(&self, networks: Vec<Network>) -> Result<Vec<NetworkView>, Problem> {
        let vms = self.store().vms_by_network().await?;
        let mut views = Vec::with_capacity(networks.len());
        for network in networks {
            views.push(self.network_view(network, &vms).await);
        }
        Ok(views)
    }

    /// One network, with what its host alone sees when that answers.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn network(&self, id: NetworkId) -> Result<NetworkView, Problem> {
        let network = found(self.store().network(id).await?, "network", id)?;
        let seen: Option<NetworkView> = self.seen_there(network.spec.host, &Ask::Network(id)).await;
        let mut view = self.network_view(network, &self.store().vms_by_network().await?).await;
        view.leases.extend(seen.into_iter().flat_map(|seen| seen.leases));
        Ok(view)
    }

    async fn network_view(&self, network: Network, vms: &BTreeMap<NetworkId, u64>) -> NetworkView {
        let leases = self.leases(&network).await;
        NetworkView { vms: vms.get(&network.id).copied().unwrap_or(0), network, leases }
    }

    /// The address that each network of this host leased to a card, by network and hardware address.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn leased(&self, networks: &BTreeSet<NetworkId>) -> Result<Leased, Problem> {
        let mut leased = Leased::new();
        for id in networks {
            let Some(network) = self.store().network(*id).await? else { continue };
            let leases = self.leases(&network).await;
            leased.extend(
                leases.into_iter().map(|l| ((*id, l.mac.to_ascii_lowercase()), l.address.to_string())),
            );
        }
        Ok(leased)
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
