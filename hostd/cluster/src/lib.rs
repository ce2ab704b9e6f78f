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
mod beat;
mod carrier;
mod clash;
mod commit_times;
mod contact;
mod elect;
mod engine;
mod error;
mod frame;
mod ground;
mod group;
mod journal;
mod lease;
mod level;
mod local;
mod log_store;
mod membership;
mod open;
mod peers;
mod private;
mod proposals;
mod raft;
pub mod record;
mod recover;
mod remembered;
mod reserve;
mod revision;
mod rows;
mod runtime;
mod schema;
mod serve;
#[cfg(feature = "simulation")]
pub mod simulation;
mod snapshot;
mod state_machine;
mod store;
mod switch;
mod writer;

pub use beat::Known;
pub use carrier::{Carrier, CarryError, Lane, NoCarrier};
pub use error::{ClusterError, StateError};
pub use group::{Group, Member};
pub use lease::{Lease, Terms, ToFence};
pub use local::Local;
pub use membership::Pace;
pub use open::Settings;
pub use remembered::Remembered;
pub use store::Store;
pub use switch::{Destination, Switch};

use beat::Pulses;
use contact::Contacts;
use engine::Engine;
use ground::Ground;
use hostd_types::*;
use lease::Leases;
use open::Opened;
use peers::Peers;
use proposals::Proposals;
use serve::Answers;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Handle; cheap to clone.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    host: HostId,
    engine: Engine,
    answers: Answers,
    pulses: Pulses,
    leases: Leases,
    store: Store,
    local: Local,
    proposals: Proposals,
    reserve: reserve::Reserve,
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
    /// Opens (or at first start makes) log.db, state.db and local.db in `dir`; returns when consensus runs, and when this
    /// host can propose if it is alone. `carrier` is the way to other members.
    ///
    /// # Errors
    /// [`ClusterError`]; databases of a newer version are left untouched.
    pub async fn open(
        dir: &Path,
        settings: Settings,
        carrier: Arc<dyn Carrier>,
    ) -> Result<Self, ClusterError> {
        Self::open_on(dir, settings, carrier, Ground::Threads).await
    }

    async fn open_on(
        dir: &Path,
        settings: Settings,
        carrier: Arc<dyn Carrier>,
        ground: Ground,
    ) -> Result<Self, ClusterError> {
        let contacts = Contacts::default();
        let peers = Peers::new(carrier, contacts.clone());
        let Opened { lock, host, local, state_path, engine, reserve } =
            open::open(dir, &settings, peers, ground.clone()).await?;
        let store = Store::open(&state_path, &ground).await?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let proposals = Proposals::start(engine.clone(), stop.clone(), &tasks, settings.queue);
        let (leases, renews) = Leases::new(&ground, settings.terms);
        let pulses = Pulses::new(contacts, leases.clone());
        let answers = Answers::new(engine.clone(), proposals.clone(), pulses.clone(), leases.clone());
        tasks.spawn(snapshot_when_grown(engine.clone(), stop.clone()));
        tasks.spawn(go_on_when_there_is_room(engine.clone(), reserve.clone(), stop.clone()));
        tasks.spawn(elect::stand(engine.clone(), stop.clone()));
        tasks.spawn(beat::beat(engine.clone(), pulses.clone(), stop.clone()));
        tasks.spawn(lease::answer(engine.clone(), leases.clone(), renews, stop.clone()));
        tasks.spawn(lease::renew(engine.clone(), leases.clone(), stop.clone()));
        tasks.spawn(membership::follow(engine.clone(), pulses.clone(), settings.pace, stop.clone()));
        let lock = Mutex::new(Some(lock));
        Ok(Self(Arc::new(Inner {
            dir: dir.to_owned(),
            host,
            engine,
            answers,
            pulses,
            leases,
            store,
            local,
            proposals,
            reserve,
            stop,
            tasks,
            lock,
        })))
    }

    /// This host's identity in the group's log.
    pub fn node(&self) -> NodeId {
        self.0.engine.node()
    }

    /// This host's id, made at first open.
    pub fn host(&self) -> HostId {
        self.0.host
    }

    /// Replicates and applies; returns after this host applied it, so that a read sees it.
    ///
    /// The same [`Entry::request`] acts once for at least 15 minutes and 10,000 entries: later ones get the first outcome,
    /// or `Conflict` when they ask for something else. One that was refused may be submitted again with a later
    /// [`Entry::at`]; the entry that was refused never acts.
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
        self.0.engine.state().changes.subscribe()
    }

    /// Index of the last applied entry.
    pub fn revision(&self) -> watch::Receiver<u64> {
        self.0.engine.state().revision.subscribe()
    }

    /// The file system of the state is full, and writes live on the space kept for that: propose only what makes room.
    pub fn full(&self) -> bool {
        self.0.reserve.spent()
    }

    /// Numbers for the host page.
    pub async fn health(&self) -> ClusterHealth {
        let (metrics, log) = (self.0.engine.metrics(), self.0.engine.log());
        let [fsync_p50_ms, fsync_p99_ms] = log.times().quantiles([0.5, 0.99]);
        ClusterHealth {
            last_applied: self.0.engine.state().revision.now(),
            last_log: log.ends().1.map_or(0, |id| id.index),
            snapshot: metrics.snapshot.map_or(0, |id| id.index),
            fsync_p50_ms,
            fsync_p99_ms,
            stopped: metrics.running_state.err().map(|e| e.to_string()),
        }
    }

    /// Answers a frame that the member `from` sent; who it is was proved by whoever carries frames.
    pub async fn serve(&self, from: NodeId, frame: &[u8]) -> Vec<u8> {
        self.0.answers.answer(from, frame).await
    }

    /// How the group stands, as this host sees it.
    pub fn group(&self) -> Group {
        group::of(&self.0.engine, &self.0.pulses)
    }

    /// Lets others stand for election first from now on: another member leads while one can.
    pub fn lead_last(&self) {
        self.0.engine.set_reluctant();
    }

    /// What this host tells the others of itself from now on, with every beat; they get it as it is.
    pub fn set_digest(&self, digest: String) {
        self.0.pulses.set_digest(digest);
    }

    /// Changes when the whole state becomes another one: everything must be read again.
    pub fn state_changed(&self) -> watch::Receiver<u64> {
        self.0.engine.state().replaced.subscribe()
    }

    /// Makes a snapshot of the state now and drops what the log needs no more; returns when it has been asked for.
    ///
    /// # Errors
    /// `internal` when consensus has stopped.
    pub async fn snapshot(&self) -> Result<(), Problem> {
        self.0.engine.raft().trigger().snapshot().await.map_err(error::read_failed)
    }

    /// Stops consensus and closes the databases; the directory can be opened again then.
    pub async fn shutdown(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.engine.stop().await;
        self.0.tasks.wait().await;
        self.0.store.close().await;
        self.0.engine.state().writer.close().await;
        self.0.engine.log().close().await;
        self.0.local.close().await;
        drop(self.0.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Keeps the reserve again as soon as there is room, and starts consensus again if it stopped for want of it.
async fn go_on_when_there_is_room(engine: Engine, reserve: reserve::Reserve, stop: CancellationToken) {
    let mut tick = tokio::time::interval(Duration::from_secs(2));
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        if reserve.spent() {
            let reserve = reserve.clone();
            // A panic was reported when it happened; the next tick tries again.
            let refill = move || {
                reserve.refill();
                Ok(())
            };
            let _ = engine.state().ground.block(refill).await;
        }
        if reserve.fed_again() && engine.metrics().running_state.is_err() {
            match engine.revive().await {
                Ok(()) => {
                    reserve.forget_hunger();
                    tracing::warn!("there is room again on the disk of the state; consensus goes on");
                }
                Err(error) => {
                    tracing::error!(%error, "consensus can't go on yet, although there is room again")
                }
            }
        }
    }
}

/// Snapshots the state whenever the log has grown by its limit, besides the snapshots by number of entries.
async fn snapshot_when_grown(engine: Engine, stop: CancellationToken) {
    while stop.run_until_cancelled(engine.log().grown()).await.is_some() {
        if let Err(error) = engine.raft().trigger().snapshot().await {
            tracing::error!(%error, "consensus has stopped; no snapshot");
        }
    }
}

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod garbled;
