//! Consensus as it runs now. A host that joins or leaves stops one group and starts in another without a restart: the
//! handle stays, what is behind it changes.

use crate::error::ClusterError;
use crate::log_store::LogStore;
use crate::open::Settings;
use crate::peers::Peers;
use crate::proposals;
use crate::raft::Raft;
use crate::state_machine::StateMachine;
use hostd_types::NodeId;
use openraft::{Config, ServerState, SnapshotPolicy};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard, Notify};

/// Longest time between two signs of life of a leader. Longer than a slow fsync: it limits each of them, too.
pub(crate) const HEARTBEAT: Duration = Duration::from_millis(500);
/// Shortest and longest silence of a leader after which others stand for election.
pub(crate) const ELECTION: [Duration; 2] = [Duration::from_millis(1000), Duration::from_millis(2000)];
/// How long a lone voter may take to lead; it is a matter of one fsync.
const LEAD_DEADLINE: Duration = Duration::from_secs(30);
/// How long a member may take to install a snapshot.
const INSTALL: Duration = Duration::from_secs(600);

/// Numbers consensus tells.
pub(crate) type Metrics = openraft::RaftMetrics<u64, openraft::EmptyNode>;

/// Handle; cheap to clone.
#[derive(Clone)]
pub(crate) struct Engine(Arc<Inner>);

struct Inner {
    raft: RwLock<Raft>,
    /// Who leads may have changed. Wakes in the order of waiting, which a watch does not.
    turns: Arc<Notify>,
    /// It lets another member lead.
    yields: AtomicBool,
    /// Others stand for election first.
    reluctant: AtomicBool,
    log: LogStore,
    state: StateMachine,
    peers: Peers,
    settings: Settings,
    /// Held while consensus is stopped to be started again.
    turning: Mutex<()>,
}

impl Engine {
    /// Starts consensus. A lone voter leads when this returns, and has applied its whole log.
    pub(crate) async fn start(
        log: LogStore,
        state: StateMachine,
        peers: Peers,
        settings: Settings,
    ) -> Result<Self, ClusterError> {
        let raft = start(&log, &state, &peers, &settings).await?;
        let turns = Arc::default();
        announce(&raft, &turns);
        let (raft, yields, reluctant) = (RwLock::new(raft), AtomicBool::default(), AtomicBool::default());
        Ok(Self(Arc::new(Inner {
            raft,
            turns,
            yields,
            reluctant,
            log,
            state,
            peers,
            settings,
            turning: Mutex::default(),
        })))
    }

    /// Consensus as it runs now.
    pub(crate) fn raft(&self) -> Raft {
        self.0.raft.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// This host in it.
    pub(crate) fn node(&self) -> NodeId {
        NodeId(self.0.log.node())
    }

    /// Its numbers at this moment.
    pub(crate) fn metrics(&self) -> Metrics {
        self.raft().metrics().borrow().clone()
    }

    /// Waits until somebody else may lead.
    pub(crate) async fn turn(&self) {
        self.0.turns.notified().await;
    }

    /// The other members.
    pub(crate) fn peers(&self) -> &Peers {
        &self.0.peers
    }

    pub(crate) fn log(&self) -> &LogStore {
        &self.0.log
    }

    pub(crate) fn state(&self) -> &StateMachine {
        &self.0.state
    }

    /// This host leads, and a majority answered it within the shortest silence that would make others stand.
    pub(crate) fn leads(&self) -> bool {
        // One that yields takes nothing new: others stand only when they hear nothing of it.
        leads(&self.metrics()) && !self.yields()
    }

    /// It lets another member lead, and does not stand meanwhile.
    pub(crate) fn yields(&self) -> bool {
        self.0.yields.load(Ordering::Relaxed)
    }

    /// See [`Engine::yields`].
    pub(crate) fn set_yields(&self, yields: bool) {
        self.0.yields.store(yields, Ordering::Relaxed);
    }

    /// It stands for election only when others had time to.
    pub(crate) fn reluctant(&self) -> bool {
        self.0.reluctant.load(Ordering::Relaxed)
    }

    /// See [`Engine::reluctant`].
    pub(crate) fn set_reluctant(&self) {
        self.0.reluctant.store(true, Ordering::Relaxed);
    }

    /// Waits until nobody else has consensus stopped; hold it from a stop to the start that follows.
    pub(crate) async fn turning(&self) -> MutexGuard<'_, ()> {
        self.0.turning.lock().await
    }

    /// Starts consensus again that stopped because nothing could be written, on what is on the disk.
    pub(crate) async fn revive(&self) -> Result<(), ClusterError> {
        let _turning = self.turning().await;
        self.stop().await;
        let reloaded = self.log().reload().await;
        reloaded.map_err(|source| ClusterError::Database { file: "log.db".into(), source })?;
        self.restart().await
    }

