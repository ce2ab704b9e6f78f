//! Links, bridges, addresses, NAT and DHCP of the host.
#![allow(missing_docs, clippy::todo, unused_variables, dead_code)]
use hostd_types::*;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum NetError {
    #[error("{operation}: {message}")]
    Call { operation: String, message: String },
}

/// Handle; owns the netlink socket and the dnsmasq processes' pid files.
#[derive(Clone)]
pub struct Nets(());

impl Nets {
    /// `run_dir`: pid and generated config files (`/run/quantix/net`); `lease_dir`: leases, durable.
    pub fn start(run_dir: PathBuf, lease_dir: PathBuf) -> Result<Self, NetError> { todo!() }
    /// Every link as the kernel shows it.
    pub async fn links(&self) -> Result<Vec<NicFacts>, NetError> { todo!() }
    /// Makes the bridge (and address, NAT, DHCP) so; does nothing where it is so already. Returns what is still wrong.
    pub async fn ensure(&self, network: &Network) -> Result<NetworkStatus, NetError> { todo!() }
    /// Undoes everything `ensure` made; fine when nothing is there.
    pub async fn remove(&self, network: &Network) -> Result<(), NetError> { todo!() }
    pub async fn leases(&self, network: &Network) -> Result<Vec<Lease>, NetError> { todo!() }
    /// A free /24 of 10.200.0.0/16 … that overlaps none of the host's addresses and routes nor `taken`.
    pub async fn free_subnet(&self, taken: &[ipnet::Ipv4Net]) -> Result<Option<ipnet::Ipv4Net>, NetError> { todo!() }
}
