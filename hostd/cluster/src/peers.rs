//! How this host talks to other members. A lone voter has none: every call says so, and openraft waits and tries again.
//! The peer transport takes this module's place.

use crate::raft::{TypeConfig, Vote};
use openraft::error::{Fatal, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{AnyError, EmptyNode, OptionalSend, Snapshot};
use std::future::Future;

/// Makes [`Peer`]s.
pub(crate) struct Peers;

/// A member that can't be reached.
pub(crate) struct Peer(u64);

impl Peer {
    fn unreachable(&self) -> Unreachable {
        Unreachable::new(&AnyError::error(format!("no way to member {:016x}", self.0)))
    }
}

impl RaftNetworkFactory<TypeConfig> for Peers {
    type Network = Peer;
    async fn new_client(&mut self, target: u64, _node: &EmptyNode) -> Peer {
        Peer(target)
    }
}

type Rpc<T> = Result<T, RPCError<u64, EmptyNode, RaftError<u64>>>;

impl RaftNetwork<TypeConfig> for Peer {
    async fn append_entries(
        &mut self,
        _rpc: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Rpc<AppendEntriesResponse<u64>> {
        Err(self.unreachable().into())
    }

    async fn vote(&mut self, _rpc: VoteRequest<u64>, _option: RPCOption) -> Rpc<VoteResponse<u64>> {
        Err(self.unreachable().into())
    }

    async fn full_snapshot(
        &mut self,
        _vote: Vote,
        _snapshot: Snapshot<TypeConfig>,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<TypeConfig, Fatal<u64>>> {
        Err(self.unreachable().into())
    }
}
