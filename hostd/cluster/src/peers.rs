//! Consensus talking to other members, over whatever carrier the host brought.

use crate::carrier::{Carrier, CarryError, Lane};
use crate::contact::Contacts;
use crate::frame::{self, CHUNK, Chunk, ENTRIES_MAX, Frame, Reply};
use crate::raft::{RaftEntry, SnapshotFile, TypeConfig, Vote};
use hostd_types::NodeId;
use openraft::error::{
    Fatal, NetworkError, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable,
};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{AnyError, EmptyNode, OptionalSend, Snapshot};
use std::future::Future;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Time for a piece of a snapshot.
const CHUNK_WITHIN: Duration = Duration::from_secs(20);
/// Time for the last piece, in which the whole is installed. While it is waited for the member gets nothing else, so one
/// whose answer is lost must not wait long; one that takes longer is asked again, and has it then.
const INSTALL_WITHIN: Duration = Duration::from_secs(30);
/// Snapshots sent at once; more would take each other's disk and wire.
const SNAPSHOTS_AT_ONCE: usize = 2;

/// Makes [`Peer`]s that share one carrier.
#[derive(Clone)]
pub(crate) struct Peers {
    pub(crate) carrier: Arc<dyn Carrier>,
    pub(crate) contacts: Contacts,
    pub(crate) sending: Arc<Semaphore>,
}

impl Peers {
    pub(crate) fn new(carrier: Arc<dyn Carrier>, contacts: Contacts) -> Self {
        Self { carrier, contacts, sending: Arc::new(Semaphore::new(SNAPSHOTS_AT_ONCE)) }
    }

    /// Asks a member something.
    pub(crate) async fn ask(
        &self,
        to: u64,
        lane: Lane,
        frame: Vec<u8>,
        within: Duration,
    ) -> Result<Reply, CarryError> {
        // The carrier keeps the time, too; this one holds even when it is at fault.
        let answer = tokio::time::timeout(within, self.carrier.call(NodeId(to), lane, frame, within));
        let answer = answer.await.map_err(|_| CarryError::Unreachable("it took too long".into()))??;
        Reply::decode(&answer).map_err(|e| CarryError::Refused(e.to_string()))
    }
}

/// One member.
pub(crate) struct Peer {
    to: u64,
    peers: Peers,
}

impl RaftNetworkFactory<TypeConfig> for Peers {
    type Network = Peer;
    async fn new_client(&mut self, target: u64, _node: &EmptyNode) -> Peer {
        Peer { to: target, peers: self.clone() }
    }
}

type Rpc<T> = Result<T, RPCError<u64, EmptyNode, RaftError<u64>>>;

/// What consensus makes of a failure: try again after a pause.
fn unreachable(error: &CarryError) -> Unreachable {
    Unreachable::new(error)
}

/// A member answered something else than was asked.
fn odd(reply: &Reply) -> AnyError {
    match reply {
        Reply::Failed(why) => AnyError::error(why),
        other => AnyError::error(format!("an answer to another question: {other:?}")),
    }
}

impl RaftNetwork<TypeConfig> for Peer {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Rpc<AppendEntriesResponse<u64>> {
        let (frame, count) = frame::append(&rpc, ENTRIES_MAX).map_err(|e| Unreachable::new(&e))?;
        let sent = rpc.entries.get(..count).and_then(<[RaftEntry]>::last).map(|e| e.log_id);
        let reply = self.peers.ask(self.to, Lane::Consensus, frame, option.hard_ttl()).await;
        match reply.map_err(|e| unreachable(&e))? {
            Reply::Append(AppendEntriesResponse::Success) => {
                self.peers.contacts.answered(NodeId(self.to));
                self.peers.contacts.pace(NodeId(self.to)).await;
                Ok(if count < rpc.entries.len() {
                    AppendEntriesResponse::PartialSuccess(sent)
                } else {
                    AppendEntriesResponse::Success
                })
            }
            Reply::Append(response) => {
                self.peers.contacts.answered(NodeId(self.to));
                Ok(response)
            }
            other => Err(Unreachable::new(&odd(&other)).into()),
        }
    }

