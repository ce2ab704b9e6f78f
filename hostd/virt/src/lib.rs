//! The only crate that links libvirt.
#![allow(missing_docs, clippy::todo, unused_variables, dead_code)]
use hostd_types::*;
use std::path::{Path, PathBuf};
use tokio::sync::{broadcast, watch};

#[derive(Debug, thiserror::Error)]
pub enum VirtError {
    /// libvirt does not answer.
    #[error("libvirt does not answer: {0}")]
    Down(String),
    #[error("there is no domain {0}")]
    NoDomain(VmId),
    /// The call failed; `message` is libvirt's.
    #[error("{operation}: {message}")]
    Call { operation: &'static str, message: String, code: i32 },
}

#[derive(Debug, Clone)]
pub struct VirtSettings {
    /// `qemu:///system` or a lab's `qemu+unix:///system?socket=…`.
    pub uri: String,
    /// Where serial sockets and logs of machines live, `/run/quantix/vm`.
    pub run_dir: PathBuf,
}

/// libvirt's connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link { Up { libvirt: String, qemu: String }, Down { reason: String } }

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskSource { pub volume: VolumeId, pub path: PathBuf, pub format: DiskFormat, pub bus: DiskBus }
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NicSource { pub bridge: String, pub mac: String, pub model: NicModel }

/// Everything a domain's XML is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainPlan {
    pub vm: VmId, pub name: String, pub description: String, pub generation: u64,
    pub cpus: u32, pub memory_mib: u64, pub firmware: Firmware, pub boot: Vec<BootDevice>,
    pub kvm: bool, pub disks: Vec<DiskSource>, pub cdrom: Option<PathBuf>, pub nics: Vec<NicSource>,
}

/// A domain as libvirt shows it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenDomain {
    pub vm: VmId, pub state: VmState, pub reason: Option<String>,
    /// Generation in our metadata of the persistent definition; None: not made by Quantix (or metadata removed).
    pub generation: Option<u64>,
    pub persistent: bool,
    /// Differences of the definition in force (live if active) from `plan`, in words; see `drift`.
    pub shape: DomainShape,
}
/// What a definition says about the things we set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DomainShape {
    pub name: String, pub cpus: u32, pub memory_mib: u64, pub firmware: Firmware,
    pub disks: Vec<PathBuf>, pub cdrom: Option<PathBuf>, pub nics: Vec<(String, String)>, /* (mac, bridge) */
}
/// Differences in words ("memory is 512 MiB, wanted 1024 MiB"); pure.
pub fn drift(plan: &DomainPlan, seen: &DomainShape) -> Vec<String> { todo!() }

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainEvent { pub vm: VmId }

#[derive(Debug, Clone, Default, PartialEq)]
pub struct SeenLoad { pub vm: VmId_, pub cpu_ns: u64, pub cpus: u32, pub memory_rss: u64, pub read_bytes: u64, pub write_bytes: u64, pub rx_bytes: u64, pub tx_bytes: u64 }
#[doc(hidden)] pub type VmId_ = Option<VmId>; // replaced by VmId in the real crate (VmId has no Default)

/// Where a running machine's consoles are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consoles { pub vnc: Option<PathBuf>, pub serial: Option<PathBuf>, pub serial_log: Option<PathBuf> }

/// Handle; cheap to clone. Own event-loop thread, separate connections for control and statistics, keepalive, reconnect.
#[derive(Clone)]
pub struct Hypervisor(());

impl Hypervisor {
    /// Never fails: without libvirt the link is `Down` and is retried.
    pub fn start(settings: VirtSettings) -> Self { todo!() }
    pub fn link(&self) -> watch::Receiver<Link> { todo!() }
    pub fn events(&self) -> broadcast::Receiver<DomainEvent> { todo!() }
    pub async fn domains(&self) -> Result<Vec<SeenDomain>, VirtError> { todo!() }
    /// Defines or redefines; returns nothing when libvirt accepted it.
    pub async fn define(&self, plan: &DomainPlan) -> Result<(), VirtError> { todo!() }
    pub async fn start_domain(&self, vm: VmId) -> Result<(), VirtError> { todo!() }
    /// Presses the ACPI power button; the guest may ignore it.
    pub async fn press_power(&self, vm: VmId) -> Result<(), VirtError> { todo!() }
    pub async fn reboot(&self, vm: VmId) -> Result<(), VirtError> { todo!() }
    pub async fn reset(&self, vm: VmId) -> Result<(), VirtError> { todo!() }
    pub async fn destroy(&self, vm: VmId) -> Result<(), VirtError> { todo!() }
    pub async fn suspend(&self, vm: VmId) -> Result<(), VirtError> { todo!() }
    pub async fn resume(&self, vm: VmId) -> Result<(), VirtError> { todo!() }
    /// Ok also when it is gone already. Removes NVRAM, managed save and snapshots' metadata.
    pub async fn undefine(&self, vm: VmId) -> Result<(), VirtError> { todo!() }
    /// Changes the medium of a running machine.
    pub async fn set_cdrom(&self, vm: VmId, image: Option<&Path>) -> Result<(), VirtError> { todo!() }
    pub async fn loads(&self) -> Result<Vec<SeenLoad>, VirtError> { todo!() }
    pub async fn consoles(&self, vm: VmId) -> Result<Consoles, VirtError> { todo!() }
    /// PNG of the screen, as far as the guest shows one.
    pub async fn screenshot(&self, vm: VmId) -> Result<Vec<u8>, VirtError> { todo!() }
}

/// Runs one instruction in a virtual machine of its own, in a child process with a deadline.
pub async fn probe_kvm() -> Acceleration { todo!() }

/// Disk files, by qemu-img.
pub mod disk {
    use super::*;
    #[derive(Debug, thiserror::Error)]
    pub enum DiskError { #[error("{0}")] NotAnImage(String), #[error("no space left on the pool")] Full, #[error("{0}")] Io(String) }
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Inspected { pub kind: ImageKind, pub format: DiskFormat, pub virtual_bytes: u64 }
    /// What an untrusted file is; refuses backing files, external data files, encryption, other formats, truncation.
    pub async fn inspect(path: &Path) -> Result<Inspected, DiskError> { todo!() }
    /// Makes `path` (through `path.part`, fsync, rename): blank, or layered over `backing`.
    pub async fn create(path: &Path, format: DiskFormat, size_bytes: u64, backing: Option<(&Path, DiskFormat)>) -> Result<(), DiskError> { todo!() }
}
