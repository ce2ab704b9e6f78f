//! `log.db` and the one thread that writes it. What waits is written in one transaction and answered after its fsync.

use super::tail;
use crate::commit_times::CommitTimes;
use crate::error::{ClusterError, StateError};
use crate::private;
use crate::raft::{LogId, TypeConfig, Vote};
use crate::record;
use crate::reserve::Reserve;
use crate::runtime::Chance;
use openraft::storage::LogFlushed;
use rand08::RngCore;
use rusqlite::{Connection, OptionalExtension, params};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Version of log.db's tables.
pub(crate) const LOG_FORMAT: i64 = 1;
/// Most requests of one transaction.
pub(super) const GROUP_MAX: usize = 256;
/// A committed position that nothing else carries to the disk is written after this long.
pub(super) const IDLE: Duration = Duration::from_millis(200);

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS log (idx INTEGER PRIMARY KEY, record BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;";

/// Answer to a write.
pub(crate) type Done = oneshot::Sender<Result<(), StateError>>;

/// What the thread is asked for, in order.
pub(crate) enum Request {
    /// Add records; openraft hears when they are on the disk.
    Append { records: Vec<(u64, Vec<u8>)>, flushed: LogFlushed<TypeConfig> },
    /// Remember a vote.
    Vote { value: Vec<u8>, done: Done },
    /// Remember what is committed, with the next transaction.
    Committed(Vec<u8>),
    /// Drop this index and all above.
    Truncate { since: u64, done: Done },
    /// Drop this position and all below.
    Purge { upto: LogId, done: Done },
    /// Forget everything and go on as another member of another group.
    Reset { node: u64, joins: bool, done: Done },
    /// Forget every entry and go on after this position, with this vote.
    BeginAfter { at: LogId, vote: Vote, done: Done },
    /// Read records, first and last index included.
    Read { first: u64, last: u64, done: oneshot::Sender<Result<Vec<Vec<u8>>, StateError>> },
    /// Forget that a write failed, and answer what is on the disk. Only while consensus is stopped.
    Reload(oneshot::Sender<Result<Found, StateError>>),
    /// Write what is left and end.
    Close(oneshot::Sender<()>),
}

/// What an opened log holds.
pub(crate) struct Found {
    pub(crate) joins: bool,
    pub(crate) vote: Option<Vote>,
    pub(crate) committed: Option<LogId>,
    pub(crate) purged: Option<LogId>,
    /// The newest records, oldest first.
    pub(crate) newest: Vec<Vec<u8>>,
}

/// The database.
pub(crate) struct Disk {
    db: Connection,
    times: CommitTimes,
    reserve: Reserve,
    committed: Option<Vec<u8>>,
    failed: Option<String>,
    /// The identity it was opened with.
    pub(super) node: u64,
}

/// Opens or makes the log.
pub(crate) fn open(path: &Path, times: CommitTimes, reserve: Reserve) -> Result<Disk, StateError> {
    private::file(path)?;
    let db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(5))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.execute_batch(TABLES)?;
    let node = match get(&db, "node")? {
        Some(bytes) => u64::from_be_bytes(bytes.try_into().map_err(|_| record::RecordError::Short(0))?),
        None => {
            let node = Chance.next_u64();
            let put = "INSERT INTO meta (key, value) VALUES (?1, ?2)";
            db.execute(put, params!["node", node.to_be_bytes()])?;
            node
        }
    };
    db.pragma_update(None, "user_version", LOG_FORMAT)?;
    Ok(Disk { db, times, reserve, committed: None, failed: None, node })
}

/// Refuses a log.db of a newer format, reading only.
pub(crate) fn check(path: &Path) -> Result<(), ClusterError> {
    crate::schema::check_version(path, LOG_FORMAT, |db| db.query_row("PRAGMA user_version", [], |r| r.get(0)))
}

