//! The frames members send each other. What consensus sends is laid out by hand, numbers big-endian, as the log's records
//! are; what people's commands travel in is MessagePack by name. Reading never panics and never allocates more than the
//! frame holds.

use crate::raft::{LogId, RaftEntry, Results, SnapshotMeta, Vote};
use crate::record::{self, RecordError};
use hostd_types::{Entry, NodeId};
use openraft::StoredMembership;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};

/// Most bytes of entries in one frame; more is sent in several.
pub(crate) const ENTRIES_MAX: usize = 2 << 20;
/// Bytes of a snapshot in one frame.
pub(crate) const CHUNK: usize = 1 << 20;

/// What a member asks another.
#[derive(Debug)]
pub(crate) enum Frame {
    /// Entries of the log, or none: a heartbeat.
    Append(AppendEntriesRequest<crate::raft::TypeConfig>),
    /// A vote.
    Vote(VoteRequest<u64>),
    /// Whether a vote would be given to who has this as its last entry; nothing changes by asking.
    Canvass(Option<LogId>),
    /// A piece of a snapshot.
    Chunk(Chunk),
    /// Commands for the leader.
    Propose(Vec<Entry>),
    /// A sign of life for the leader.
    Beat(Beat),
    /// A member wants its lease prolonged.
    Renew(Renew),
}

/// A piece of a snapshot. The first one is empty and asks how much is there already.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) vote: Vote,
    pub(crate) meta: SnapshotMeta,
    /// Bytes of the whole.
    pub(crate) total: u64,
    /// BLAKE3 of the whole.
    pub(crate) hash: [u8; 32],
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
}

/// A member's sign of life.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Beat {
    /// The last entry it applied.
    pub(crate) applied: u64,
    /// What it tells of itself; this crate passes it on unread.
    pub(crate) digest: String,
    /// It has what the others tell of themselves, and wants to know only whether they are there.
    #[serde(default)]
    pub(crate) brief: bool,
}

/// A member's wish for a lease.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Renew {
    /// The member's epoch, as it knows it.
    pub(crate) epoch: u64,
}

/// The leader's answer to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Renewed {
    /// It is granted, from when the member sent its wish.
    pub(crate) granted: bool,
    /// Index of an entry that was decided before; to have applied it is to know the placements before the grant.
    pub(crate) decided: u64,
    /// Why it is not granted.
    pub(crate) why: String,
}

impl Renewed {
    pub(crate) fn refused(why: &str) -> Self {
        Self { granted: false, decided: 0, why: why.into() }
    }
}

/// What the leader knows of every member.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pulse {
    pub(crate) members: Vec<Told>,
}

/// One member as the leader knows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) node: NodeId,
    /// Milliseconds since it last answered the leader; absent when it never did.
    pub(crate) answered_ms: Option<u64>,
    /// The last entry it is known to have.
    pub(crate) matched: Option<u64>,
    /// Its last digest and that one's age in milliseconds.
    pub(crate) digest: Option<(String, u64)>,
    /// Milliseconds its lease lasts at most; absent when it has none.
    #[serde(default)]
    pub(crate) lease_ms: Option<u64>,
}

/// What a member answers.
#[derive(Debug)]
pub(crate) enum Reply {
    Append(AppendEntriesResponse<u64>),
    Vote(VoteResponse<u64>),
    Canvass(bool),
    /// Where the snapshot goes on; the whole was installed when the vote is there.
    Chunk {
        next: u64,
        installed: Option<SnapshotResponse<u64>>,
    },
    Propose(Results),
    /// It does not lead; perhaps this one does.
    NotLeader(Option<u64>),
    Pulse(Pulse),
    Renewed(Renewed),
    /// It can't answer.
    Failed(String),
}

const APPEND: u8 = 1;
const VOTE: u8 = 2;
const CHUNK_KIND: u8 = 3;
const PROPOSE: u8 = 4;
const BEAT: u8 = 5;
const NOT_LEADER: u8 = 6;
const FAILED: u8 = 7;
const CANVASS: u8 = 8;
const RENEW: u8 = 9;

