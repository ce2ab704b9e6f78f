//! Everything the product does: who may do what, what is admitted, how it is carried out, what can be asked.
//!
//! ```text
//! Ctx + Command ─► submit: authz ─► admit (pure, over a snapshot) ─► propose ─► log ─► rows, tasks, events
//!                                                                                        │ wakes
//! reconcile: look (virt, net, files) ─► plan (pure) ─► act ─► report, by the same submit ◄┘
//! query:     rows + what this host sees now ─► views
//! ```
//! It knows no HTTP, no page, no SQL, no libvirt call and no netlink message. Machines keep running whatever happens to
//! the daemon.

mod access;
mod admit;
mod authz;
mod batch;
mod clone;
mod console;
mod ctx;
mod customize;
mod devices;
mod discovered;
mod error;
mod facts;
mod faults;
mod federation;
mod isolated;
mod libvirt_name;
mod live;
mod merges;
mod picture;
mod pool;
mod query;
mod reconcile;
mod requests;
mod role;
mod secret;
mod seed;
mod settings;
mod shares;
mod snapshot;
mod standing;
mod start;
mod subject;
mod submit;
mod upload;
mod view;
pub mod watchdog;

pub use console::{ConsoleStream, Desk, Duplex, Redeemed};
pub use ctx::{Caller, Ctx};
pub use customize::{advice as login_advice, zones as time_zones};
pub use facts::{addresses, hostname};
pub use federation::{
    Admission, AdmissionPreview, AdmissionRequest, Aged, Certificates, ClusterView, CodeGrant, CodeProof,
    CodeReply, CodeRequest, Condition, HostPulse, JoinPreview, LevelView, Liveness, MemberAddress,
    MemberChain, MemberRole, MemberView, NeighbourView, NeighboursView, NewJoinToken, Quorum, RenewalAnswer,
    RenewalHello, RenewalNonce, RenewalRequest, RotationView, Silence,
};
pub use hostd_cluster::{ClusterHealth, Destination};
pub use hostd_virt::kvm_probe_child;
pub use live::Changes;
pub use query::{HostSight, Leased};
pub use secret::Secret;
pub use settings::Settings;
pub use upload::{Upload, UploadRequest};
pub use view::*;

use std::sync::Arc;

/// The product on this host; cheap to clone.
#[derive(Clone)]
pub struct Core(Arc<start::Inner>);

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").finish_non_exhaustive()
    }
}
