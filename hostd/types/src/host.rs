//! Hosts. The replicated part is small; what changes by the second is [`HostFacts`] and [`HostSample`], read from the
//! machine itself and never written to the log.

use crate::meta::resource;
use crate::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is wanted of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostSpec {
    /// Name, and the machine's hostname; at first what the machine calls itself.
    pub name: String,
    /// Its identity in the replicated log; absent until the cluster's record exists.
    #[serde(default)]
    pub node: Option<NodeId>,
    /// What it is in the cluster for.
    #[serde(default)]
    pub role: HostRole,
    /// Counts how often the host was fenced: a lease of an older epoch is void.
    #[serde(default)]
    pub fence_epoch: u64,
    /// It is about to leave: it hands over its vote first.
    #[serde(default)]
    pub leaving: bool,
    /// Whether it gets leases.
    #[serde(default, skip_serializing_if = "HostState::is_new")]
    pub state: HostState,
}

/// Whether a host gets leases: the permission, for seconds at a time, to run what another host would take over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HostState {
    /// It has not asked to yet: it gets none, and is not fenced.
    #[default]
    New,
    /// It gets leases of its epoch.
    Active,
    /// It was without a lease for so long that what needs one has stopped on it. It acknowledges that before it gets
    /// another one.
    Fenced,
}

impl HostState {
    /// As every host begins.
    pub fn is_new(&self) -> bool {
        *self == HostState::New
    }
}

/// What a member is in the cluster for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HostRole {
    /// It runs machines, and may vote.
    #[default]
    Host,
    /// It votes and runs no machine, so that two hosts have a majority when one is lost.
    Witness,
}

impl HostRole {
    /// The word the API and the command line have for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            HostRole::Host => "host",
            HostRole::Witness => "witness",
        }
    }
}

impl std::str::FromStr for HostRole {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [HostRole::Host, HostRole::Witness].into_iter().find(|role| role.as_str() == text);
        known.ok_or_else(|| format!("{text:?} is no role; host and witness are"))
    }
}

/// A change of a host's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EditHost {
    /// Its new name: 1 to 63 letters, digits and dashes (RFC 1123, one label).
    pub name: String,
}

/// What a host last reported about itself, on change only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostStatus {
    /// Version of Quantix it runs.
    pub version: String,
    /// The kernel's boot id: changes with every boot.
    pub boot_id: String,
    /// Its state survives a reboot.
    pub durable: bool,
    /// Where other members reach it (`address:port`), the best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// The newest feature level it knows; 0 when it told none, as the first versions do.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub level: u16,
    /// When its certificate as a member ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_ends: Option<Timestamp>,
    /// SHA-256 of that certificate's public key, in hexadecimal: by it the host proves itself when all else has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// SHA-256 of the certificate of the authority that signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// The authorities the host trusts, likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusts: Vec<String>,
    /// Its processor, as libvirt told last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<HostCpu>,
    /// CPU threads it has; 100 % each is what machines can reserve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
}

fn is_zero(level: &u16) -> bool {
    *level == 0
}

resource! {
    /// A host.
    Host, HostId, HostSpec, HostStatus, Kind::Host
}

/// Whether guests run on hardware virtualization, found by running an instruction in a virtual machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Acceleration {
    /// KVM works.
    Kvm,
    /// It does not; guests run in software emulation (slow).
    Emulation {
        /// Why KVM is not used.
        reason: String,
    },
}

/// A processor package as the kernel describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CpuFacts {
    /// Model name.
    pub model: String,
    /// Packages.
    pub sockets: u32,
    /// Cores of all packages.
    pub cores: u32,
    /// Threads of all cores: what guests may use.
    pub threads: u32,
}

/// A part of the machine that has memory near to its CPUs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemoryNode {
    /// Its number.
    pub id: u32,
    /// Its CPUs, as ranges: `0-7,16-23`.
    pub cpus: String,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Huge pages set aside in it, by size.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub huge_pages: Vec<HugePages>,
}