    /// Ends consensus; it stays ended until [`Engine::restart`].
    pub(crate) async fn stop(&self) {
        if let Err(error) = self.raft().shutdown().await {
            tracing::warn!(%error, "consensus ended in a panic");
        }
    }

    /// Starts consensus again on what log and state hold now.
    pub(crate) async fn restart(&self) -> Result<(), ClusterError> {
        let Inner { log, state, peers, settings, .. } = &*self.0;
        let raft = start(log, state, peers, settings).await?;
        announce(&raft, &self.0.turns);
        *self.0.raft.write().unwrap_or_else(PoisonError::into_inner) = raft;
        Ok(())
    }
}

/// Wakes whoever waits for another leader, as long as this consensus runs.
fn announce(raft: &Raft, turns: &Arc<Notify>) {
    let (mut metrics, turns) = (raft.server_metrics(), turns.clone());
    tokio::spawn(async move {
        while metrics.changed().await.is_ok() {
            turns.notify_waiters();
        }
    });
}

/// Waits until the numbers of consensus are as `wanted`; false when they are not in time or consensus has ended.
pub(crate) async fn comes_to(raft: &Raft, within: Duration, wanted: impl FnMut(&Metrics) -> bool) -> bool {
    let mut metrics = raft.metrics();
    tokio::time::timeout(within, metrics.wait_for(wanted)).await.is_ok_and(|met| met.is_ok())
}

/// See [`Engine::leads`].
pub(crate) fn leads(metrics: &Metrics) -> bool {
    let silence = metrics.millis_since_quorum_ack.unwrap_or(u64::MAX);
    let heard = alone(metrics) || u128::from(silence) <= ELECTION[1].as_millis();
    metrics.state == ServerState::Leader && heard
}

/// This host is the only voter: nobody can object to what it decides.
pub(crate) fn alone(metrics: &Metrics) -> bool {
    metrics.membership_config.voter_ids().eq([metrics.id])
}

async fn start(
    log: &LogStore,
    state: &StateMachine,
    peers: &Peers,
    settings: &Settings,
) -> Result<Raft, ClusterError> {
    let failed = |e: &dyn std::fmt::Display| ClusterError::Raft(e.to_string());
    let millis = |of: Duration| u64::try_from(of.as_millis()).unwrap_or(u64::MAX);
    let config = Config {
        cluster_name: "quantix".into(),
        heartbeat_interval: millis(HEARTBEAT),
        election_timeout_min: millis(ELECTION[0]),
        election_timeout_max: millis(ELECTION[1]),
        // Members stand after asking whether they would be voted for, see `elect`.
        enable_elect: false,
        install_snapshot_timeout: millis(INSTALL),
        snapshot_policy: SnapshotPolicy::LogsSinceLast(settings.snapshot_entries),
        max_in_snapshot_log_to_keep: settings.keep_entries,
        // A follower further behind than what is kept gets the snapshot.
        replication_lag_threshold: settings.keep_entries.saturating_mul(2),
        ..Config::default()
    };
    let config = config.validate().map_err(|e| failed(&e))?;
    let node = log.node();
    let raft = Raft::new(node, Arc::new(config), peers.clone(), log.clone(), state.clone()).await;
    let raft = raft.map_err(|e| failed(&e))?;
    if !raft.is_initialized().await.map_err(|e| failed(&e))? {
        if log.joins() {
            // Others will make it a member; founding a group of its own would split it from them.
            return Ok(raft);
        }
        raft.initialize(BTreeSet::from([node])).await.map_err(|e| failed(&e))?;
    }
    let lone = {
        let metrics = raft.metrics().borrow().clone();
        // One that joins may know who leads, by its vote, before it knows of any member.
        let none = metrics.membership_config.voter_ids().next().is_none();
        alone(&metrics) || (none && !log.joins())
    };
    if lone {
        // Nobody else can object, so there is no election timeout to wait for. A leader that comes back leads already.
        raft.trigger().elect().await.map_err(|e| failed(&e))?;
        let leads = |m: &Metrics| m.state == ServerState::Leader;
        if !comes_to(&raft, LEAD_DEADLINE, leads).await {
            return Err(failed(&"a lone voter does not come to lead"));
        }
        let metrics = raft.metrics().borrow().clone();
        if metrics.last_applied.map(|id| id.index) != metrics.last_log_index {
            proposals::barrier(&raft).await.map_err(ClusterError::Raft)?;
        }
    }
    Ok(raft)
}
