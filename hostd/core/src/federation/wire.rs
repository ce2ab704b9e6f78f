//! The link to other members, as the replicated log and the core use it.

use super::ask::Ask;
use crate::Core;
use futures_util::future::BoxFuture;
use hostd_cluster::{Carrier, CarryError, Lane};
use hostd_peer::{Door, Link, LinkError, Refusal, Serve};
use hostd_types::{NodeId, RemovedHost};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// First byte of what the replicated log sends.
const LOG: u8 = 0;
/// First byte of what a core asks another one.
const ASK: u8 = 1;

/// Both ends of the link. It is made before the link and the core are: the log needs a carrier to open.
#[derive(Clone, Default)]
pub(crate) struct Wire(Arc<Inner>);

#[derive(Default)]
struct Inner {
    link: OnceLock<Link>,
    core: OnceLock<Core>,
    /// Nodes that are not talked to any more.
    removed: RwLock<BTreeMap<NodeId, RemovedHost>>,
    /// What another member said when it told this host that it was removed.
    told: watch::Sender<Option<String>>,
}

impl Wire {
    /// Uses `link` from now on.
    pub fn connect(&self, link: Link) {
        // There is one link for the life of the daemon.
        let _ = self.0.link.set(link);
    }

    /// Answers with `core` from now on.
    pub fn serve(&self, core: &Core) {
        let _ = self.0.core.set(core.clone());
    }

    /// The link, once there is one.
    pub fn link(&self) -> Option<&Link> {
        self.0.link.get()
    }

    /// Refuses these nodes from now on.
    pub fn refuse(&self, removed: Vec<RemovedHost>) {
        let removed = removed.into_iter().map(|host| (host.node, host)).collect();
        *self.0.removed.write().unwrap_or_else(PoisonError::into_inner) = removed;
    }

    /// What others said when they refused this host as removed.
    pub fn told_removed(&self) -> Option<String> {
        self.0.told.borrow().clone()
    }

    /// Notes that another member said so in a way that proves itself.
    pub fn tell_removed(&self, text: String) {
        self.0.told.send_replace(Some(text));
    }

    /// Forgets that this host was removed: it is a member of something else now.
    pub fn forget_removed(&self) {
        self.0.told.send_replace(None);
    }

    /// Asks another member's core.
    pub async fn ask(&self, to: NodeId, body: &[u8], within: Duration) -> Result<Vec<u8>, CarryError> {
        self.carry(to, hostd_peer::Lane::Work, ASK, body, within).await
    }

    async fn carry(
        &self,
        to: NodeId,
        lane: hostd_peer::Lane,
        kind: u8,
        body: &[u8],
        within: Duration,
    ) -> Result<Vec<u8>, CarryError> {
        let Some(link) = self.link() else {
            return Err(CarryError::Unreachable("this host has no link to others yet".into()));
        };
        let bytes = [&[kind], body].concat();
        link.call(to, lane, bytes, within).await.map_err(|error| match error {
            LinkError::Removed(text) => {
                self.0.told.send_if_modified(|told| {
                    let news = told.is_none();
                    told.get_or_insert_with(|| text.clone());
                    news
                });
                CarryError::Removed(text)
            }
            LinkError::Refused(text) => CarryError::Refused(text),
            other => CarryError::Unreachable(other.to_string()),
        })
    }
}

impl Carrier for Wire {
    fn call(
        &self,
        to: NodeId,
        lane: Lane,
        frame: Vec<u8>,
        within: Duration,
    ) -> BoxFuture<'_, Result<Vec<u8>, CarryError>> {
        let lane = match lane {
            Lane::Consensus => hostd_peer::Lane::Consensus,
            Lane::Work => hostd_peer::Lane::Work,
        };
        Box::pin(async move { self.carry(to, lane, LOG, &frame, within).await })
    }
}

impl Serve for Wire {
    fn admits(&self, node: NodeId) -> Result<(), Refusal> {
        // Certificates go to members alone, so whoever has one and was not removed belongs here, also when this host has
        // not heard of it yet.
        match self.0.removed.read().unwrap_or_else(PoisonError::into_inner).get(&node) {
            None => Ok(()),
            Some(host) => Err(Refusal {
                removed: true,
                text: format!("{} was removed from the cluster by {} at {}", host.name, host.by, host.at),
            }),
        }
    }

    fn call(&self, from: NodeId, _lane: hostd_peer::Lane, body: Vec<u8>) -> BoxFuture<'static, Vec<u8>> {
        let inner = self.0.clone();
        Box::pin(async move {
            let Some(core) = inner.core.get() else { return Vec::new() };
            match body.split_first() {
                Some((&LOG, frame)) => core.0.cluster.serve(from, frame).await,
                Some((&ASK, body)) => Ask::answer(core, from, body).await,
                Some(_) | None => Vec::new(),
            }
        })
    }

    fn stream(&self, from: NodeId, opening: Vec<u8>, door: Door) -> BoxFuture<'static, ()> {
        let inner = self.0.clone();
        Box::pin(async move {
            match inner.core.get() {
                Some(core) => super::stream::serve(core, from, &opening, door).await,
                None => door.refuse("the host is starting").await,
            }
        })
    }
}
