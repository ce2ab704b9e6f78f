//! The link: this host's end of all connections to and from other members.

use crate::address_book::AddressBook;
use crate::calls::CallError;
use crate::credentials::Credentials;
use crate::dial::dial;
use crate::error::Refusal;
use crate::frame::{self, BODY_MOST, Body, Frame, Purpose};
use crate::greeting;
use crate::places::Places;
use crate::pool::Pool;
use crate::reception;
use crate::shared::Shared;
use crate::stream::{Door, PeerStream};
use crate::{Identity, LinkError, PeerError};
use futures_util::future::BoxFuture;
use hostd_types::NodeId;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections that did not prove themselves yet: of one address, and all together.
const STRANGERS: (usize, usize) = (128, 512);
/// Connections of members: of one, and all together.
const GUESTS: (usize, usize) = (256, 8192);

/// Which of a peer's two connections a call uses, so that large work never delays a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Small and urgent: votes, heartbeats, log entries.
    Consensus,
    /// Everything else.
    Work,
}

/// What a host does with what its peers want. A peer is known by its certificate, never by what it says.
pub trait Serve: Send + Sync + 'static {
    /// Whether the node may talk to this host. Asked at the greeting and each second of a connection, so it must be quick;
    /// a refusal ends the connection, and its text is shown on the other host.
    ///
    /// # Errors
    /// The node is unknown, or was removed.
    fn admits(&self, node: NodeId) -> Result<(), Refusal>;

    /// Answers a call. It must end in bounded time: it goes on when the caller has given up.
    fn call(&self, from: NodeId, lane: Lane, body: Vec<u8>) -> BoxFuture<'static, Vec<u8>>;

    /// Answers the wish for a stream, described by `opening`, and serves it. Dropped when the node is not admitted any more
    /// or this host gets another identity.
    fn stream(&self, from: NodeId, opening: Vec<u8>, door: Door) -> BoxFuture<'static, ()>;
}

/// The link. Cheap to clone; all clones are the same link.
#[derive(Clone)]
pub struct Link(Arc<Shared>);

impl Link {
    /// Listens on `listen` until `stop`. Refuses everybody until an identity is set. Must be called inside the runtime;
    /// what runs in the background is tracked by `tasks`.
    ///
    /// # Errors
    /// The port can't be opened.
    pub fn start(
        listen: SocketAddr,
        serve: Arc<dyn Serve>,
        stop: CancellationToken,
        tasks: &TaskTracker,
    ) -> Result<Self, PeerError> {
        let bind = || {
            let listener = std::net::TcpListener::bind(listen)?;
            listener.set_nonblocking(true)?;
            let local = listener.local_addr()?;
            TcpListener::from_std(listener).map(|listener| (listener, local))
        };
        let (listener, local) = bind().map_err(|source| PeerError::Listen { address: listen, source })?;
        let shared = Arc::new(Shared {
            serve,
            local,
            pool: Pool::default(),
            strangers: Places::new(STRANGERS.0, STRANGERS.1),
            guests: Places::new(GUESTS.0, GUESTS.1),
            complaints: Arc::default(),
            stop,
            tasks: tasks.clone(),
            credentials: std::sync::RwLock::default(),
            book: std::sync::Mutex::new(AddressBook::default()),
            heard: std::sync::Mutex::default(),
        });
        tasks.spawn(reception::listen(shared.clone(), listener));
        Ok(Self(shared))
    }

    /// Where this host listens.
    pub fn local(&self) -> SocketAddr {
        self.0.local
    }

    /// The identity in use.
    pub fn identity(&self) -> Option<Identity> {
        self.0.credentials().map(|credentials| credentials.identity.clone())
    }

    /// Uses this identity from now on, or none. Connections stay when it is the same member in the same generation and
    /// nobody is trusted less than before, as after a renewal; all others end. When the cluster is another than before,
    /// all addresses but the overrides are forgotten: set those of the new cluster after this.
    ///
    /// # Errors
    /// TLS can't use the identity; the one before stays.
    pub fn set_identity(&self, identity: Option<Identity>) -> Result<(), PeerError> {
        let shared = &self.0;
        let mut current = shared.credentials.write().unwrap_or_else(PoisonError::into_inner);
        let old = current.clone();
        let lasting = old.as_ref().zip(identity.as_ref()).is_some_and(|(old, new)| old.lasts_into(new));
        let epoch = old.as_ref().filter(|_| lasting).map(|old| old.epoch.clone());
        let epoch = epoch.unwrap_or_else(|| shared.stop.child_token());
        let cluster = identity.as_ref().map(Identity::cluster);
        *current = identity
            .map(|identity| Credentials::new(identity, &shared.complaints, epoch))
            .transpose()?
            .map(Arc::new);
        drop(current);
        if let Some(old) = old.filter(|_| !lasting) {
            old.epoch.cancel();
            if cluster != Some(old.identity.cluster()) {
                shared.book().clear();
                shared.heard().clear();
            }
        }
        shared.pool.reset();
        Ok(())
    }

