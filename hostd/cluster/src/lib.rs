//! The replicated log and the SQLite state it produces.
//!
//! ```text
//!  propose ─> proposals ─> openraft ─> log_store (log.db, fsync) ─> state_machine ─> apply (state.db)
//!             waiting ones             decided, durable              one transaction a batch
//!             share an entry                                              │
//!                                       changes, revision <───────────────┤
//!                                       store (read-only connections) <───┘
//! ```
//!
//! The crate owns all SQL of the product and all of consensus; no type of openraft, rusqlite or sqlx leaves it. It knows
//! no HTTP, no libvirt, and makes no policy: what may be asked is decided before [`Cluster::propose`], what can be done
//! is decided by the rows in `apply`. One host is a group of one voter; there is no other way to write.

mod apply;
mod clash;
mod commit_times;
mod error;
mod local;
mod log_store;
mod open;
mod peers;
mod proposals;
mod raft;
pub mod record;
mod remembered;
mod reserve;
mod rows;
mod schema;
mod snapshot;
mod state_machine;
mod store;
mod writer;

pub use error::{ClusterError, StateError};
pub use local::Local;
pub use open::Settings;
pub use remembered::Remembered;
pub use store::Store;

use hostd_types::*;
use open::Opened;
use proposals::Proposals;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Handle; cheap to clone.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    host: HostId,
    raft: raft::Raft,
    log: log_store::LogStore,
    state: state_machine::StateMachine,
    store: Store,
    local: Local,
    proposals: Proposals,
    reserve: reserve::Reserve,
    revision: watch::Receiver<u64>,
    stop: CancellationToken,
    tasks: TaskTracker,
    lock: Mutex<Option<File>>,
}

/// Numbers for the host page.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct ClusterHealth {
    /// Index of the last entry applied to the state.
    pub last_applied: u64,
    /// Index of the last entry in the log.
    pub last_log: u64,
    /// Index of the last entry in the newest snapshot; 0 when there is none.
    pub snapshot: u64,
    /// Milliseconds within which half of the log's last thousand commits were on the disk.
    pub fsync_p50_ms: f64,
    /// Milliseconds within which 99 of 100 of them were.
    pub fsync_p99_ms: f64,
    /// Why consensus has stopped on this host, when it has; no change is accepted then.
    pub stopped: Option<String>,
}

impl Cluster {
    /// Opens (or at first start makes) log.db, state.db and local.db in `dir`; returns when this host can propose.
    ///
    /// # Errors
    /// [`ClusterError`]; databases of a newer version are left untouched.
    pub async fn open(dir: &Path) -> Result<Self, ClusterError> {
        Self::open_with(dir, Settings::default()).await
    }

    /// [`Cluster::open`] with other sizes.
    ///
    /// # Errors
    /// The same.
    pub async fn open_with(dir: &Path, settings: Settings) -> Result<Self, ClusterError> {
        let Opened { lock, host, local, log, state, state_path, raft, reserve, revision } =
            open::open(dir, &settings).await?;
        let store = Store::open(&state_path).await?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let proposals = Proposals::start(raft.clone(), stop.clone(), &tasks, settings.queue);
        tasks.spawn(snapshot_when_grown(raft.clone(), log.clone(), stop.clone()));
        tasks.spawn(refill_when_spent(reserve.clone(), stop.clone()));
        let lock = Mutex::new(Some(lock));
        Ok(Self(Arc::new(Inner {
            host,
            raft,
            log,
            state,
            store,
            local,
            proposals,
            reserve,
            revision,
            stop,
            tasks,
            lock,
        })))
    }

    /// This host's id, made at first open.
    pub fn host(&self) -> HostId {
        self.0.host
    }

    /// Replicates and applies; returns after this host applied it, so that a read sees it.
    ///
    /// The same [`Entry::request`] within 15 minutes of entry time acts once: later ones get the first outcome,
    /// or `Conflict` when they ask for something else.
    ///
    /// # Errors
    /// The refusal of `apply` (nothing changed), `no-quorum` or `unavailable` (try again), `internal` when this host
    /// can't write its state. After one of the last three the command may still act; the same request id finds out.
    pub async fn propose(&self, entry: Entry) -> Result<Outcome, Problem> {
        self.0.proposals.submit(entry).await
    }

    /// Reads of the replicated state.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Facts of this host alone.
    pub fn local(&self) -> &Local {
        &self.0.local
    }

    /// After every apply, one [`Change`] a row touched. A listener that lags must read everything again.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.0.state.changes.subscribe()
    }

    /// Index of the last applied entry.
    pub fn revision(&self) -> watch::Receiver<u64> {
        self.0.revision.clone()
    }

    /// The file system of the state is full, and writes live on the space kept for that: propose only what makes room.
    pub fn full(&self) -> bool {
        self.0.reserve.spent()
    }

    /// Numbers for the host page.
    pub async fn health(&self) -> ClusterHealth {
        let metrics = self.0.raft.metrics().borrow().clone();
        let [fsync_p50_ms, fsync_p99_ms] = self.0.log.times().quantiles([0.5, 0.99]);
        ClusterHealth {
            last_applied: *self.0.revision.borrow(),
            last_log: self.0.log.ends().1.map_or(0, |id| id.index),
            snapshot: metrics.snapshot.map_or(0, |id| id.index),
            fsync_p50_ms,
            fsync_p99_ms,
            stopped: metrics.running_state.err().map(|e| e.to_string()),
        }
    }

    /// Makes a snapshot of the state now and drops what the log needs no more; returns when it has been asked for.
    ///
    /// # Errors
    /// `internal` when consensus has stopped.
    pub async fn snapshot(&self) -> Result<(), Problem> {
        self.0.raft.trigger().snapshot().await.map_err(error::read_failed)
    }

    /// Stops consensus and closes the databases; the directory can be opened again then.
    pub async fn shutdown(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        if let Err(error) = self.0.raft.shutdown().await {
            tracing::warn!(%error, "consensus ended in a panic");
        }
        self.0.tasks.wait().await;
        self.0.store.close().await;
        self.0.state.writer.close().await;
        self.0.log.close().await;
        self.0.local.close().await;
        drop(self.0.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Keeps the reserve again as soon as there is room.
async fn refill_when_spent(reserve: reserve::Reserve, stop: CancellationToken) {
    let mut tick = tokio::time::interval(Duration::from_secs(2));
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        if reserve.spent() {
            let reserve = reserve.clone();
            // A panic was reported when it happened; the next tick tries again.
            let _ = tokio::task::spawn_blocking(move || reserve.refill()).await;
        }
    }
}

/// Snapshots the state whenever the log has grown by its limit, besides the snapshots by number of entries.
async fn snapshot_when_grown(raft: raft::Raft, log: log_store::LogStore, stop: CancellationToken) {
    while stop.run_until_cancelled(log.grown()).await.is_some() {
        if let Err(error) = raft.trigger().snapshot().await {
            tracing::error!(%error, "consensus has stopped; no snapshot");
            return;
        }
    }
}

#[cfg(test)]
mod conformance;
