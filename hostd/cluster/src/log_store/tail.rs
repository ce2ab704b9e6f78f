//! The newest entries of the log in memory, so that replication and apply do not read the disk.

use super::disk::Found;
use crate::error::StateError;
use crate::raft::{LogId, RaftEntry, Vote};
use crate::record;
use std::collections::VecDeque;

/// Entries kept in memory at most.
pub(crate) const KEEP_ENTRIES: usize = 2048;
/// Bytes of records kept in memory at most.
const KEEP_BYTES: usize = 16 << 20;

/// What is known of the log without asking the disk.
#[derive(Default)]
pub(crate) struct Tail {
    pub(crate) vote: Option<Vote>,
    pub(crate) committed: Option<LogId>,
    pub(crate) purged: Option<LogId>,
    last: Option<LogId>,
    entries: VecDeque<(RaftEntry, usize)>,
    bytes: usize,
}

impl Tail {
    /// What a log was found to hold.
    ///
    /// # Errors
    /// When a record can't be read.
    pub(super) fn of(found: Found) -> Result<Self, StateError> {
        let mut tail = Self { vote: found.vote, committed: found.committed, ..Self::default() };
        if let Some(purged) = found.purged {
            tail.purge(purged);
        }
        for bytes in found.newest {
            tail.push(record::decode(&bytes)?, bytes.len());
        }
        Ok(tail)
    }

    /// Position of the last entry, or of the last purged one when there is none.
    pub(crate) fn last(&self) -> Option<LogId> {
        self.last
    }

    /// Takes the next entry, whose record has `size` bytes.
    pub(crate) fn push(&mut self, entry: RaftEntry, size: usize) {
        self.last = Some(entry.log_id);
        self.bytes += size;
        self.entries.push_back((entry, size));
        while self.entries.len() > KEEP_ENTRIES || (self.bytes > KEEP_BYTES && self.entries.len() > 1) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, size)) = self.entries.pop_front() {
            self.bytes -= size;
        }
    }

    /// The log has this entry, or had it before its beginning; what memory no more holds is believed.
    pub(crate) fn has(&self, at: LogId) -> bool {
        if self.purged.is_some_and(|purged| at.index <= purged.index) {
            return true;
        }
        match self.first_index() {
            Some(first) if at.index >= first => self.range(at.index, at.index).iter().any(|e| e.log_id == at),
            Some(_) => true,
            None => false,
        }
    }

    /// Index of the oldest entry in memory.
    pub(crate) fn first_index(&self) -> Option<u64> {
        self.entries.front().map(|(e, _)| e.log_id.index)
    }

    /// The entries in memory with an index from `first` to `last`.
    pub(crate) fn range(&self, first: u64, last: u64) -> Vec<RaftEntry> {
        let wanted = |e: &RaftEntry| (first..=last).contains(&e.log_id.index);
        self.entries.iter().filter(|(e, _)| wanted(e)).map(|(e, _)| e.clone()).collect()
    }

    /// Drops index `since` and above. `before` is the position left as the last when memory does not hold it.
    pub(crate) fn truncate(&mut self, since: u64, before: Option<LogId>) {
        while self.entries.back().is_some_and(|(e, _)| e.log_id.index >= since) {
            if let Some((_, size)) = self.entries.pop_back() {
                self.bytes -= size;
            }
        }
        self.last = self.entries.back().map(|(e, _)| e.log_id).or(before).or(self.purged);
    }

    /// Drops `upto` and everything below.
    pub(crate) fn purge(&mut self, upto: LogId) {
        while self.entries.front().is_some_and(|(e, _)| e.log_id.index <= upto.index) {
            self.forget_oldest();
        }
        self.purged = self.purged.max(Some(upto));
        self.last = self.last.max(Some(upto));
    }
}