impl Frame {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let mut out = Writer::default();
        match self {
            Frame::Append(rpc) => return append(rpc, usize::MAX).map(|(bytes, _)| bytes),
            Frame::Vote(rpc) => {
                out.u8(VOTE).vote(&rpc.vote).log_id(rpc.last_log_id.as_ref());
            }
            Frame::Canvass(last) => {
                out.u8(CANVASS).log_id(last.as_ref());
            }
            Frame::Chunk(chunk) => {
                out.u8(CHUNK_KIND).vote(&chunk.vote).log_id(chunk.meta.last_log_id.as_ref());
                out.log_id(chunk.meta.last_membership.log_id().as_ref());
                out.bytes(&record::encode_membership(chunk.meta.last_membership.membership())?);
                out.bytes(chunk.meta.snapshot_id.as_bytes());
                out.u64(chunk.total).raw(&chunk.hash).u64(chunk.offset).bytes(&chunk.bytes);
            }
            Frame::Propose(entries) => {
                out.u8(PROPOSE).raw(&record::encode_named(entries)?);
            }
            Frame::Beat(beat) => {
                out.u8(BEAT).raw(&record::encode_named(beat)?);
            }
            Frame::Renew(renew) => {
                out.u8(RENEW).raw(&record::encode_named(renew)?);
            }
        }
        Ok(out.0)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut from = Reader(bytes);
        Ok(match from.u8()? {
            APPEND => {
                let (vote, prev_log_id) = (from.vote()?, from.log_id()?);
                let (leader_commit, count) = (from.log_id()?, from.u32()?);
                let mut entries: Vec<RaftEntry> = Vec::new();
                for _ in 0..count {
                    entries.push(record::decode(from.bytes()?)?);
                }
                Frame::Append(AppendEntriesRequest { vote, prev_log_id, entries, leader_commit })
            }
            VOTE => Frame::Vote(VoteRequest { vote: from.vote()?, last_log_id: from.log_id()? }),
            CANVASS => Frame::Canvass(from.log_id()?),
            CHUNK_KIND => {
                let (vote, last_log_id, at) = (from.vote()?, from.log_id()?, from.log_id()?);
                let membership = record::decode_membership(from.bytes()?)?;
                let snapshot_id = String::from_utf8_lossy(from.bytes()?).into_owned();
                let last_membership = StoredMembership::new(at, membership);
                Frame::Chunk(Chunk {
                    vote,
                    meta: SnapshotMeta { last_log_id, last_membership, snapshot_id },
                    total: from.u64()?,
                    hash: from.array()?,
                    offset: from.u64()?,
                    bytes: from.bytes()?.to_vec(),
                })
            }
            PROPOSE => Frame::Propose(record::decode_named(from.0)?),
            BEAT => Frame::Beat(record::decode_named(from.0)?),
            RENEW => Frame::Renew(record::decode_named(from.0)?),
            other => return Err(RecordError::Kind(other)),
        })
    }
}

