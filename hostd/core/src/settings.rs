//! Where this daemon keeps things and how it reaches libvirt.

use hostd_types::HostRole;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Validated settings, parsed by the binary.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Durable state: `log.db`, `state.db`, `local.db` (`/data/hostd`).
    pub state_dir: PathBuf,
    /// Root of the storage pools (`/data/pools`); the pool `local` is the directory of that name in it.
    pub pool_dir: PathBuf,
    /// Volatile files: consoles, generated configuration, the initial password (`/run/quantix`).
    pub run_dir: PathBuf,
    /// Address of the port for other members.
    pub peer_listen: SocketAddr,
    /// Address of the pages and the API, for join tokens.
    pub site_listen: SocketAddr,
    /// libvirt's address (`qemu:///system`).
    pub libvirt_uri: String,
    /// Never use hardware virtualization, even where it works.
    pub force_emulation: bool,
    /// What this host is for; absent: what it was started as before, at first a host.
    pub role: Option<HostRole>,
    /// The state is in RAM and vanishes at reboot.
    pub live: bool,
    /// Version of the product.
    pub version: String,
    /// This program, for its helper modes such as `hostd kvm-probe`.
    pub program: PathBuf,
}

impl Settings {
    /// Where keys and certificates are kept.
    pub fn keys_dir(&self) -> PathBuf {
        self.state_dir.join("keys")
    }
}
