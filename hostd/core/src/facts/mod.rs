//! What this host knows about its own machine, read from the kernel. Unknown stays unknown; nothing is invented.

mod address;
mod clock;
mod cpu;
mod disk;
mod load;
mod node;

pub use address::addresses;
pub(crate) use clock::Clock;
pub(crate) use load::{Counters, rates};

use crate::Core;
use hostd_types::*;
use hostd_virt::Link;
use std::path::Path;

/// What does not change while the daemon runs.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// Processors.
    pub cpu: CpuFacts,
    /// Memory, bytes.
    pub memory_bytes: u64,
    /// Vendor and product.
    pub product: Option<String>,
    /// The kernel's boot id.
    pub boot_id: String,
    kernel: String,
    os: Option<String>,
}

impl Machine {
    /// Reads the machine's description.
    pub fn read() -> Self {
        let root = Path::new("/");
        let uname = nix::sys::utsname::uname();
        let part = |of: fn(&nix::sys::utsname::UtsName) -> &std::ffi::OsStr| {
            uname.as_ref().map(|u| of(u).to_string_lossy().into_owned()).unwrap_or_default()
        };
        Self {
            cpu: cpu::parse(&text(root, "proc/cpuinfo").unwrap_or_default()),
            memory_bytes: load::memory(&text(root, "proc/meminfo").unwrap_or_default()).0,
            product: product(root),
            boot_id: text(root, "proc/sys/kernel/random/boot_id").unwrap_or_default(),
            kernel: part(|u| u.release()),
            os: text(root, "etc/quantix-release"),
        }
    }
}

/// The machine's name, `quantix` if it has none.
pub fn hostname() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|n| n.into_string().ok()).unwrap_or_default();
    if name.is_empty() { "quantix".into() } else { name }
}

/// A small file's text without white space around it; `None` when it is not there or empty.
fn text(root: &Path, path: &str) -> Option<String> {
    let text = std::fs::read_to_string(root.join(path)).ok()?;
    let text = text.trim();
    if text.is_empty() { None } else { Some(text.to_owned()) }
}

/// The machine's NUMA nodes, with the huge pages set aside on each at this moment.
pub(crate) fn nodes() -> Vec<MemoryNode> {
    node::list(Path::new("/sys"))
}

fn product(root: &Path) -> Option<String> {
    let vendor = text(root, "sys/class/dmi/id/sys_vendor");
    let product = text(root, "sys/class/dmi/id/product_name");
    match (vendor, product) {
        (Some(vendor), Some(product)) => Some(format!("{vendor} {product}")),
        (one, other) => one.or(other),
    }
}

fn uptime_s() -> u64 {
    let text = text(Path::new("/"), "proc/uptime").unwrap_or_default();
    text.split(['.', ' ']).next().and_then(|seconds| seconds.parse().ok()).unwrap_or_default()
}

impl Core {
    /// Everything this host knows about its machine at this moment.
    pub(crate) async fn facts(&self) -> HostFacts {
        let machine = &self.0.machine;
        let nics = match self.0.nets.links().await {
            Ok(links) => links,
            Err(error) => {
                tracing::warn!(%error, "the host's links can't be read");
                Vec::new()
            }
        };
        let link = self.0.hypervisor.link().borrow().clone();
        let (libvirt, qemu, libvirt_fault) = match link {
            Link::Up { libvirt, qemu } => (Some(libvirt), Some(qemu), None),
            Link::Down { reason } => (None, None, Some(reason).filter(|_| !self.is_witness())),
        };
        HostFacts {
            cpu: machine.cpu.clone(),
            memory_bytes: machine.memory_bytes,
            acceleration: self.acceleration().await,
            nodes: nodes(),
            disks: disk::list(Path::new("/sys")),
            nics,
            pools: self.pool_space().into_iter().collect(),
            versions: Versions {
                quantix: self.settings().version.clone(),
                kernel: machine.kernel.clone(),
                libvirt,
                qemu,
                os: machine.os.clone(),
            },
            uptime_s: uptime_s(),
            machine: machine.product.clone(),
            libvirt_fault,
            live: self.settings().live,
            clock_back_s: self.0.clock.back_s(),
        }
    }

    /// Whether guests run on hardware virtualization; found once, at the first question. The setting is looked at here
    /// alone: it is for hosts whose KVM passes the probe and still does not carry a real guest.
    pub(crate) async fn acceleration(&self) -> Acceleration {
        let probe = || async {
            if self.settings().force_emulation {
                return Acceleration::Emulation {
                    reason: "hardware virtualization is switched off by the setting --force-emulation".into(),
                };
            }
            if self.is_witness() {
                return Acceleration::Emulation { reason: crate::role::RUNS_NONE.into() };
            }
            hostd_virt::probe_kvm(&self.settings().program).await
        };
        self.0.acceleration.get_or_init(probe).await.clone()
    }
}
