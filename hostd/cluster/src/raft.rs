//! The types openraft is instantiated with. No other crate sees them.

use hostd_types::{Entry, Outcome, Problem};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::path::PathBuf;
use std::sync::Arc;

/// Identity of a log: random, never reused, not the host's id.
pub(crate) type NodeId = u64;

openraft::declare_raft_types!(
    /// openraft's parameters here.
    pub(crate) TypeConfig:
        D = Batch,
        R = Results,
        NodeId = NodeId,
        Node = openraft::EmptyNode,
        Entry = openraft::Entry<TypeConfig>,
        SnapshotData = SnapshotFile,
        AsyncRuntime = crate::runtime::Runtime,
);

pub(crate) type Raft = openraft::Raft<TypeConfig>;
pub(crate) type RaftEntry = openraft::Entry<TypeConfig>;
pub(crate) type LogId = openraft::LogId<NodeId>;
pub(crate) type Vote = openraft::Vote<NodeId>;
pub(crate) type Membership = openraft::Membership<NodeId, openraft::EmptyNode>;
pub(crate) type StoredMembership = openraft::StoredMembership<NodeId, openraft::EmptyNode>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<NodeId, openraft::EmptyNode>;
pub(crate) type StorageError = openraft::StorageError<NodeId>;
pub(crate) type StorageIoError = openraft::StorageIOError<NodeId>;

/// The commands of one log entry: everything that waited when it was written. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Batch(pub Arc<Vec<Entry>>);

// openraft wants serde on it; the log and the wire use `record`'s own envelope.
impl Serialize for Batch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_slice().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(|entries| Self(Arc::new(entries)))
    }
}

/// What each command of a batch came to, in order; empty for entries of consensus itself.
pub(crate) type Results = Vec<Result<Outcome, Problem>>;

/// A snapshot: a complete copy of state.db in a file that nobody writes any more.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotFile(pub PathBuf);