impl Disk {
    /// What is on the disk, without what memory has no room for.
    ///
    /// # Errors
    /// Also when entries are missing between others, which only damage can do.
    pub(super) fn found(&self) -> Result<Found, StateError> {
        let db = &self.db;
        let mut newest = db
            .prepare_cached("SELECT record FROM log ORDER BY idx DESC LIMIT ?1")?
            .query_map([tail::KEEP_ENTRIES as i64], |r| r.get(0))?
            .collect::<Result<Vec<Vec<u8>>, _>>()?;
        newest.reverse();
        let purged = get(db, "purged")?.as_deref().map(record::decode_log_id).transpose()?;
        whole(db, purged)?;
        let vote = get(db, "vote")?.as_deref().map(record::decode_vote).transpose()?;
        let committed = get(db, "committed")?.as_deref().map(record::decode_log_id).transpose()?;
        Ok(Found { joins: get(db, "joins")?.is_some(), vote, committed, purged, newest })
    }

    /// Serves until the log is closed or dropped.
    pub(crate) fn serve(mut self, requests: Receiver<Request>) {
        loop {
            let first = match self.committed {
                Some(_) => requests.recv_timeout(IDLE),
                None => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let first = match first {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) => {
                    self.write_group(Vec::new());
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.write_group(Vec::new());
                    return;
                }
            };
            let mut group = vec![first];
            while group.len() < GROUP_MAX
                && let Ok(more) = requests.try_recv()
            {
                group.push(more);
            }
            if let Some(closed) = self.write_group(group) {
                drop(self.db);
                // Whoever closes may have stopped waiting.
                let _ = closed.send(());
                return;
            }
        }
    }

    /// One transaction for all of `group`, then the answers. Returns who asked to close.
    fn write_group(&mut self, mut group: Vec<Request>) -> Option<oneshot::Sender<()>> {
        self.write(&mut group);
        self.answer(group)
    }

    /// One transaction for all of `group`; false when there was nothing to write.
    pub(super) fn write(&mut self, group: &mut [Request]) -> bool {
        self.transact(group).unwrap_or_else(|error| {
            tracing::error!(%error, "writing log.db failed; this host's log stops here");
            self.failed.get_or_insert_with(|| error.to_string());
            true
        })
    }

    /// Answers what was written. Returns who asked to close.
    pub(super) fn answer(&mut self, group: Vec<Request>) -> Option<oneshot::Sender<()>> {
        let mut closing = None;
        for request in group {
            // A dropped receiver means that nobody waits for the answer any more.
            match request {
                Request::Append { flushed, .. } => flushed.log_io_completed(self.outcome()),
                Request::Vote { done, .. }
                | Request::Truncate { done, .. }
                | Request::Purge { done, .. }
                | Request::BeginAfter { done, .. }
                | Request::Reset { done, .. } => {
                    let _ = done.send(self.outcome().map_err(StateError::Io));
                }
                Request::Committed(_) => {}
                Request::Read { first, last, done } => {
                    let _ = done.send(self.read(first, last));
                }
                Request::Reload(done) => {
                    let _ = done.send(self.found());
                }
                Request::Close(closed) => closing = Some(closed),
            }
        }
        closing
    }

    /// How the log is: after one failed write nothing more is promised.
    fn outcome(&self) -> std::io::Result<()> {
        match &self.failed {
            None => Ok(()),
            Some(why) => Err(std::io::Error::other(format!("log.db can't be written: {why}"))),
        }
    }

    fn transact(&mut self, group: &mut [Request]) -> Result<bool, StateError> {
        if group.iter().any(|request| matches!(request, Request::Reload(_))) {
            (self.failed, self.committed) = (None, None);
        }
        if self.failed.is_some() {
            return Ok(false);
        }
        let mut writes = self.committed.is_some() && group.is_empty();
        for request in group.iter_mut() {
            match request {
                Request::Append { .. }
                | Request::Vote { .. }
                | Request::Truncate { .. }
                | Request::Purge { .. } => writes = true,
                Request::BeginAfter { .. } | Request::Reset { .. } => {
                    writes = true;
                    // What was committed before is a position in a log that is gone.
                    self.committed = None;
                }
                Request::Committed(value) => self.committed = Some(std::mem::take(value)),
                Request::Read { .. } | Request::Reload(_) => {}
                Request::Close(_) => writes |= self.committed.is_some(),
            }
        }
        if !writes {
            return Ok(false);
        }
        self.reserve.retry(|| {
            let tx = self.db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            for request in group.iter() {
                write(&tx, request)?;
            }
            if let Some(value) = &self.committed {
                put(&tx, "committed", value)?;
            }
            let begun = Instant::now();
            tx.commit()?;
            self.times.add(begun.elapsed());
            Ok(())
        })?;
        self.committed = None;
        Ok(true)
    }