    /// Takes the addresses that the hosts report, instead of those they reported before.
    pub fn set_addresses(&self, addresses: BTreeMap<NodeId, Vec<SocketAddr>>) {
        let changed = self.0.book().set_rows(addresses);
        for node in changed {
            self.0.pool.nudge(node);
        }
    }

    /// Takes what a member tells of where others are.
    pub fn hear_say(&self, told: BTreeMap<NodeId, Vec<SocketAddr>>) {
        let news = self.0.book().hear_say(told);
        for node in news {
            self.0.pool.nudge(node);
        }
    }

    /// Sets or drops an address that comes before all others, for a node that can't be found otherwise.
    pub fn set_override(&self, node: NodeId, address: Option<SocketAddr>) {
        self.0.book().set_override(node, address);
        self.0.pool.nudge(node);
    }

    /// The address set so.
    pub fn told_address(&self, node: NodeId) -> Option<SocketAddr> {
        self.0.book().told(node)
    }

    /// All addresses under which the node may be found, the most promising first.
    pub fn addresses(&self, node: NodeId) -> Vec<SocketAddr> {
        self.0.book().candidates(node)
    }

    /// When something valid last came from the node, over whatever connection.
    pub fn heard(&self, node: NodeId) -> Option<Instant> {
        self.0.heard().get(&node).copied()
    }

    /// Sends a request and waits for its answer, for `within` in all. A connection is made when there is none; see
    /// [`LinkError`] for which failures leave it open whether the peer acted.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn call(
        &self,
        to: NodeId,
        lane: Lane,
        body: Vec<u8>,
        within: Duration,
    ) -> Result<Vec<u8>, LinkError> {
        if body.len() > BODY_MOST {
            return Err(LinkError::TooLong(body.len()));
        }
        let deadline = tokio::time::Instant::now() + within;
        loop {
            if self.0.credentials().is_none() {
                return Err(LinkError::Outside);
            }
            let calls = self.0.pool.get(&self.0, to, lane, deadline).await?;
            let answer = tokio::time::timeout_at(deadline, calls.call(&body)).await;
            match answer.map_err(|_| LinkError::Late)? {
                Ok(answer) => return Ok(answer),
                Err(CallError::Link(error)) => return Err(error),
                Err(CallError::Unsent) => {}
            }
        }
    }

    /// Opens a stream to a peer over a connection of its own; `opening` tells the peer what for. Takes `within` at most.
    ///
    /// # Errors
    /// The peer can't be reached or refuses.
    pub async fn stream(
        &self,
        to: NodeId,
        opening: Vec<u8>,
        within: Duration,
    ) -> Result<PeerStream, LinkError> {
        if opening.len() > BODY_MOST {
            return Err(LinkError::TooLong(opening.len()));
        }
        let credentials = self.0.credentials().ok_or(LinkError::Outside)?;
        let open = async {
            let io = dial(&self.0, &credentials, to, Purpose::Stream).await?;
            let mut stream = PeerStream::new(io, &credentials.epoch, None);
            let lost = |e: frame::FrameError| LinkError::Lost(e.to_string());
            greeting::send(&mut stream, &Frame::Open { body: Body(opening) }).await.map_err(lost)?;
            match frame::read(&mut stream, frame::GREETING_MOST, within).await.map_err(lost)? {
                Frame::Accepted => Ok(stream),
                Frame::Refused { removed: true, text } => Err(LinkError::Removed(text)),
                Frame::Refused { removed: false, text } => Err(LinkError::Refused(text)),
                other => Err(LinkError::Failed(format!("it answered a stream's opening with {other:?}"))),
            }
        };
        tokio::time::timeout(within, open).await.map_err(|_| LinkError::Late)?
    }
}
