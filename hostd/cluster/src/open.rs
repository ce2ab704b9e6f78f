//! Opening a state directory: check everything, touch nothing unknown, then start consensus and lead at once when alone.

use crate::engine::Engine;
use crate::error::{ClusterError, StateError};
use crate::ground::Ground;
use crate::lease::Terms;
use crate::local::{LOCAL_FORMAT, Local};
use crate::log_store::LogStore;
use crate::membership::Pace;
use crate::peers::Peers;
use crate::reserve::Reserve;
use crate::revision::Revision;
use crate::snapshot::{self, Position, Snapshots};
use crate::state_machine::{Own, StateMachine};
use crate::writer::Writer;
use crate::{log_store, private, proposals, recover, schema, switch};
use hostd_types::HostId;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use tokio::sync::{broadcast, watch};

/// Changes a slow listener may be behind before it must read everything again.
const CHANGES_KEPT: usize = 1024;

/// Sizes that tests make small.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Log entries after which the state is snapshot.
    pub snapshot_entries: u64,
    /// Bytes of log after which the state is snapshot, whatever the number of entries.
    pub snapshot_bytes: u64,
    /// Log entries kept behind a snapshot, for members that are a little behind.
    pub keep_entries: u64,
    /// Commands that may wait to be written; more are refused as unavailable.
    pub queue: usize,
    /// Bytes kept on the file system for when it is full.
    pub reserve_bytes: u64,
    /// When members become voters and cease to be.
    pub pace: Pace,
    /// How long leases last.
    pub terms: Terms,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            snapshot_entries: 50_000,
            snapshot_bytes: 64 << 20,
            keep_entries: 10_000,
            queue: proposals::QUEUE,
            // Many times the largest transaction, and little beside what a live system keeps in memory.
            reserve_bytes: 8 << 20,
            pace: Pace::default(),
            terms: Terms::default(),
        }
    }
}

/// Everything that is open.
pub(crate) struct Opened {
    pub(crate) lock: File,
    pub(crate) host: HostId,
    pub(crate) local: Local,
    pub(crate) state_path: PathBuf,
    pub(crate) engine: Engine,
    pub(crate) reserve: Reserve,
}

/// Opens `dir`; returns when this host can propose.
pub(crate) async fn open(
    dir: &Path,
    settings: &Settings,
    peers: Peers,
    ground: Ground,
) -> Result<Opened, ClusterError> {
    let lock = lock(dir)?;
    let [log_path, state_path, local_path] = ["log.db", "state.db", "local.db"].map(|name| dir.join(name));
    schema::check_state(&state_path)?;
    log_store::check(&log_path)?;
    schema::check_version(&local_path, LOCAL_FORMAT, |db| {
        db.query_row("PRAGMA user_version", [], |r| r.get(0))
    })?;

    let wrong = |file: &Path, source| ClusterError::Database { file: file.into(), source };
    let reserve = Reserve::open(dir, settings.reserve_bytes);
    let local = reserve.retry(|| Local::open(&local_path, &ground));
    let (local, host) = local.map_err(|e| wrong(&local_path, e))?;
    let log = reserve.retry(|| LogStore::open(&log_path, settings.snapshot_bytes, reserve.clone(), &ground));
    let log = log.map_err(|e| wrong(&log_path, e))?;
    let db = reserve.retry(|| schema::open_state(&state_path));
    let mut db = db.map_err(|e| wrong(&state_path, e))?;
    let snapshots = Snapshots::open(&dir.join("snapshot"), &state_path).map_err(|e| wrong(&state_path, e))?;
    switch::resume(dir, &log, &mut db, &snapshots).await.map_err(|e| wrong(&state_path, e))?;
    recover::resume(dir, &log, &mut db, &snapshots).await.map_err(|e| wrong(&state_path, e))?;
    reconcile(dir, &log, &mut db, &snapshots)?;

    let (changes, _) = broadcast::channel(CHANGES_KEPT);
    let position = snapshot::position(&db).map_err(|e| wrong(&state_path, e))?;
    let revision = Revision::new(position.applied.map_or(0, |id| id.index));
    let writer = Writer::spawn("state-writer", db, &ground).map_err(|e| wrong(&state_path, e.into()))?;
    let own = Own { host, dir: dir.to_owned() };
    let state = StateMachine {
        ground,
        writer,
        snapshots,
        reserve: reserve.clone(),
        own,
        changes,
        replaced: watch::Sender::new(0),
        revision,
    };
    let engine = Engine::start(log, state, peers, settings.clone()).await?;
    Ok(Opened { lock, host, local, state_path, engine, reserve })
}

