//! The only crate that links libvirt: virtual machines as domains, their consoles and load, disk files by `qemu-img`.
//!
//! It turns a [`DomainPlan`] into a domain and a domain back into a [`SeenDomain`]; what to do about a difference is
//! the caller's business. It knows no cluster, no store and no HTTP.
//!
//! How it survives a libvirt that hangs or dies: one process-wide thread runs libvirt's event loop ([`event`]), one
//! thread per [`Hypervisor`] opens and re-opens its connections ([`connection`]), and every call runs in a
//! blocking thread with a deadline ([`call`]), so that no caller waits for a daemon that does not answer.

mod block;
mod call;
mod connection;
mod console;
mod definition;
mod device;
mod diagnosis;
pub mod disk;
mod domain_xml;
mod drift;
mod drives;
mod dump;
pub mod element;
mod error;
mod event;
mod facets;
mod foreign;
mod host_device;
mod kvm;
mod lifecycle;
mod load;
mod memory;
mod observe;
mod offers;
mod offers_cpu;
mod picture;
mod plan;
mod process;
mod seed;
mod serial_log;
mod stats;
mod tune;
mod variables;

pub use block::{BlockJob, LiveDisk};
pub use connection::Link;
pub use diagnosis::DomainXml;
pub use diagnosis::log_end;
pub use drift::{disk_is_limited, drift, nic_is_limited, outdated, pending, shares_differ};
pub use drives::{MediumChange, media_changes};
pub use dump::DUMP_DIR;
pub use error::VirtError;
pub use event::{DomainEvent, Told};
pub use facets::{Facets, SHARED_FOLDERS, has_huge_pages};
pub use foreign::{ForeignDisk, ForeignDomain, ForeignNic};
pub use kvm::{kvm_probe_child, probe_kvm};
pub use load::SeenLoad;
pub use observe::SeenDomain;
pub use offers::{Offer, Offers};
pub use plan::{
    Consoles, DiskSource, DomainPlan, DomainShape, HostParts, HostSource, NicSource, SeedDrive, SeenDisk,
    SeenDrive, SeenNic, ShareSource, VirtSettings,
};

use connection::{Connector, Shared};
use std::sync::Arc;
use tokio::sync::{broadcast, watch};

/// Handle of the host's libvirt; cheap to clone. Its connections close when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Hypervisor {
    shared: Arc<Shared>,
    _connector: Option<Arc<Connector>>,
}

impl Hypervisor {
    /// Starts connecting. Never fails: without libvirt the link is `Down` and is tried again until it comes up.
    pub fn start(settings: VirtSettings) -> Self {
        let shared = Arc::new(Shared::new(settings));
        let connector = Arc::new(Connector::spawn(Arc::clone(&shared)));
        Self { shared, _connector: Some(connector) }
    }

    /// On a host that runs no machines: nothing is ever connected to, and every call fails with `reason`.
    pub fn absent(settings: VirtSettings, reason: &str) -> Self {
        let shared = Shared::new(settings);
        shared.link.send_replace(Link::Down { reason: reason.to_owned() });
        Self { shared: Arc::new(shared), _connector: None }
    }

    /// Whether libvirt answers; changes are worth a fresh look at everything.
    pub fn link(&self) -> watch::Receiver<Link> {
        self.shared.link.subscribe()
    }

    /// Domains about which something changed. A receiver that lags looks at everything.
    pub fn events(&self) -> broadcast::Receiver<DomainEvent> {
        self.shared.events.subscribe()
    }

    /// The XML that [`Self::define`] would give libvirt, for measurements that compare with libvirt alone.
    pub fn xml(&self, plan: &DomainPlan) -> String {
        domain_xml::domain_xml(plan, &self.surroundings(plan))
    }
}
