//! The majority is lost for ever: the group goes on as this host alone, with the state as this host has it.
//!
//! What others may have confirmed without this host is lost with them; that is why a person decides it. The steps may be
//! done again from the first at any time, and are, at the next start, when they were interrupted.

use crate::Cluster;
use crate::engine::Engine;
use crate::error::StateError;
use crate::log_store::LogStore;
use crate::raft::{LogId, Membership, Vote};
use crate::record;
use crate::snapshot::{self, Snapshots};
use hostd_types::{Problem, ProblemKind};
use rusqlite::{Connection, params};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;

/// Says in the state directory that a recovery was begun.
const BEGUN: &str = "recover";

impl Cluster {
    /// Makes this host the only member of its group. Returns when it leads. All other members must be off for good:
    /// if a majority of them lives, there are two groups from now on.
    ///
    /// # Errors
    /// `wrong-state` when nothing was ever applied here; `internal` when something can't be written: it is done again at the
    /// next start.
    pub async fn recover(&self) -> Result<(), Problem> {
        let engine = &self.0.engine;
        let _turning = engine.turning().await;
        engine.stop().await;
        let done = carry_out(&self.0.dir, engine).await;
        // Consensus must run again whatever happened; without a rewrite it is the group it was.
        let restarted = engine.restart().await.map_err(|error| error.to_string());
        done.map_err(|e| e.to_string()).and(restarted).map_err(|error| {
            tracing::error!(error, "the recovery failed; it is tried again at the next start");
            Problem::new(ProblemKind::Internal, "The recovery failed. The host's log says why.")
        })
    }
}

async fn carry_out(dir: &Path, engine: &Engine) -> Result<(), StateError> {
    let (log, state) = (engine.log(), engine.state());
    begin(dir)?;
    let me = log.node();
    let applied = state.writer.run(move |db| go_alone(db, me)).await?;
    rewrite_log(log, &state.snapshots, applied).await?;
    end(dir)
}

/// At a start: does again what a recovery may have left half done, before consensus begins.
pub(crate) async fn resume(
    dir: &Path,
    log: &LogStore,
    db: &mut Connection,
    snapshots: &Snapshots,
) -> Result<(), StateError> {
    if !dir.join(BEGUN).exists() {
        return Ok(());
    }
    tracing::warn!("going on with a recovery");
    let applied = go_alone(db, log.node())?;
    rewrite_log(log, snapshots, applied).await?;
    end(dir)
}

/// The state's membership becomes `me` alone, as of the last entry applied.
fn go_alone(db: &mut Connection, me: u64) -> Result<LogId, StateError> {
    let applied = snapshot::position(db)?.applied;
    let applied = applied.ok_or_else(|| StateError::Snapshot("there is no state to go on with".into()))?;
    let alone = Membership::new(vec![BTreeSet::from([me])], BTreeSet::from([me]));
    let members = record::encode_membership(&alone)?;
    let at = record::encode_log_id(&applied);
    db.execute("UPDATE raft_meta SET membership_at = ?1, membership = ?2", params![at, members])?;
    snapshot::checkpoint(db)?;
    Ok(applied)
}

/// The log begins after `applied`: what follows was never applied here and is not known to be decided.
async fn rewrite_log(log: &LogStore, snapshots: &Snapshots, applied: LogId) -> Result<(), StateError> {
    // Whoever joins later needs everything before from a snapshot, with the membership as it is now.
    snapshots.forget()?;
    snapshots.build()?;
    let term = log.vote().map_or(applied.leader_id.term, |vote| vote.leader_id.term);
    log.begin_after(applied, Vote::new(term.max(applied.leader_id.term) + 1, log.node())).await
}

fn begin(dir: &Path) -> Result<(), StateError> {
    File::create(dir.join(BEGUN))?.sync_all()?;
    Ok(File::open(dir)?.sync_all()?)
}

fn end(dir: &Path) -> Result<(), StateError> {
    fs::remove_file(dir.join(BEGUN))?;
    Ok(File::open(dir)?.sync_all()?)
}
