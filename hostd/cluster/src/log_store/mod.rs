//! The log: what was decided, in order, on the disk before anybody is told.
//!
//! Owns `log.db`. Knows nothing of what the commands mean.

mod disk;
mod queue;
#[cfg(feature = "simulation")]
mod simulated;
mod tail;

pub(crate) use disk::check;

use crate::commit_times::CommitTimes;
use crate::error::StateError;
use crate::ground::Ground;
use crate::raft::{LogId, RaftEntry, StorageError, StorageIoError, TypeConfig, Vote};
use crate::record;
use crate::reserve::Reserve;
use disk::Request;
use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{AnyError, LogState, OptionalSend, RaftLogReader};
use queue::Queue;
use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tail::Tail;
use tokio::sync::{Notify, oneshot};

/// Entries given to a reader at once.
const READ_MAX: u64 = 512;

/// Handle of the log; cheap to clone.
#[derive(Clone)]
pub(crate) struct LogStore(Arc<Shared>);

struct Shared {
    node: AtomicU64,
    /// Others will make it a member of their group; it does not found one.
    joins: AtomicBool,
    tail: Mutex<Tail>,
    requests: Queue,
    times: CommitTimes,
    /// Bytes appended since [`LogStore::grown`] last fired.
    growth: AtomicU64,
    growth_limit: u64,
    grown: Notify,
}

impl LogStore {
    /// Opens or makes `log.db`. [`LogStore::grown`] fires after every `growth_limit` bytes.
    pub(crate) fn open(
        path: &Path,
        growth_limit: u64,
        reserve: Reserve,
        ground: &Ground,
    ) -> Result<Self, StateError> {
        let times = CommitTimes::default();
        let disk = disk::open(path, times.clone(), reserve)?;
        let found = disk.found()?;
        Ok(Self(Arc::new(Shared {
            node: AtomicU64::new(disk.node),
            joins: AtomicBool::new(found.joins),
            tail: Mutex::new(Tail::of(found)?),
            requests: Queue::start(disk, ground)?,
            times,
            growth: AtomicU64::new(0),
            growth_limit,
            grown: Notify::new(),
        })))
    }

    /// This log's identity in the group.
    pub(crate) fn node(&self) -> u64 {
        self.0.node.load(Ordering::Acquire)
    }

    /// It waits for others to make it a member, and founds no group of its own.
    pub(crate) fn joins(&self) -> bool {
        self.0.joins.load(Ordering::Acquire)
    }

    /// Forgets everything and goes on as `node`, which `joins` a group or founds one. Only while consensus is stopped.
    pub(crate) async fn reset(&self, node: u64, joins: bool) -> Result<(), StateError> {
        let asked = self.ask(|done| Request::Reset { node, joins, done }).await;
        asked.map_err(|error| StateError::Io(std::io::Error::other(error)))?;
        *self.tail() = Tail::default();
        self.0.node.store(node, Ordering::Release);
        self.0.joins.store(joins, Ordering::Release);
        Ok(())
    }

    /// Reads again what is on the disk, and lets it be written again after a write that failed. Only while consensus is
    /// stopped.
    pub(crate) async fn reload(&self) -> Result<(), StateError> {
        let found = self.ask(Request::Reload).await;
        let found = found.map_err(|error| StateError::Io(std::io::Error::other(error)))?;
        *self.tail() = Tail::of(found)?;
        Ok(())
    }

    /// How long commits took.
    pub(crate) fn times(&self) -> &CommitTimes {
        &self.0.times
    }

    /// The vote it holds.
    pub(crate) fn vote(&self) -> Option<Vote> {
        self.tail().vote
    }

    /// Drops every entry; the log goes on after `at`, with this vote. Only while consensus is stopped.
    pub(crate) async fn begin_after(&self, at: LogId, vote: Vote) -> Result<(), StateError> {
        let asked = self.ask(|done| Request::BeginAfter { at, vote, done }).await;
        asked.map_err(|error| StateError::Io(std::io::Error::other(error)))?;
        let mut tail = self.tail();
        *tail = Tail::default();
        tail.purge(at);
        (tail.vote, tail.committed) = (Some(vote), Some(at));
        Ok(())
    }

    /// Positions of the last purged and the last entry.
    pub(crate) fn ends(&self) -> (Option<LogId>, Option<LogId>) {
        let tail = self.tail();
        (tail.purged, tail.last())
    }

    /// It has this entry, or had it.
    pub(crate) fn has(&self, at: LogId) -> bool {
        self.tail().has(at)
    }

    /// The entries from `first` to `last` that memory holds.
    #[cfg(feature = "simulation")]
    pub(crate) fn newest(&self, first: u64, last: u64) -> Vec<RaftEntry> {
        self.tail().range(first, last)
    }

    /// Waits until the log has grown by its limit since the last time.
    pub(crate) async fn grown(&self) {
        self.0.grown.notified().await;
    }