/// Makes `dir` and takes it for this process.
fn lock(dir: &Path) -> Result<File, ClusterError> {
    let failed = |doing, path: &Path| {
        let path = path.to_path_buf();
        move |source| ClusterError::File { doing, path, source }
    };
    private::directory(dir).map_err(failed("make", dir))?;
    let archive = dir.join(switch::ARCHIVE);
    if archive.is_dir() {
        private::directory(&archive).map_err(failed("close", &archive))?;
    }
    let path = dir.join("lock");
    private::file(&path).map_err(failed("make", &path))?;
    let file = File::options().create(true).append(true).open(&path).map_err(failed("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ClusterError::InUse { dir: dir.into() }),
        Err(TryLockError::Error(source)) => Err(failed("lock", &path)(source)),
    }
}

/// Makes sure that state and log meet: a state older than the log's beginning comes back from the snapshot.
fn reconcile(
    dir: &Path,
    log: &LogStore,
    db: &mut rusqlite::Connection,
    snapshots: &Snapshots,
) -> Result<(), ClusterError> {
    let failed = |source: StateError| ClusterError::Database { file: dir.join("state.db"), source };
    let inconsistent = |why: String| ClusterError::Inconsistent { dir: dir.into(), why };
    let mut position = snapshot::position(db).map_err(failed)?;
    let (purged, _) = log.ends();
    if position.applied < purged {
        let current = snapshots.current().map_err(failed)?;
        let current = current.filter(|s| s.meta.last_log_id >= purged).ok_or_else(|| {
            let (state, log) = (number(position.applied), number(purged));
            inconsistent(format!(
                "state.db ends at entry {state}, log.db begins after entry {log}, and no snapshot covers the gap. \
                 Restore the whole directory from a backup, or move it away to start empty"
            ))
        })?;
        tracing::warn!(snapshot = %current.meta.snapshot_id, "state.db is older than the log; restoring the snapshot");
        snapshots.install(db, &current.snapshot).map_err(failed)?;
        position = snapshot::position(db).map_err(failed)?;
    }
    match forgot(log, &position, snapshots).map_err(failed)? {
        Some(why) => Err(inconsistent(why)),
        None => Ok(()),
    }
}

/// How a log that once held what was applied shows that its end is gone. A voter that forgot what it promised could
/// decide otherwise with others; one that votes alone, or not yet, has its state and goes on.
fn forgot(log: &LogStore, position: &Position, snapshots: &Snapshots) -> Result<Option<String>, StateError> {
    let Some(applied) = position.applied else { return Ok(None) };
    let (me, membership) = (log.node(), position.membership.membership());
    let voters: Vec<u64> = membership.voter_ids().collect();
    let learns = membership.get_node(&me).is_some() && !voters.contains(&me);
    if learns || voters == [me] {
        return Ok(None);
    }
    let term = log.vote().map_or(0, |vote| vote.leader_id.term);
    // A snapshot from another member is in the state before the log begins after it.
    let installed =
        || Ok::<_, StateError>(snapshots.current()?.is_some_and(|s| s.meta.last_log_id == Some(applied)));
    if (log.has(applied) || installed()?) && term >= applied.leader_id.term {
        return Ok(None);
    }
    Ok(Some(format!(
        "log.db ends at entry {} and lacks entry {}, which was applied to state.db: it is new or has lost its end, and \
         with it what this host promised to others. Put the log.db that belongs to it back, or the whole directory from a \
         backup; or remove this host on another one, move the directory away and join again. Guests run on meanwhile",
        number(log.ends().1),
        applied.index
    )))
}

fn number(at: Option<crate::raft::LogId>) -> String {
    at.map_or_else(|| "none".into(), |id| id.index.to_string())
}
