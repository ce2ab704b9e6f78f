//! The majority is lost for ever: the group goes on as this host alone, with the state as this host has it.
//!
//! What others may have confirmed without this host is lost with them; that is why a person decides it. A journal beside
//! the databases makes it resumable: it is written before the first thing changes, and renamed when the log and the
//! state's position are rewritten. It goes when the state knows, too. A recovery that changed nothing leaves no journal:
//! it must not happen at some later start, when the others are back.

use crate::Cluster;
use crate::engine::Engine;
use crate::error::StateError;
use crate::journal;
use crate::log_store::LogStore;
use crate::raft::{LogId, Membership, Vote};
use crate::record;
use crate::snapshot::{self, Snapshots};
use hostd_types::{Problem, ProblemKind};
use rusqlite::{Connection, params};
use std::collections::BTreeSet;
use std::path::Path;

/// The journal of a recovery that was begun.
const BEGUN: &str = "recover";
/// The journal of one of which only the state must be told.
const REWRITTEN: &str = "recovered";

impl Cluster {
    /// Makes this host the only member of its group. Returns when it leads. All other members must be off for good:
    /// if a majority of them lives, there are two groups from now on. `by` is kept until [`Cluster::recovery_told`].
    ///
    /// # Errors
    /// `internal` when something can't be written. Either nothing has changed and the group is what it was, or consensus
    /// stays stopped and the next start goes on with it; the words say which.
    pub async fn recover(&self, by: &str) -> Result<(), Problem> {
        let (dir, engine) = (&self.0.dir, &self.0.engine);
        let _turning = engine.turning().await;
        engine.stop().await;
        let begun = begin(dir, by, engine).await;
        if let Err(error) = &begun
            && journal::remove(dir, BEGUN).is_ok()
        {
            tracing::error!(%error, "a recovery could not begin; nothing was changed");
            engine.restart().await?;
            let detail = "The recovery could not begin, and nothing was changed. The host's log says why.";
            return Err(Problem::new(ProblemKind::Internal, detail));
        }
        let done = async {
            let applied = begun?;
            engine.state().writer.run(|db| snapshot::checkpoint(db)).await?;
            rewrite_log(dir, engine.log(), &engine.state().snapshots, applied).await
        };
        done.await.map_err(|error: StateError| {
            tracing::error!(%error, "a recovery is half done; the next start goes on with it");
            let detail = "The recovery is half done, and until it is whole nothing can be changed: see to what the host's \
                          log says, then restart hostd. Guests run on.";
            Problem::new(ProblemKind::Internal, detail)
        })?;
        Ok(engine.restart().await?)
    }

    /// Who asked for a recovery of which the state must still be told.
    ///
    /// # Errors
    /// `internal` when the journal can't be read.
    pub async fn recovered(&self) -> Result<Option<String>, Problem> {
        let dir = self.0.dir.clone();
        let by = self.blocking(move || Ok(journal::read(&dir, REWRITTEN)?)).await?;
        Ok(by.map(|by| String::from_utf8_lossy(&by).into_owned()))
    }

    /// The state knows of the recovery: its journal is not needed any more.
    ///
    /// # Errors
    /// `internal` when the journal can't be removed.
    pub async fn recovery_told(&self) -> Result<(), Problem> {
        let dir = self.0.dir.clone();
        self.blocking(move || Ok(journal::remove(&dir, REWRITTEN)?)).await
    }
}

/// Writes the journal and makes this host alone in the state; the latter is the last thing done, or was not done.
async fn begin(dir: &Path, by: &str, engine: &Engine) -> Result<LogId, StateError> {
    journal::write(dir, BEGUN, by.as_bytes())?;
    let me = engine.node().0;
    engine.state().writer.run(move |db| go_alone(db, me)).await
}

/// At a start: does again what a recovery may have left half done, before consensus begins.
pub(crate) async fn resume(
    dir: &Path,
    log: &LogStore,
    db: &mut Connection,
    snapshots: &Snapshots,
) -> Result<(), StateError> {
    if journal::read(dir, BEGUN)?.is_none() {
        return Ok(());
    }
    tracing::warn!("going on with a recovery");
    let applied = go_alone(db, log.node())?;
    snapshot::checkpoint(db)?;
    rewrite_log(dir, log, snapshots, applied).await
}

/// The state's membership becomes `me` alone, as of the last entry applied.
fn go_alone(db: &mut Connection, me: u64) -> Result<LogId, StateError> {
    let applied = snapshot::position(db)?.applied;
    let applied = applied.ok_or_else(|| StateError::Snapshot("there is no state to go on with".into()))?;
    let alone = Membership::new(vec![BTreeSet::from([me])], BTreeSet::from([me]));
    let members = record::encode_membership(&alone)?;
    let at = record::encode_log_id(&applied);
    db.execute("UPDATE raft_meta SET membership_at = ?1, membership = ?2", params![at, members])?;
    Ok(applied)
}

/// The log begins after `applied`: what follows was never applied here and is not known to be decided.
async fn rewrite_log(
    dir: &Path,
    log: &LogStore,
    snapshots: &Snapshots,
    applied: LogId,
) -> Result<(), StateError> {
    // Whoever joins later needs everything before from a snapshot, with the membership as it is now.
    snapshots.forget()?;
    snapshots.build()?;
    let term = log.vote().map_or(applied.leader_id.term, |vote| vote.leader_id.term);
    log.begin_after(applied, Vote::new(term.max(applied.leader_id.term) + 1, log.node())).await?;
    Ok(journal::rename(dir, BEGUN, REWRITTEN)?)
}
