//! The bytes of the log: our own envelope, so that another version of openraft is not a migration of the disk.
//!
//! A record is `version: u8, term: u64, node: u64, index: u64, kind: u8, payload`, numbers big-endian. The payload of a
//! batch is MessagePack with field names, identifiers and times as text, so that it decodes by name and ignores fields
//! it does not know.

use crate::raft::{Batch, LogId, Membership, RaftEntry, Vote};
use hostd_types::Entry;
use openraft::{CommittedLeaderId, EntryPayload};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Version of the envelope.
const RECORD_VERSION: u8 = 1;
/// Bytes before the payload.
const HEADER: usize = 26;
const KIND_BLANK: u8 = 0;
const KIND_BATCH: u8 = 1;
const KIND_MEMBERSHIP: u8 = 2;

/// A record of the log is not what this version writes or reads.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Shorter than its header.
    #[error("a log record of {0} bytes is cut off")]
    Short(usize),
    /// Another version wrote it.
    #[error("a log record has version {0}, this version knows {RECORD_VERSION}")]
    Version(u8),
    /// It holds a kind of entry this version does not know.
    #[error("a log record has the unknown kind {0}")]
    Kind(u8),
    /// Its payload can't be decoded: damaged, or a command this version does not know.
    #[error("a log record can't be decoded: {0}")]
    Decode(#[from] rmp_serde::decode::Error),
    /// A command can't be encoded.
    #[error("a command can't be encoded: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
}

/// A membership as it is stored.
#[derive(Serialize, Deserialize)]
struct Members {
    voters: Vec<BTreeSet<u64>>,
    nodes: BTreeSet<u64>,
}

impl From<&Membership> for Members {
    fn from(membership: &Membership) -> Self {
        Self {
            voters: membership.get_joint_config().clone(),
            nodes: membership.nodes().map(|(id, _)| *id).collect(),
        }
    }
}

impl From<Members> for Membership {
    fn from(members: Members) -> Self {
        Membership::new(members.voters, members.nodes)
    }
}

/// Encodes by field names.
pub(crate) fn encode_named<T: Serialize>(value: &T) -> Result<Vec<u8>, RecordError> {
    let mut bytes = Vec::with_capacity(512);
    let mut out = rmp_serde::Serializer::new(&mut bytes).with_struct_map().with_human_readable();
    value.serialize(&mut out)?;
    Ok(bytes)
}

pub(crate) fn decode_named<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RecordError> {
    let mut input = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
    Ok(T::deserialize(&mut input)?)
}

/// One entry as it stands inside a batch.
///
/// # Errors
/// [`RecordError::Encode`].
pub fn encode_entry(entry: &Entry) -> Result<Vec<u8>, RecordError> {
    encode_named(entry)
}

/// Reads what [`encode_entry`] wrote, or what another version wrote that knows fewer or more fields.
///
/// # Errors
/// [`RecordError::Decode`].
pub fn decode_entry(bytes: &[u8]) -> Result<Entry, RecordError> {
    decode_named(bytes)
}

/// The record of a log entry.
pub(crate) fn encode(entry: &RaftEntry) -> Result<Vec<u8>, RecordError> {
    let (kind, payload) = match &entry.payload {
        EntryPayload::Blank => (KIND_BLANK, Vec::new()),
        EntryPayload::Normal(batch) => (KIND_BATCH, encode_named(&batch.0.as_slice())?),
        EntryPayload::Membership(m) => (KIND_MEMBERSHIP, encode_membership(m)?),
    };
    let mut record = Vec::with_capacity(HEADER + payload.len());
    record.push(RECORD_VERSION);
    record.extend_from_slice(&encode_log_id(&entry.log_id));
    record.push(kind);
    record.extend_from_slice(&payload);
    Ok(record)
}