/// Huge pages of one size that are set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HugePages {
    /// Size of a page, KiB.
    pub size_kib: u64,
    /// How many are set aside.
    pub total: u64,
    /// How many of these nobody uses.
    pub free: u64,
}

/// A block device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiskFacts {
    /// Kernel name, such as `nvme0n1`.
    pub name: String,
    /// Bytes.
    pub size_bytes: u64,
    /// Model, when the device tells.
    pub model: Option<String>,
    /// Serial number or WWN, when the device tells.
    pub serial: Option<String>,
    /// Spins.
    pub rotational: bool,
    /// Can be unplugged.
    pub removable: bool,
}

/// A network card or other link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NicFacts {
    /// Kernel name, such as `eth0`.
    pub name: String,
    /// Hardware address.
    pub mac: String,
    /// A physical card (or a paravirtual one), not a bridge or tap.
    pub physical: bool,
    /// It has a carrier.
    pub up: bool,
    /// Mbit/s, when the card tells.
    pub speed_mbit: Option<u32>,
    /// Kernel driver, when there is one.
    pub driver: Option<String>,
    /// Addresses with prefix length.
    pub addresses: Vec<String>,
    /// The bridge it is a port of.
    pub master: Option<String>,
}

/// What a file system holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PoolFacts {
    /// Name of the pool.
    pub name: String,
    /// Directory.
    pub path: String,
    /// Bytes of the file system.
    pub total_bytes: u64,
    /// Bytes free for us.
    pub free_bytes: u64,
}

/// Versions of what runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Versions {
    /// Quantix.
    pub quantix: String,
    /// Kernel.
    pub kernel: String,
    /// libvirt, when it answers.
    pub libvirt: Option<String>,
    /// QEMU, when libvirt answers.
    pub qemu: Option<String>,
    /// The operating system image.
    pub os: Option<String>,
}

/// Everything a host knows about its own machine at this moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HostFacts {
    /// Processors.
    pub cpu: CpuFacts,
    /// Memory, bytes.
    pub memory_bytes: u64,
    /// NUMA nodes, by number; absent in what older hosts tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<MemoryNode>,
    /// Hardware virtualization.
    pub acceleration: Acceleration,
    /// Block devices.
    pub disks: Vec<DiskFacts>,
    /// Network links.
    pub nics: Vec<NicFacts>,
    /// Storage pools.
    pub pools: Vec<PoolFacts>,
    /// Versions.
    pub versions: Versions,
    /// Seconds since boot.
    pub uptime_s: u64,
    /// Vendor and product of the machine, when the firmware tells.
    pub machine: Option<String>,
    /// libvirt answers; when not, why.
    pub libvirt_fault: Option<String>,
    /// State is in RAM and vanishes at reboot.
    pub live: bool,
    /// The wall clock jumped backwards by this many seconds since the last start, when it did.
    pub clock_back_s: Option<u64>,
}

/// One point of the host's load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HostSample {
    /// Seconds since the Unix epoch.
    pub at: i64,
    /// Share of all CPU time in use, 0 to 1.
    pub cpu: f64,
    /// Memory in use, bytes.
    pub memory_used: u64,
    /// Bytes per second received by physical cards.
    pub rx_bps: f64,
    /// Bytes per second sent by physical cards.
    pub tx_bps: f64,
}

/// One point of a machine's load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VmSample {
    /// Seconds since the Unix epoch.
    pub at: i64,
    /// Share of its virtual CPUs' time in use, 0 to 1.
    pub cpu: f64,
    /// Memory of its QEMU process, bytes.
    pub memory_rss: u64,
    /// Bytes per second read from disks.
    pub read_bps: f64,
    /// Bytes per second written to disks.
    pub write_bps: f64,
    /// Bytes per second received.
    pub rx_bps: f64,
    /// Bytes per second sent.
    pub tx_bps: f64,
}
