//! Clusters for tests: an authority, and members whose links listen on loopback ports.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hostd_peer::{Door, Identity, Issuer, Lane, Link, LinkError, Refusal, Secret, Serve};
use hostd_types::{ClusterId, NodeId, Timestamp};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub const SOON: Duration = Duration::from_secs(20);
pub const DAY_S: i64 = 86_400;

/// A cluster: its authority and what its members share.
pub struct Site {
    pub cluster: ClusterId,
    pub issuer: Issuer,
    pub secret: Secret,
}

impl Site {
    pub fn new() -> Self {
        Self::of(ClusterId::new())
    }

    pub fn of(cluster: ClusterId) -> Self {
        let issuer = Issuer::generate(cluster, Timestamp::now()).expect("an authority");
        Self { cluster, issuer, secret: Secret::generate().expect("random") }
    }

    /// An identity signed now.
    pub fn identity(&self, node: u64) -> Identity {
        self.signed(node, 0, Timestamp::now())
    }

    /// An identity signed at another time.
    pub fn signed(&self, node: u64, generation: u64, at: Timestamp) -> Identity {
        let node = NodeId(node);
        let request = Identity::request(self.cluster, node).expect("a request");
        let chain = self.issuer.sign(&request.csr_pem, self.cluster, node, at).expect("signed");
        let trusted = vec![self.issuer.certificate().to_owned()];
        Identity::new(self.cluster, node, generation, chain, &request.key_pem, trusted, self.secret.clone())
            .expect("an identity")
    }

    /// A running member.
    pub fn member(&self, node: u64) -> Peer {
        let peer = Peer::start();
        peer.link.set_identity(Some(self.identity(node))).expect("an identity");
        peer
    }
}

/// A running link.
pub struct Peer {
    pub link: Link,
    pub host: Arc<Host>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Peer {
    pub fn start() -> Self {
        let (stop, tasks, host) = (CancellationToken::new(), TaskTracker::new(), Arc::new(Host::default()));
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let link = Link::start(listen, host.clone(), stop.clone(), &tasks).expect("a port");
        Self { link, host, stop, tasks }
    }

    pub fn address(&self) -> SocketAddr {
        self.link.local()
    }

    pub async fn call(&self, to: u64, body: &[u8]) -> Result<Vec<u8>, LinkError> {
        self.link.call(NodeId(to), Lane::Work, body.to_vec(), SOON).await
    }

    /// Calls until the outcome is as wanted.
    pub async fn call_until(
        &self,
        to: u64,
        wanted: impl Fn(&Result<Vec<u8>, LinkError>) -> bool,
    ) -> Result<Vec<u8>, LinkError> {
        let deadline = tokio::time::Instant::now() + SOON;
        loop {
            let outcome = self.call(to, b"again").await;
            if wanted(&outcome) {
                return outcome;
            }
            assert!(tokio::time::Instant::now() < deadline, "the last outcome was {outcome:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends the link and waits until nothing of it runs.
    pub async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(SOON, self.tasks.wait()).await.expect("all tasks end");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Makes members known to each other.
pub fn acquaint(members: &[(u64, &Peer)]) {
    let rows: BTreeMap<_, _> =
        members.iter().map(|(node, peer)| (NodeId(*node), vec![peer.address()])).collect();
    for (_, peer) in members {
        peer.link.set_addresses(rows.clone());
    }
}

/// Answers `slow` when told, `panic` with a panic, `flood` with too much, and anything else with the caller, the lane
/// and the body.
#[derive(Default)]
pub struct Host {
    pub refused: Mutex<HashMap<NodeId, Refusal>>,
    pub go: Arc<Notify>,
    pub calls: Arc<AtomicUsize>,
}

impl Host {
    pub fn refuse(&self, node: u64, removed: bool, text: &str) {
        let refusal = Refusal { removed, text: text.into() };
        self.refused.lock().expect("unpoisoned").insert(NodeId(node), refusal);
    }
    pub fn admit(&self, node: u64) {
        self.refused.lock().expect("unpoisoned").remove(&NodeId(node));
    }
    pub fn called(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Serve for Host {
    fn admits(&self, node: NodeId) -> Result<(), Refusal> {
        self.refused.lock().expect("unpoisoned").get(&node).cloned().map_or(Ok(()), Err)
    }

    fn call(&self, from: NodeId, lane: Lane, body: Vec<u8>) -> BoxFuture<'static, Vec<u8>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let go = self.go.clone();
        async move {
            match body.as_slice() {
                b"slow" => {
                    go.notified().await;
                    b"at last".to_vec()
                }
                b"panic" => panic!("on purpose"),
                b"flood" => vec![0; hostd_peer::BODY_MOST + 1000],
                _ => [format!("{from} {lane:?} ").as_bytes(), &body].concat(),
            }
        }
        .boxed()
    }

    fn stream(&self, _from: NodeId, opening: Vec<u8>, door: Door) -> BoxFuture<'static, ()> {
        async move {
            match opening.as_slice() {
                b"echo" => {
                    let mut io = door.accept().await.expect("the peer waits");
                    let (mut read, mut write) = tokio::io::split(&mut io);
                    let _gone = tokio::io::copy(&mut read, &mut write).await;
                    let _gone = write.shutdown().await;
                }
                b"hang up" => drop(door),
                _ => door.refuse("there is no such console").await,
            }
        }
        .boxed()
    }
}
