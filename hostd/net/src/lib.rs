//! Links, bridges, addresses, NAT and DHCP of the host.
//!
//! ```text
//! Network ── desired ──► Nat | Bridged          checked names and subnets; nothing else goes further
//! kernel  ── observed ─► links, addresses, routes, DHCP clients
//!            plan        pure: the steps between the two, none when it is so already
//!            kernel      does them, one by one
//!            verify      looks again and plans again: done means that no step is left
//! ```
//! Packet rules (by `nft`, all NAT networks in one table) and DHCP servers (by `dnsmasq`) follow the same idea. Small files in the run
//! directory say what was made and lent; they live as long as the kernel's own state: until the next boot.
//!
//! This crate is the only one that speaks netlink. It knows no database, no HTTP and no libvirt, and decides nothing:
//! which networks there should be is told to it. It acts on the network namespace of the thread that calls
//! [`Nets::start`].

mod bridged;
mod desired;
mod dhcp_client;
mod dhcp_server;
mod error;
mod firewall;
mod isolated;
mod kernel;
mod lease;
mod nat;
mod observed;
mod plan;
mod process;
mod record;
mod route;
mod step;
mod subnet;
mod sysfs;
mod wait;

#[cfg(test)]
mod plan_cases;

pub use desired::LinkName;
pub use error::{NetError, Refusal};

use desired::Desired;
use firewall::Firewall;
use hostd_types::{Lease, Network, NetworkStatus, NicFacts};
use kernel::Kernel;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Handle on the host's network; cheap to clone. Changes are done one at a time.
#[derive(Clone)]
pub struct Nets {
    kernel: Kernel,
    run_dir: Arc<Path>,
    lease_dir: Arc<Path>,
    rules: Arc<Mutex<Firewall>>,
}

impl Nets {
    /// `run_dir`: pid and generated configuration files, gone after a reboot (`/run/quantix/net`); `lease_dir`: DHCP
    /// leases, durable. Both are made when missing. Needs a tokio runtime.
    ///
    /// # Errors
    /// When a directory can't be made or netlink does not open.
    pub fn start(run_dir: PathBuf, lease_dir: PathBuf) -> Result<Self, NetError> {
        for directory in [&run_dir, &lease_dir] {
            std::fs::create_dir_all(directory)
                .map_err(|e| NetError::call(format!("making {}", directory.display()), &e))?;
        }
        Ok(Self {
            kernel: Kernel::open()?,
            run_dir: run_dir.into(),
            lease_dir: lease_dir.into(),
            rules: Arc::default(),
        })
    }

    /// Every link but the loopback, as the kernel shows it.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub async fn links(&self) -> Result<Vec<NicFacts>, NetError> {
        Ok(sysfs::facts(&self.kernel.observe(&[]).await?))
    }

    /// Makes the bridge (and address, NAT, DHCP) so; does nothing where it is so already. `active` is set only after
    /// the kernel was read back and, for NAT, DHCP was seen to serve; `fault` says what is still wrong; `phase` is
    /// returned as it was given.
    ///
    /// # Errors
    /// [`NetError::Refused`] when the network can't be made as it is wanted, before anything is changed;
    /// [`NetError::Undone`] when bridging failed and the card has everything back (do not try again at once:
    /// [`NetError::retryable`]); other variants when an operation failed. A feature the host lacks is a `fault`.
    pub async fn ensure(&self, network: &Network) -> Result<NetworkStatus, NetError> {
        let desired = desired::desired(network)?;
        let mut rules = self.rules.lock().await;
        let result = match &desired {
            Desired::Nat(wanted) => nat::ensure(self, &mut rules, wanted).await.map(|f| (f.is_none(), f)),
            // A cable that is not plugged in is worth a word, but the bridge is there and guests reach each other.
            Desired::Bridged(wanted) => bridged::ensure(self, wanted).await.map(|f| (true, f)),
            Desired::Isolated(wanted) => {
                isolated::ensure(self, &mut rules, wanted).await.map(|f| (f.is_none(), f))
            }
        };
        let (active, fault) = match result {
            Err(lacking @ NetError::Unsupported { .. }) => (false, Some(lacking.to_string())),
            other => other?,
        };
        Ok(NetworkStatus { phase: network.status.phase, active, fault })
    }

    /// Undoes everything [`Nets::ensure`] made, and gives a card back what it had; fine when nothing is there.
    ///
    /// # Errors
    /// When an operation failed; calling again continues.
    pub async fn remove(&self, network: &Network) -> Result<(), NetError> {
        let desired = desired::desired(network)?;
        let mut rules = self.rules.lock().await;
        match &desired {
            Desired::Nat(wanted) => nat::remove(self, &mut rules, &wanted.bridge).await,
            Desired::Bridged(wanted) => bridged::remove(self, &wanted.bridge).await,
            Desired::Isolated(wanted) => isolated::remove(self, &mut rules, &wanted.bridge).await,
        }
    }

    /// The addresses leased to guests of a NAT network; none for a bridged one, whose addresses are not ours to give.
    ///
    /// # Errors
    /// When the lease file is there and can't be read.
    pub async fn leases(&self, network: &Network) -> Result<Vec<Lease>, NetError> {
        match desired::desired(network)? {
            Desired::Nat(nat) => {
                let server = dhcp_server::DhcpServer::new(&nat.bridge, &self.run_dir, &self.lease_dir);
                Ok(lease::parse(&record::read(server.leases())?.unwrap_or_default()))
            }
            Desired::Bridged(_) | Desired::Isolated(_) => Ok(Vec::new()),
        }
    }

    /// A free /24 of 10.200.0.0/16 that overlaps none of the host's addresses and routes nor `taken`.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub async fn free_subnet(&self, taken: &[ipnet::Ipv4Net]) -> Result<Option<ipnet::Ipv4Net>, NetError> {
        Ok(subnet::free(&self.kernel.observe(&[]).await?, taken))
    }
}
