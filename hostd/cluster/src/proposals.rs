//! Commands on their way into the log: those that wait become one entry, so that they share one fsync.

use crate::carrier::Lane;
use crate::engine::{self, Engine};
use crate::frame::{Frame, Reply};
use crate::level;
use crate::raft::{Batch, Raft, Results, TypeConfig};
use crate::record;
use hostd_types::command::ENTRY_VERSION;
use hostd_types::{Entry, NodeId, Outcome, Problem, ProblemKind};
use openraft::error::{ClientWriteError, Fatal, RaftError};
use openraft::raft::ClientWriteResult;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
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
/// How long a command waits for a leader and a majority since there last was one: longer than an election takes.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long it waits at least, when there has been none for longer than that: whoever asks can be told at once.
const LOST: Duration = Duration::from_millis(300);
/// How often a leader is looked for meanwhile, at least.
const AGAIN: Duration = Duration::from_millis(100);
/// How long an answer waits for this host to have applied what the leader did.
const CATCH_UP: Duration = Duration::from_secs(5);
/// Seconds after which a refused client may try again.
const RETRY_S: u32 = 1;

type Answer = oneshot::Sender<Result<Outcome, Problem>>;

struct Proposal {
    entry: Entry,
    /// The group it is meant for, by this host's identity in it: the host may move into another one before it is written.
    group: NodeId,
    bytes: usize,
    answer: Answer,
}

/// The door to the log; cheap to clone.
#[derive(Clone)]
pub(crate) struct Proposals {
    engine: Engine,
    queue: mpsc::Sender<Proposal>,
}

impl Proposals {
    /// Starts gathering for `engine` until `stop`.
    pub(crate) fn start(engine: Engine, stop: CancellationToken, tasks: &TaskTracker, queue: usize) -> Self {
        let (queue, waiting) = mpsc::channel(queue);
        tasks.spawn(gather(engine.clone(), waiting, stop, tasks.clone()));
        Self { engine, queue }
    }

