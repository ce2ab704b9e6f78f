//! What a simulation needs of a cluster and a host does not: everything in one thread, disks that lose what was not
//! synced, and a look inside. Only tests have it.

use crate::carrier::Carrier;
use crate::engine::Metrics;
use crate::error::{ClusterError, StateError};
use crate::ground::Ground;
use crate::open::Settings;
use crate::record;
use crate::{Cluster, schema};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hostd_types::{NodeId, RequestId, Timestamp};
use openraft::{EntryPayload, ServerState};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;

pub use crate::runtime::seed;

/// The disk under the log of a simulated host.
pub trait Disk: Send + Sync + 'static {
    /// Returns when what lies in the log's files now would survive a power cut.
    fn sync(&self) -> BoxFuture<'static, ()>;
}

/// How consensus stands on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// Counts elections.
    pub term: u64,
    /// It was elected in this term, whether somebody still follows it or not.
    pub elected: bool,
    /// Index of the last entry of the log.
    pub last: u64,
    /// Index of the last entry applied.
    pub applied: u64,
    /// Index of the last entry in the newest snapshot; 0 without one.
    pub snapshot: u64,
    /// How often the whole state became another one.
    pub replaced: u64,
    /// Why consensus has stopped; nothing when it was stopped on purpose.
    pub halted: Option<String>,
    /// Members with whether they vote.
    pub members: Vec<(NodeId, bool)>,
    /// A change of who votes is half done.
    pub joint: bool,
}

/// What was last seen of a host, to tell whether there is anything new.
#[derive(Default)]
pub struct Glance(Option<(watch::Receiver<Metrics>, (u64, u64))>);

/// An entry of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Its position.
    pub index: u64,
    /// The term it was written in.
    pub term: u64,
    /// Who led then.
    pub leader: NodeId,
    /// BLAKE3 of its record.
    pub hash: [u8; 32],
    /// What was asked for with it, and the times by which it was asked for.
    pub requests: Vec<(RequestId, Timestamp)>,
}

impl Cluster {
    /// Opens as [`Cluster::open`] does, in the thread and on the clock of the runtime that calls, on a simulated disk.
    ///
    /// # Errors
    /// As [`Cluster::open`].
    pub async fn open_simulated(
        dir: &Path,
        settings: Settings,
        carrier: Arc<dyn Carrier>,
        disk: Arc<dyn Disk>,
    ) -> Result<Self, ClusterError> {
        Self::open_on(dir, settings, carrier, Ground::Simulated(disk)).await
    }

    /// Has this host, when it leads, grant a lease to whoever asks: a rule broken on purpose.
    pub fn grant_anybody(&self) {
        self.0.leases.grant_anybody();
    }

    /// How consensus stands here; nothing when it stands as it did when `glance` was last at it.
    pub fn sight(&self, glance: &mut Glance) -> Option<Sight> {
        let (raft, revision) = (self.0.engine.raft().metrics(), self.0.engine.state().revision.now());
        let last = self.0.engine.log().ends().1.map_or(0, |id| id.index);
        let news = match &glance.0 {
            Some((metrics, ends)) => {
                *ends != (last, revision)
                    || !metrics.same_channel(&raft)
                    || metrics.has_changed().unwrap_or(true)
            }
            None => true,
        };
        if !news {
            return None;
        }
        let (metrics, _) = glance.0.insert((raft, (last, revision)));
        let metrics = metrics.borrow_and_update();
        let membership = metrics.membership_config.membership();
        let voters: Vec<u64> = membership.voter_ids().collect();
        let halted = match &metrics.running_state {
            Ok(()) | Err(openraft::error::Fatal::Stopped) => None,
            Err(fatal) => Some(fatal.to_string()),
        };
        Some(Sight {
            term: metrics.current_term,
            elected: metrics.state == ServerState::Leader,
            last,
            applied: revision,
            snapshot: metrics.snapshot.map_or(0, |id| id.index),
            replaced: *self.0.engine.state().replaced.borrow(),
            halted,
            joint: membership.get_joint_config().len() > 1,
            members: membership.nodes().map(|(node, _)| (NodeId(*node), voters.contains(node))).collect(),
        })
    }

    /// The entries from `first` to `last` that are in memory, which keeps thousands.
    ///
    /// # Errors
    /// When one can't be encoded.
    pub fn logged(&self, first: u64, last: u64) -> Result<Vec<Logged>, StateError> {
        let logged = |entry: crate::raft::RaftEntry| {
            let requests = match &entry.payload {
                EntryPayload::Normal(batch) => {
                    batch.0.iter().map(|entry| (entry.request, entry.at)).collect()
                }
                EntryPayload::Blank | EntryPayload::Membership(_) => Vec::new(),
            };
            Ok(Logged {
                index: entry.log_id.index,
                term: entry.log_id.leader_id.term,
                leader: NodeId(entry.log_id.leader_id.node_id),
                hash: *blake3::hash(&record::encode(&entry)?).as_bytes(),
                requests,
            })
        };
        self.0.engine.log().newest(first, last).into_iter().map(logged).collect()
    }

    /// Hash of all tables of the state, and the index of the last entry applied to it.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn state_hash(&self) -> Result<(u64, [u8; 32]), StateError> {
        let applied = self.0.engine.state().revision.now();
        self.with_state(move |db| Ok((applied, *schema::hash(db, &[])?.as_bytes())))
    }

    /// Runs one statement on the state, past the log, and returns its rows as text.
    ///
    /// # Errors
    /// When SQLite refuses it.
    pub fn state_sql(&self, sql: &str) -> Result<Vec<Vec<String>>, StateError> {
        let sql = sql.to_owned();
        self.with_state(move |db| {
            let mut statement = db.prepare(&sql)?;
            let width = statement.column_count();
            let mut rows = statement.query([])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                all.push((0..width).map(|n| Ok(text(row.get_ref(n)?))).collect::<rusqlite::Result<_>>()?);
            }
            Ok(all)
        })
    }

    fn with_state<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Connection) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        // Where there are no threads it is done at once.
        self.0.engine.state().writer.run(read).now_or_never().unwrap_or(Err(StateError::Closed))
    }
}

fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}