impl Reply {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let mut out = Writer::default();
        match self {
            Reply::Append(response) => {
                out.u8(APPEND);
                match response {
                    AppendEntriesResponse::Success => out.u8(0),
                    AppendEntriesResponse::PartialSuccess(upto) => out.u8(1).log_id(upto.as_ref()),
                    AppendEntriesResponse::Conflict => out.u8(2),
                    AppendEntriesResponse::HigherVote(vote) => out.u8(3).vote(vote),
                };
            }
            Reply::Vote(response) => {
                out.u8(VOTE).vote(&response.vote).u8(response.vote_granted.into());
                out.log_id(response.last_log_id.as_ref());
            }
            Reply::Canvass(given) => {
                out.u8(CANVASS).u8((*given).into());
            }
            Reply::Chunk { next, installed } => {
                out.u8(CHUNK_KIND).u64(*next).u8(installed.is_some().into());
                if let Some(installed) = installed {
                    out.vote(&installed.vote);
                }
            }
            Reply::Propose(results) => {
                out.u8(PROPOSE).raw(&record::encode_named(results)?);
            }
            Reply::NotLeader(leader) => {
                out.u8(NOT_LEADER).u8(leader.is_some().into()).u64(leader.unwrap_or(0));
            }
            Reply::Pulse(pulse) => {
                out.u8(BEAT).raw(&record::encode_named(pulse)?);
            }
            Reply::Renewed(renewed) => {
                out.u8(RENEW).raw(&record::encode_named(renewed)?);
            }
            Reply::Failed(why) => {
                out.u8(FAILED).raw(why.as_bytes());
            }
        }
        Ok(out.0)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut from = Reader(bytes);
        Ok(match from.u8()? {
            APPEND => Reply::Append(match from.u8()? {
                0 => AppendEntriesResponse::Success,
                1 => AppendEntriesResponse::PartialSuccess(from.log_id()?),
                2 => AppendEntriesResponse::Conflict,
                3 => AppendEntriesResponse::HigherVote(from.vote()?),
                other => return Err(RecordError::Kind(other)),
            }),
            VOTE => {
                let (vote, granted) = (from.vote()?, from.u8()? != 0);
                Reply::Vote(VoteResponse { vote, vote_granted: granted, last_log_id: from.log_id()? })
            }
            CANVASS => Reply::Canvass(from.u8()? != 0),
            CHUNK_KIND => {
                let (next, installed) = (from.u64()?, from.u8()? != 0);
                let installed = if installed { Some(SnapshotResponse::new(from.vote()?)) } else { None };
                Reply::Chunk { next, installed }
            }
            PROPOSE => Reply::Propose(record::decode_named(from.0)?),
            NOT_LEADER => {
                let (known, leader) = (from.u8()? != 0, from.u64()?);
                Reply::NotLeader(known.then_some(leader))
            }
            BEAT => Reply::Pulse(record::decode_named(from.0)?),
            RENEW => Reply::Renewed(record::decode_named(from.0)?),
            FAILED => Reply::Failed(String::from_utf8_lossy(from.0).into_owned()),
            other => return Err(RecordError::Kind(other)),
        })
    }
}

/// The frame of as many of the entries as fit into `most` bytes, at least one, and their number.
pub(crate) fn append(
    rpc: &AppendEntriesRequest<crate::raft::TypeConfig>,
    most: usize,
) -> Result<(Vec<u8>, usize), RecordError> {
    let (mut records, mut count) = (Writer::default(), 0);
    for entry in &rpc.entries {
        let record = record::encode(entry)?;
        if count > 0 && records.0.len() + record.len() > most {
            break;
        }
        records.bytes(&record);
        count += 1;
    }
    let mut out = Writer::default();
    out.u8(APPEND).vote(&rpc.vote).log_id(rpc.prev_log_id.as_ref());
    out.log_id(rpc.leader_commit.as_ref()).u32(count).raw(&records.0);
    Ok((out.0, count))
}

/// A frame being written.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }
    fn u32(&mut self, value: usize) -> &mut Self {
        // Counts and sizes of a frame are far below; a larger one could not have been sent.
        self.raw(&u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes())
    }
    fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }
    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.u32(bytes.len()).raw(bytes)
    }
    fn vote(&mut self, vote: &Vote) -> &mut Self {
        self.raw(&record::encode_vote(vote))
    }
    fn log_id(&mut self, id: Option<&LogId>) -> &mut Self {
        self.u8(id.is_some().into());
        match id {
            Some(id) => self.raw(&record::encode_log_id(id)),
            None => self,
        }
    }
}

/// A frame being read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], RecordError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(RecordError::Short(self.0.len()))?;
        self.0 = rest;
        Ok(taken)
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| RecordError::Short(taken.len()))
    }
    fn u8(&mut self) -> Result<u8, RecordError> {
        Ok(self.array::<1>()?[0])
    }
    fn u32(&mut self) -> Result<u32, RecordError> {
        Ok(u32::from_be_bytes(self.array()?))
    }
    fn u64(&mut self) -> Result<u64, RecordError> {
        Ok(u64::from_be_bytes(self.array()?))
    }
    fn bytes(&mut self) -> Result<&'a [u8], RecordError> {
        let count = self.u32()?;
        self.take(usize::try_from(count).unwrap_or(usize::MAX))
    }
    fn vote(&mut self) -> Result<Vote, RecordError> {
        record::decode_vote(self.take(17)?)
    }
    fn log_id(&mut self) -> Result<Option<LogId>, RecordError> {
        match self.u8()? {
            0 => Ok(None),
            _ => record::decode_log_id(self.take(24)?).map(Some),
        }
    }
}
