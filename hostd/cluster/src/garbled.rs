//! What arrives almost right, from a peer or from the disk: it is refused or read, and nothing else.

use crate::frame::{Beat, Chunk, Frame, Pulse, Renew, Renewed, Reply, Told};
use crate::raft::{Batch, LogId, Membership, RaftEntry, SnapshotMeta, StoredMembership, Vote};
use crate::record;
use hostd_types::command::{AuditCommand, ENTRY_VERSION};
use hostd_types::*;
use lab::garble::for_a_while;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse};
use openraft::{CommittedLeaderId, EntryPayload};
use std::collections::BTreeSet;
use std::sync::Arc;

fn log_id(index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(3, 7), index)
}

fn entry() -> Entry {
    let line = AuditCommand {
        action: "vm.start".into(),
        subject: None,
        result: EventResult::Ok,
        detail: "by hand".into(),
    };
    Entry {
        version: ENTRY_VERSION,
        request: RequestId::new(),
        at: Timestamp::now(),
        by: Actor::Console,
        task: TaskId::new(),
        command: Command::Audit(line),
    }
}

fn members() -> Membership {
    Membership::new(vec![BTreeSet::from([1, 2, 3])], BTreeSet::from([1, 2, 3, 4]))
}

fn entries() -> Vec<RaftEntry> {
    let payloads = [
        EntryPayload::Blank,
        EntryPayload::Normal(Batch(Arc::new(vec![entry(), entry()]))),
        EntryPayload::Membership(members()),
    ];
    (1..).zip(payloads).map(|(index, payload)| RaftEntry { log_id: log_id(index), payload }).collect()
}

fn frames() -> Vec<Vec<u8>> {
    let vote = Vote::new_committed(3, 7);
    let meta = SnapshotMeta {
        last_log_id: Some(log_id(9)),
        last_membership: StoredMembership::new(Some(log_id(2)), members()),
        snapshot_id: "nine".into(),
    };
    let append = AppendEntriesRequest {
        vote,
        prev_log_id: Some(log_id(0)),
        entries: entries(),
        leader_commit: Some(log_id(2)),
    };
    let chunk = Chunk { vote, meta, total: 1 << 40, hash: [7; 32], offset: 5, bytes: vec![1; 300] };
    let all = [
        Frame::Append(append),
        Frame::Vote(VoteRequest { vote, last_log_id: Some(log_id(9)) }),
        Frame::Canvass(Some(log_id(9))),
        Frame::Canvass(None),
        Frame::Chunk(chunk),
        Frame::Propose(vec![entry(), entry()]),
        Frame::Beat(Beat { applied: 9, digest: "well".into(), brief: true }),
        Frame::Renew(Renew { epoch: 3 }),
    ];
    all.iter().map(|frame| frame.encode().expect("encoded")).collect()
}

fn replies() -> Vec<Vec<u8>> {
    let vote = Vote::new_committed(3, 7);
    let told = Told {
        node: hostd_types::NodeId(1),
        answered_ms: Some(5),
        matched: None,
        digest: Some(("well".into(), 2)),
        lease_ms: Some(7),
    };
    let all = [
        Reply::Append(AppendEntriesResponse::PartialSuccess(Some(log_id(4)))),
        Reply::Append(AppendEntriesResponse::HigherVote(vote)),
        Reply::Vote(VoteResponse { vote, vote_granted: true, last_log_id: Some(log_id(3)) }),
        Reply::Canvass(true),
        Reply::Chunk { next: 300, installed: None },
        Reply::Propose(vec![Err(Problem::wrong_state("no"))]),
        Reply::NotLeader(Some(7)),
        Reply::Pulse(Pulse { members: vec![told] }),
        Reply::Renewed(Renewed { granted: true, decided: 9, why: String::new() }),
        Reply::Failed("broken".into()),
    ];
    all.iter().map(|reply| reply.encode().expect("encoded")).collect()
}

#[test]
fn frames_of_members_are_refused_or_read() {
    let (frames, replies) = (frames(), replies());
    for_a_while(10, |garbler| {
        let bytes = garbler.garble_one(&frames);
        if let Ok(frame) = Frame::decode(&bytes) {
            frame.encode().expect("what was read can be written");
        }
        let bytes = garbler.garble_one(&replies);
        if let Ok(reply) = Reply::decode(&bytes) {
            reply.encode().expect("what was read can be written");
        }
    });
}

#[test]
fn records_of_the_log_are_refused_or_read() {
    let records: Vec<Vec<u8>> = entries().iter().map(|e| record::encode(e).expect("encoded")).collect();
    for_a_while(5, |garbler| {
        let bytes = garbler.garble_one(&records);
        if let Ok(entry) = record::decode(&bytes) {
            record::encode(&entry).expect("what was read can be written");
        }
    });
}