/// The log entry of a record.
pub(crate) fn decode(record: &[u8]) -> Result<RaftEntry, RecordError> {
    let version = *record.first().ok_or(RecordError::Short(0))?;
    if version != RECORD_VERSION {
        return Err(RecordError::Version(version));
    }
    let (head, payload) = record.split_at_checked(HEADER).ok_or(RecordError::Short(record.len()))?;
    let payload = match head[HEADER - 1] {
        KIND_BLANK => EntryPayload::Blank,
        KIND_BATCH => EntryPayload::Normal(Batch(Arc::new(decode_named(payload)?))),
        KIND_MEMBERSHIP => EntryPayload::Membership(decode_membership(payload)?),
        other => return Err(RecordError::Kind(other)),
    };
    Ok(RaftEntry { log_id: decode_log_id(&head[1..])?, payload })
}

/// A membership's bytes.
pub(crate) fn encode_membership(membership: &Membership) -> Result<Vec<u8>, RecordError> {
    encode_named(&Members::from(membership))
}

/// Reads what [`encode_membership`] wrote.
pub(crate) fn decode_membership(bytes: &[u8]) -> Result<Membership, RecordError> {
    decode_named::<Members>(bytes).map(Membership::from)
}

/// A position in the log: term, node, index.
pub(crate) fn encode_log_id(id: &LogId) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&id.leader_id.term.to_be_bytes());
    bytes[8..16].copy_from_slice(&id.leader_id.node_id.to_be_bytes());
    bytes[16..].copy_from_slice(&id.index.to_be_bytes());
    bytes
}

/// Reads what [`encode_log_id`] wrote at the beginning of `bytes`.
pub(crate) fn decode_log_id(bytes: &[u8]) -> Result<LogId, RecordError> {
    let leader = CommittedLeaderId::new(number(bytes, 0)?, number(bytes, 8)?);
    Ok(LogId::new(leader, number(bytes, 16)?))
}

/// A vote: term, node, whether a majority gave it.
pub(crate) fn encode_vote(vote: &Vote) -> [u8; 17] {
    let mut bytes = [0; 17];
    bytes[..8].copy_from_slice(&vote.leader_id.term.to_be_bytes());
    bytes[8..16].copy_from_slice(&vote.leader_id.node_id.to_be_bytes());
    bytes[16] = u8::from(vote.committed);
    bytes
}

/// Reads what [`encode_vote`] wrote.
pub(crate) fn decode_vote(bytes: &[u8]) -> Result<Vote, RecordError> {
    let (term, node) = (number(bytes, 0)?, number(bytes, 8)?);
    match bytes.get(16) {
        Some(0) => Ok(Vote::new(term, node)),
        Some(_) => Ok(Vote::new_committed(term, node)),
        None => Err(RecordError::Short(bytes.len())),
    }
}

fn number(bytes: &[u8], at: usize) -> Result<u64, RecordError> {
    let slice = bytes.get(at..at + 8).ok_or(RecordError::Short(bytes.len()))?;
    slice.try_into().map(u64::from_be_bytes).map_err(|_| RecordError::Short(bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consensus_records_come_back_as_they_were() {
        let id = LogId::new(CommittedLeaderId::new(7, u64::MAX - 3), 41);
        let members = Membership::new(vec![BTreeSet::from([1, u64::MAX])], BTreeSet::from([1, 5, u64::MAX]));
        for payload in [EntryPayload::Blank, EntryPayload::Membership(members)] {
            let entry = RaftEntry { log_id: id, payload };
            let record = encode(&entry).unwrap();
            assert_eq!(decode(&record).unwrap(), entry);
            for cut in 0..HEADER {
                assert!(decode(&record[..cut]).is_err(), "a record of {cut} bytes was taken");
            }
        }
        for vote in [Vote::new(3, 9), Vote::new_committed(u64::MAX, 1)] {
            assert_eq!(decode_vote(&encode_vote(&vote)).unwrap(), vote);
        }
    }

    #[test]
    fn records_of_an_unknown_version_or_kind_are_refused() {
        let id = LogId::new(CommittedLeaderId::new(1, 1), 1);
        let good = encode(&RaftEntry { log_id: id, payload: EntryPayload::Blank }).unwrap();
        let mut newer = good.clone();
        newer[0] = RECORD_VERSION + 1;
        assert!(matches!(decode(&newer), Err(RecordError::Version(_))));
        let mut odd = good;
        odd[HEADER - 1] = 9;
        assert!(matches!(decode(&odd), Err(RecordError::Kind(9))));
    }
}