    /// Writes what is left and closes the database.
    pub(crate) async fn close(&self) {
        self.0.requests.close().await;
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.0.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request and waits for its answer.
    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, StateError>>) -> Request,
    ) -> Result<T, AnyError> {
        let (done, answer) = oneshot::channel();
        self.0.requests.send(request(done)).map_err(|e| AnyError::new(&e))?;
        let answer = answer.await.unwrap_or(Err(StateError::Closed));
        answer.map_err(|e| AnyError::new(&e))
    }

    /// Entries from `first` to `last` that exist: old ones from the disk, new ones from memory.
    async fn read(&self, first: u64, last: u64) -> Result<Vec<RaftEntry>, StorageError> {
        let (first, last, split) = {
            let tail = self.tail();
            let Some(end) = tail.last().map(|id| id.index) else { return Ok(Vec::new()) };
            let begin = tail.purged.map_or(0, |id| id.index + 1);
            (first.max(begin), last.min(end), tail.first_index().unwrap_or(u64::MAX))
        };
        if first > last {
            return Ok(Vec::new());
        }
        let mut entries = Vec::new();
        if first < split {
            let upto = last.min(split - 1);
            let read = self.ask(|done| Request::Read { first, last: upto, done }).await;
            for bytes in read.map_err(StorageIoError::read_logs)? {
                entries
                    .push(record::decode(&bytes).map_err(|e| StorageIoError::read_logs(AnyError::new(&e)))?);
            }
        }
        if last >= split {
            // Entries leave memory only by ageing; those that left since are read again from the disk.
            let kept = self.tail().range(first.max(split), last);
            let from = kept.first().map_or(last + 1, |e| e.log_id.index);
            if from > first.max(split) {
                let (first, last) = (first.max(split), from - 1);
                let read = self.ask(|done| Request::Read { first, last, done }).await;
                for bytes in read.map_err(StorageIoError::read_logs)? {
                    entries.push(
                        record::decode(&bytes).map_err(|e| StorageIoError::read_logs(AnyError::new(&e)))?,
                    );
                }
            }
            entries.extend(kept);
        }
        Ok(entries)
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<RaftEntry>, StorageError> {
        let first = match range.start_bound() {
            Bound::Included(at) => *at,
            Bound::Excluded(at) => at + 1,
            Bound::Unbounded => 0,
        };
        let last = match range.end_bound() {
            Bound::Included(at) => *at,
            Bound::Excluded(0) => return Ok(Vec::new()),
            Bound::Excluded(at) => at - 1,
            Bound::Unbounded => u64::MAX - 1,
        };
        self.read(first, last).await
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<RaftEntry>, StorageError> {
        self.try_get_log_entries(start..end.min(start.saturating_add(READ_MAX))).await
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        let (last_purged_log_id, last_log_id) = self.ends();
        Ok(LogState { last_purged_log_id, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let value = record::encode_vote(vote).to_vec();
        self.ask(|done| Request::Vote { value, done }).await.map_err(StorageIoError::write_vote)?;
        self.tail().vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        Ok(self.tail().vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        self.tail().committed = committed;
        if let Some(id) = committed {
            // Written with the next transaction: being behind after a crash costs a second look, nothing more.
            let sent = self.0.requests.send(Request::Committed(record::encode_log_id(&id).to_vec()));
            sent.map_err(|e| StorageIoError::write(AnyError::new(&e)))?;
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        Ok(self.tail().committed)
    }

    async fn append<I>(&mut self, entries: I, flushed: LogFlushed<TypeConfig>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = RaftEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut records = Vec::new();
        {
            let mut tail = self.tail();
            for entry in entries {
                let failed = |e| StorageIoError::write_log_entry(entry.log_id, AnyError::new(&e));
                let bytes = record::encode(&entry).map_err(failed)?;
                let size = bytes.len();
                records.push((entry.log_id.index, bytes));
                tail.push(entry, size);
            }
        }
        let grown: usize = records.iter().map(|(_, bytes)| bytes.len()).sum();
        let sent = self.0.requests.send(Request::Append { records, flushed });
        sent.map_err(|e| StorageIoError::write_logs(AnyError::new(&e)))?;
        let grown = grown as u64;
        if self.0.growth.fetch_add(grown, Ordering::Relaxed) + grown >= self.0.growth_limit {
            self.0.growth.store(0, Ordering::Relaxed);
            self.0.grown.notify_one();
        }
        Ok(())
    }

    async fn truncate(&mut self, since: LogId) -> Result<(), StorageError> {
        let before = match since.index.checked_sub(1) {
            Some(at) => self.read(at, at).await?.first().map(|e| e.log_id),
            None => None,
        };
        let asked = self.ask(|done| Request::Truncate { since: since.index, done }).await;
        asked.map_err(StorageIoError::write_logs)?;
        self.tail().truncate(since.index, before);
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), StorageError> {
        // Readers stop at the purged position first, the rows go after that.
        self.tail().purge(upto);
        self.ask(|done| Request::Purge { upto, done }).await.map_err(|e| StorageIoError::write_logs(e).into())
    }
}