    /// Replicates and applies one command.
    pub(crate) async fn submit(&self, mut entry: Entry) -> Result<Outcome, Problem> {
        if entry.version > ENTRY_VERSION {
            let detail = format!("This host can't apply commands of version {}; update it.", entry.version);
            return Err(Problem::new(ProblemKind::Unsupported, detail));
        }
        let group = self.engine.node();
        level::check(&self.engine, &mut entry.command).await?;
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
        self.queue.try_send(Proposal { entry, group, bytes, answer }).map_err(|refused| match refused {
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

fn moved() -> Problem {
    let detail = "The host has moved into another cluster meanwhile; see there whether the change was made.";
    Problem::new(ProblemKind::Unavailable, detail).retry_after(RETRY_S)
}

async fn gather(
    engine: Engine,
    mut waiting: mpsc::Receiver<Proposal>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let slots = Arc::new(Semaphore::new(IN_FLIGHT));
    loop {
        let first = tokio::select! {
            biased;
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
        let group = engine.node();
        let (here, elsewhere): (Vec<_>, Vec<_>) = batch.into_iter().partition(|p| p.group == group);
        fail(elsewhere.into_iter().map(|p| p.answer).collect(), &moved());
        let (entries, answers): (Vec<Entry>, Vec<Answer>) =
            here.into_iter().map(|p| (p.entry, p.answer)).unzip();
        if entries.is_empty() {
            continue;
        }
        // Written here, in order, before the next entry is gathered; awaited beside it.
        let written = begin(&engine, group, &entries).await;
        let (engine, stop) = (engine.clone(), stop.clone());
        tasks.spawn(async move {
            let settled = stop.run_until_cancelled(settle(&engine, group, entries, written)).await;
            match settled.unwrap_or_else(|| Err(stopped())) {
                Ok(results) => respond(answers, results),
                Err(problem) => fail(answers, &problem),
            }
            drop(slot);
        });
    }
}

/// An entry on its way through consensus on this host.
type Written = oneshot::Receiver<ClientWriteResult<TypeConfig>>;

/// Gives `entries` to consensus of `group` when this host leads there.
async fn begin(engine: &Engine, group: NodeId, entries: &[Entry]) -> Result<Option<Written>, Problem> {
    // Consensus first: a host that moves has its new identity before its new consensus.
    let (raft, metrics) = (engine.raft(), engine.metrics());
    if engine.node() != group {
        return Err(moved());
    }
    match &metrics.running_state {
        // Stopped on purpose: it starts again in another group.
        Ok(()) | Err(Fatal::Stopped) => {}
        Err(_) => return Err(halted(engine)),
    }
    if !engine.leads() {
        return Ok(None);
    }
    let batch = Batch(Arc::new(entries.to_vec()));
    match raft.client_write_ff(batch).await {
        Ok(written) => Ok(Some(written)),
        Err(Fatal::Stopped) => Ok(None),
        Err(fatal) => {
            tracing::error!(error = %fatal, "consensus has stopped on this host; no change is accepted");
            Err(halted(engine))
        }
    }
}

/// Sees `entries` through: here when this host leads, by the leader otherwise, again when the leader changes. A command
/// that acted already answers what it did, so trying again is safe.
async fn settle(
    engine: &Engine,
    group: NodeId,
    entries: Vec<Entry>,
    written: Result<Option<Written>, Problem>,
) -> Result<Results, Problem> {
    // What was waited in vain already is not waited again.
    let left = PATIENCE.saturating_sub(engine.peers().contacts.lost_for());
    let deadline = Instant::now() + left.max(LOST);
    let mut written = written?;
    loop {
        if let Some(written) = written.take() {
            let waited = async {
                // A lone voter waits for its own disk alone, however long that takes.
                if engine::alone(&engine.metrics()) {
                    return written.await.ok();
                }
                tokio::time::timeout_at(deadline, written).await.ok()?.ok()
            };
            match waited.await {
                Some(Ok(response)) => return Ok(response.data),
                Some(Err(ClientWriteError::ForwardToLeader(_))) => {}
                Some(Err(ClientWriteError::ChangeMembershipError(error))) => {
                    tracing::error!(%error, "consensus refused a command as if it changed the membership");
                    return Err(halted(engine));
                }
                None => {}
            }
        }
        if let Some(results) = forward(engine, group, &entries, deadline).await {
            return Ok(results);
        }
        if Instant::now() >= deadline {
            return Err(no_leader());
        }
        // Without news it is looked again all the same.
        let _ = tokio::time::timeout(AGAIN, engine.turn()).await;
        written = begin(engine, group, &entries).await?;
    }
}

/// Lets the leader, another host, do it; answers once this host has applied it, too.
async fn forward(engine: &Engine, group: NodeId, entries: &[Entry], deadline: Instant) -> Option<Results> {
    let leader = engine.metrics().current_leader.filter(|leader| *leader != group.0)?;
    if engine.node() != group {
        return None;
    }
    let frame = Frame::Propose(entries.to_vec()).encode().ok()?;
    let within = deadline.saturating_duration_since(Instant::now());
    match engine.peers().ask(leader, Lane::Work, frame, within).await {
        Ok(Reply::Propose(results)) => {
            // What was decided was decided by a majority that follows it.
            engine.peers().contacts.answered(NodeId(leader));
            engine.peers().contacts.hold();
            let index = results.iter().flatten().map(|outcome| outcome.index).max().unwrap_or(0);
            // Whoever reads next must see it; a host that is far behind answers all the same.
            let _ = tokio::time::timeout(CATCH_UP, engine.state().revision.reaches(index)).await;
            Some(results)
        }
        Ok(_) => None,
        Err(error) => {
            tracing::debug!(leader = %NodeId(leader), %error, "the leader did not take a command");
            None
        }
    }
}

fn respond(answers: Vec<Answer>, results: Results) {
    for (answer, result) in answers.into_iter().zip(results) {
        // The asker may have gone away; the command acted all the same.
        let _ = answer.send(result);
    }
}

fn fail(answers: Vec<Answer>, problem: &Problem) {
    for answer in answers {
        // The asker may have gone away.
        let _ = answer.send(Err(problem.clone()));
    }
}

fn halted(engine: &Engine) -> Problem {
    if engine.state().reserve.spent() {
        let detail = "The disk of the host's state is full, so it accepts no change. Machines keep running. Make room on \
                      it; another host of the cluster can make changes meanwhile.";
        return Problem::new(ProblemKind::Capacity, detail);
    }
    Problem::new(
        ProblemKind::Internal,
        "The host can't write its state, so it accepts no change. Machines keep running. The host's log says why.",
    )
}

pub(crate) fn no_leader() -> Problem {
    Problem::new(
        ProblemKind::NoQuorum,
        "The majority of the cluster can't be reached, so nothing can be changed. Machines keep running.",
    )
    .retry_after(RETRY_S)
}

/// Writes an empty entry and waits until it and all before it are applied.
pub(crate) async fn barrier(raft: &Raft) -> Result<(), String> {
    let written: Result<_, RaftError<u64, _>> = raft.client_write(Batch(Arc::default())).await;
    written.map(|_| ()).map_err(|e: RaftError<u64, ClientWriteError<u64, openraft::EmptyNode>>| e.to_string())
}
