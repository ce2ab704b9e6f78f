//! Commands on their way into the log: those that wait become one entry, so that they share one fsync.

use crate::raft::{Batch, Raft, Results, TypeConfig};
use crate::record;
use hostd_types::command::ENTRY_VERSION;
use hostd_types::{Entry, Outcome, Problem, ProblemKind};
use openraft::error::{ClientWriteError, RaftError};
use openraft::raft::ClientWriteResult;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Commands that may wait; more are refused.
pub(crate) const QUEUE: usize = 4096;
/// Most commands of one entry.
const BATCH_COMMANDS: usize = 512;
/// Most bytes of commands of one entry.
const BATCH_BYTES: usize = 256 << 10;
/// Most bytes of one command.
const COMMAND_BYTES: usize = 1 << 20;
/// Entries under way at once: one being written, one being gathered.
const IN_FLIGHT: usize = 2;
/// Seconds after which a refused client may try again.
const RETRY_S: u32 = 1;

type Answer = oneshot::Sender<Result<Outcome, Problem>>;

struct Proposal {
    entry: Entry,
    bytes: usize,
    answer: Answer,
}

/// The door to the log; cheap to clone.
#[derive(Clone)]
pub(crate) struct Proposals(mpsc::Sender<Proposal>);

impl Proposals {
    /// Starts gathering for `raft` until `stop`.
    pub(crate) fn start(raft: Raft, stop: CancellationToken, tasks: &TaskTracker, queue: usize) -> Self {
        let (proposals, waiting) = mpsc::channel(queue);
        tasks.spawn(gather(raft, waiting, stop, tasks.clone()));
        Self(proposals)
    }

    /// Replicates and applies one command.
    pub(crate) async fn submit(&self, entry: Entry) -> Result<Outcome, Problem> {
        if entry.version > ENTRY_VERSION {
            let detail = format!("This host can't apply commands of version {}; update it.", entry.version);
            return Err(Problem::new(ProblemKind::Unsupported, detail));
        }
        let bytes = record::encode_entry(&entry).map_err(|error| {
            tracing::error!(%error, "a command can't be encoded");
            Problem::new(ProblemKind::Internal, "The command can't be written to the log.")
        })?;
        let bytes = bytes.len();
        if bytes > COMMAND_BYTES {
            let detail = format!("The request is {bytes} bytes large; at most {COMMAND_BYTES} fit.");
            return Err(Problem::new(ProblemKind::BadRequest, detail));
        }
        let (answer, answered) = oneshot::channel();
        self.0.try_send(Proposal { entry, bytes, answer }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => busy(),
            mpsc::error::TrySendError::Closed(_) => stopped(),
        })?;
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }
}

fn busy() -> Problem {
    Problem::new(ProblemKind::Unavailable, "The host has too many changes waiting; try again.")
        .retry_after(RETRY_S)
}

fn stopped() -> Problem {
    Problem::new(ProblemKind::Unavailable, "The host's state is shut down; try again after it has started.")
        .retry_after(RETRY_S)
}

async fn gather(
    raft: Raft,
    mut waiting: mpsc::Receiver<Proposal>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let slots = Arc::new(Semaphore::new(IN_FLIGHT));
    loop {
        let first = tokio::select! {
            () = stop.cancelled() => break,
            first = waiting.recv() => match first {
                Some(first) => first,
                None => break,
            },
        };
        // What comes while earlier entries are written joins this one.
        let Ok(slot) = slots.clone().acquire_owned().await else { break };
        let mut bytes = first.bytes;
        let mut batch = vec![first];
        while batch.len() < BATCH_COMMANDS
            && bytes < BATCH_BYTES
            && let Ok(next) = waiting.try_recv()
        {
            bytes += next.bytes;
            batch.push(next);
        }
        let (entries, answers): (Vec<Entry>, Vec<Answer>) =
            batch.into_iter().map(|p| (p.entry, p.answer)).unzip();
        match raft.client_write_ff(Batch(Arc::new(entries))).await {
            Ok(written) => {
                tasks.spawn(async move {
                    respond(answers, written.await.ok());
                    drop(slot);
                });
            }
            Err(fatal) => {
                tracing::error!(error = %fatal, "consensus has stopped on this host; no change is accepted until hostd restarts");
                fail(answers, &halted());
            }
        }
    }
}

fn respond(answers: Vec<Answer>, written: Option<ClientWriteResult<TypeConfig>>) {
    match written {
        Some(Ok(response)) => {
            let results: Results = response.data;
            for (answer, result) in answers.into_iter().zip(results) {
                // The asker may have gone away; the command acted all the same.
                let _ = answer.send(result);
            }
        }
        Some(Err(ClientWriteError::ForwardToLeader(_))) => fail(answers, &no_leader()),
        Some(Err(ClientWriteError::ChangeMembershipError(error))) => {
            tracing::error!(%error, "consensus refused a command as if it changed the membership");
            fail(answers, &halted());
        }
        None => fail(answers, &halted()),
    }
}

fn fail(answers: Vec<Answer>, problem: &Problem) {
    for answer in answers {
        // The asker may have gone away.
        let _ = answer.send(Err(problem.clone()));
    }
}

fn halted() -> Problem {
    Problem::new(
        ProblemKind::Internal,
        "The host can't write its state, so it accepts no change. Machines keep running. The host's log says why.",
    )
}

fn no_leader() -> Problem {
    Problem::new(ProblemKind::NoQuorum, "The cluster has no leader at the moment; try again.")
        .retry_after(RETRY_S)
}

/// Writes an empty entry and waits until it and all before it are applied.
pub(crate) async fn barrier(raft: &Raft) -> Result<(), String> {
    let written: Result<_, RaftError<u64, _>> = raft.client_write(Batch(Arc::default())).await;
    written.map(|_| ()).map_err(|e: RaftError<u64, ClientWriteError<u64, openraft::EmptyNode>>| e.to_string())
}