    /// A committed position waits to be written.
    #[cfg(feature = "simulation")]
    pub(super) fn waits(&self) -> bool {
        self.committed.is_some()
    }

    /// Leaves everything in the write-ahead log: a simulated power cut cuts that one off.
    #[cfg(feature = "simulation")]
    pub(super) fn never_checkpoint(&self) {
        if let Err(error) = self.db.pragma_update(None, "wal_autocheckpoint", 0) {
            tracing::error!(%error, "log.db goes on moving its write-ahead log into itself");
        }
    }

    fn read(&self, first: u64, last: u64) -> Result<Vec<Vec<u8>>, StateError> {
        let mut query =
            self.db.prepare_cached("SELECT record FROM log WHERE idx BETWEEN ?1 AND ?2 ORDER BY idx")?;
        let rows = query.query_map([index(first), index(last)], |r| r.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn write(db: &Connection, request: &Request) -> Result<(), StateError> {
    match request {
        Request::Append { records, .. } => {
            let mut insert = db.prepare_cached("INSERT INTO log (idx, record) VALUES (?1, ?2)")?;
            for (at, record) in records {
                insert.execute(params![index(*at), record])?;
            }
        }
        Request::Vote { value, .. } => put(db, "vote", value)?,
        Request::Truncate { since, .. } => {
            db.execute("DELETE FROM log WHERE idx >= ?1", [index(*since)])?;
        }
        Request::Purge { upto, .. } => {
            put(db, "purged", &record::encode_log_id(upto))?;
            db.execute("DELETE FROM log WHERE idx <= ?1", [index(upto.index)])?;
        }
        Request::Reset { node, joins, .. } => {
            db.execute_batch("DELETE FROM log; DELETE FROM meta")?;
            put(db, "node", &node.to_be_bytes())?;
            if *joins {
                put(db, "joins", &[])?;
            }
        }
        Request::BeginAfter { at, vote, .. } => {
            db.execute_batch("DELETE FROM log")?;
            put(db, "purged", &record::encode_log_id(at))?;
            put(db, "committed", &record::encode_log_id(at))?;
            put(db, "vote", &record::encode_vote(vote))?;
        }
        Request::Committed(_) | Request::Read { .. } | Request::Reload(_) | Request::Close(_) => {}
    }
    Ok(())
}

fn get(db: &Connection, key: &str) -> Result<Option<Vec<u8>>, StateError> {
    let mut get = db.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    Ok(get.query_row([key], |r| r.get(0)).optional()?)
}

/// Makes sure that entries follow each other without a gap.
fn whole(db: &Connection, purged: Option<LogId>) -> Result<(), StateError> {
    let (count, first, last): (i64, Option<i64>, Option<i64>) =
        db.query_row("SELECT count(*), min(idx), max(idx) FROM log", [], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?))
        })?;
    let (Some(first), Some(last)) = (first, last) else { return Ok(()) };
    let begin = purged.map_or(0, |id| index(id.index) + 1);
    if first == begin && last - first + 1 == count {
        return Ok(());
    }
    Err(StateError::Log(format!("it has {count} entries from {first} to {last} and should begin at {begin}")))
}

fn put(db: &Connection, key: &str, value: &[u8]) -> Result<(), StateError> {
    let mut put = db.prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?;
    put.execute(params![key, value])?;
    Ok(())
}

/// An index as SQLite's integer; indexes count up from 0 and never come near the end.
fn index(at: u64) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}