    async fn vote(&mut self, rpc: VoteRequest<u64>, option: RPCOption) -> Rpc<VoteResponse<u64>> {
        let frame = Frame::Vote(rpc).encode().map_err(|e| Unreachable::new(&e))?;
        let reply = self.peers.ask(self.to, Lane::Consensus, frame, option.hard_ttl()).await;
        match reply.map_err(|e| unreachable(&e))? {
            Reply::Vote(response) => Ok(response),
            other => Err(Unreachable::new(&odd(&other)).into()),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<TypeConfig>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<TypeConfig, Fatal<u64>>> {
        tokio::select! {
            biased;
            closed = cancel => Err(closed.into()),
            sent = self.send_snapshot(vote, snapshot) => sent,
        }
    }

    /// A fortieth of a second at first, ten seconds at most: a member that is just coming, as every host is that joins, is
    /// found at once, and one that is gone for good costs little.
    fn backoff(&self) -> Backoff {
        let pauses = std::iter::successors(Some(Duration::from_millis(25)), |pause| {
            Some((*pause * 3 / 2).min(Duration::from_secs(10)))
        });
        Backoff::new(pauses)
    }
}

impl Peer {
    async fn send_snapshot(
        &self,
        vote: Vote,
        snapshot: Snapshot<TypeConfig>,
    ) -> Result<SnapshotResponse<u64>, StreamingError<TypeConfig, Fatal<u64>>> {
        let failed = |e: &dyn std::fmt::Display| Unreachable::new(&AnyError::error(e));
        let Ok(_turn) = self.peers.sending.acquire().await else {
            return Err(failed(&"this host is stopping").into());
        };
        let mut source = Source::open(&snapshot.snapshot).map_err(|e| failed(&e))?;
        let mut offset = 0;
        // The first piece is empty: the member tells how much of this snapshot it has already.
        let mut bytes = Vec::new();
        loop {
            let last = offset + bytes.len() as u64 == source.total;
            let within = if last { INSTALL_WITHIN } else { CHUNK_WITHIN };
            let (meta, total, hash) = (snapshot.meta.clone(), source.total, source.hash);
            let chunk = Frame::Chunk(Chunk { vote, meta, total, hash, offset, bytes });
            let chunk = chunk.encode().map_err(|e| failed(&e))?;
            let reply = self.peers.ask(self.to, Lane::Work, chunk, within).await;
            let (next, installed) = match reply.map_err(|e| unreachable(&e))? {
                Reply::Chunk { next, installed } => (next, installed),
                other => return Err(NetworkError::new(&odd(&other)).into()),
            };
            if let Some(response) = installed {
                self.peers.contacts.answered(NodeId(self.to));
                tracing::info!(to = %NodeId(self.to), bytes = source.total, "sent a snapshot");
                return Ok(response);
            }
            (offset, bytes) = (next, source.read(next).map_err(|e| failed(&e))?);
        }
    }
}

/// A snapshot's file being read.
struct Source {
    file: std::fs::File,
    total: u64,
    hash: [u8; 32],
}

impl Source {
    fn open(SnapshotFile(path): &SnapshotFile) -> std::io::Result<Self> {
        // The file stays readable when a newer snapshot takes its name.
        let mut file = std::fs::File::open(path)?;
        let mut hasher = blake3::Hasher::new();
        let total = std::io::copy(&mut file, &mut hasher)?;
        Ok(Self { file, total, hash: hasher.finalize().into() })
    }

    /// The piece at `offset`.
    fn read(&mut self, offset: u64) -> std::io::Result<Vec<u8>> {
        self.file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        (&mut self.file).take(CHUNK as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}
