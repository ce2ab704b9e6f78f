//! What all parts of a link share.

use crate::address_book::AddressBook;
use crate::complaints::Complaints;
use crate::credentials::Credentials;
use crate::link::Serve;
use crate::places::Places;
use crate::pool::Pool;
use hostd_types::NodeId;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The state of a link.
pub(crate) struct Shared {
    pub serve: Arc<dyn Serve>,
    /// Where peers connect to this host.
    pub local: SocketAddr,
    pub pool: Pool,
    /// Connections that did not prove themselves yet, by address.
    pub strangers: Arc<Places<IpAddr>>,
    /// Connections of members, by node.
    pub guests: Arc<Places<NodeId>>,
    pub complaints: Arc<Complaints>,
    pub stop: CancellationToken,
    pub tasks: TaskTracker,
    pub credentials: RwLock<Option<Arc<Credentials>>>,
    pub book: Mutex<AddressBook>,
    pub heard: Mutex<HashMap<NodeId, Instant>>,
}

impl Shared {
    /// The identity in use.
    pub fn credentials(&self) -> Option<Arc<Credentials>> {
        self.credentials.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn book(&self) -> MutexGuard<'_, AddressBook> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn heard(&self) -> MutexGuard<'_, HashMap<NodeId, Instant>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something valid came from the node.
    pub fn hear(&self, node: NodeId) {
        self.heard().insert(node, Instant::now());
    }
}
