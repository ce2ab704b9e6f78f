//! Answers to other members' frames.

use crate::beat::Pulses;
use crate::elect;
use crate::engine::Engine;
use crate::frame::{Chunk, Frame, Reply};
use crate::lease::Leases;
use crate::private;
use crate::proposals::Proposals;
use crate::raft::SnapshotFile;
use hostd_types::{NodeId, Problem};
use openraft::Snapshot;
use openraft::raft::AppendEntriesResponse;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Mutex;

/// The answering side of a member; cheap to clone.
#[derive(Clone)]
pub(crate) struct Answers {
    engine: Engine,
    proposals: Proposals,
    pulses: Pulses,
    leases: Leases,
    receiving: Arc<Mutex<Option<Receiving>>>,
}

/// A snapshot on its way in. The pieces of one that broke off are kept until another one begins.
struct Receiving {
    hash: [u8; 32],
    file: SnapshotFile,
    got: u64,
    hasher: blake3::Hasher,
}

impl Answers {
    pub(crate) fn new(engine: Engine, proposals: Proposals, pulses: Pulses, leases: Leases) -> Self {
        Self { engine, proposals, pulses, leases, receiving: Arc::default() }
    }

    /// The answer to the bytes of a frame.
    pub(crate) async fn answer(&self, from: NodeId, bytes: &[u8]) -> Vec<u8> {
        let reply = match Frame::decode(bytes) {
            Ok(frame) => self.reply(from, frame).await.unwrap_or_else(Reply::Failed),
            Err(error) => {
                tracing::warn!(%from, %error, bytes = bytes.len(), "a member sent a frame that can't be read");
                Reply::Failed(error.to_string())
            }
        };
        reply.encode().unwrap_or_default()
    }

    async fn reply(&self, from: NodeId, frame: Frame) -> Result<Reply, String> {
        let raft = self.engine.raft();
        match frame {
            Frame::Append(rpc) => {
                let response = raft.append_entries(rpc).await.map_err(|e| e.to_string())?;
                if !matches!(response, AppendEntriesResponse::HigherVote(_)) {
                    self.engine.peers().contacts.led();
                }
                Ok(Reply::Append(response))
            }
            Frame::Canvass(last) => Ok(Reply::Canvass(elect::would_vote(&self.engine, last))),
            Frame::Vote(rpc) => raft.vote(rpc).await.map(Reply::Vote).map_err(|e| e.to_string()),
            Frame::Chunk(chunk) => self.receive(chunk).await,
            Frame::Propose(entries) => {
                if !self.engine.leads() {
                    return Ok(Reply::NotLeader(self.engine.metrics().current_leader));
                }
                // Until it has seen what it asked for, it gets every entry at once.
                let _hurry = self.engine.peers().contacts.hurry(from);
                let asked = entries.into_iter().map(|entry| self.proposals.submit(entry));
                let results: Vec<Result<_, Problem>> = futures_util::future::join_all(asked).await;
                Ok(Reply::Propose(results))
            }
            Frame::Beat(beat) => {
                if !self.engine.leads() {
                    return Ok(Reply::NotLeader(self.engine.metrics().current_leader));
                }
                let brief = beat.brief;
                self.pulses.heard(from, beat);
                Ok(Reply::Pulse(self.pulses.tell(brief)))
            }
            Frame::Renew(renew) => Ok(Reply::Renewed(self.leases.ask(from, renew).await)),
        }
    }

    async fn receive(&self, chunk: Chunk) -> Result<Reply, String> {
        let mut slot = self.receiving.lock().await;
        if slot.as_ref().is_none_or(|r| r.hash != chunk.hash) {
            if let Some(stale) = slot.take() {
                // What broke off is of no use; a file that stays is removed at the next start.
                let _ = std::fs::remove_file(&stale.file.0);
            }
            let file = self.engine.state().snapshots.part();
            let hasher = blake3::Hasher::new();
            *slot = Some(Receiving { hash: chunk.hash, file, got: 0, hasher });
        }
        let Some(receiving) = slot.as_mut() else { return Err("the snapshot is gone".into()) };
        if chunk.offset == receiving.got && !chunk.bytes.is_empty() {
            append(&receiving.file.0, receiving.got, &chunk.bytes).map_err(|e| e.to_string())?;
            receiving.hasher.update(&chunk.bytes);
            receiving.got += chunk.bytes.len() as u64;
        }
        if receiving.got < chunk.total {
            return Ok(Reply::Chunk { next: receiving.got, installed: None });
        }
        let Some(whole) = slot.take() else { return Err("the snapshot is gone".into()) };
        let installed = self.install(chunk, &whole).await;
        // Its content is in the state now, or of no use.
        let _ = std::fs::remove_file(&whole.file.0);
        installed
    }

    async fn install(&self, chunk: Chunk, whole: &Receiving) -> Result<Reply, String> {
        if *whole.hasher.finalize().as_bytes() != chunk.hash {
            return Err("the snapshot arrived damaged".into());
        }
        let snapshot = Snapshot { meta: chunk.meta, snapshot: Box::new(whole.file.clone()) };
        let response = self.engine.raft().install_full_snapshot(chunk.vote, snapshot).await;
        let response = response.map_err(|e| e.to_string())?;
        Ok(Reply::Chunk { next: chunk.total, installed: Some(response) })
    }
}

fn append(path: &Path, at: u64, bytes: &[u8]) -> std::io::Result<()> {
    if at == 0 {
        private::file(path)?;
    }
    let mut file = if at == 0 { File::create(path)? } else { OpenOptions::new().write(true).open(path)? };
    file.seek(SeekFrom::Start(at))?;
    file.write_all(bytes)
}
