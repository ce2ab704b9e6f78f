//! From one group into another: a host that joins a cluster leaves its own behind, a host that leaves one founds its own.
//!
//! A journal beside the databases makes it resumable: it is written before the first thing changes and removed when the
//! host's belongings are in the other group. Until then every start finds it and does again what may be half done.

use crate::Cluster;
use crate::engine::Engine;
use crate::error::{ClusterError, StateError};
use crate::journal;
use crate::log_store::LogStore;
use crate::private;
use crate::schema;
use crate::store::Store;
use hostd_types::{Belongings, NodeId, Problem, ProblemKind};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::path::Path;

/// Name of the journal in the state directory.
const JOURNAL: &str = "switch.json";
/// Where the databases of the group left behind are kept.
pub(crate) const ARCHIVE: &str = "left-behind";

/// A move from one group into another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Switch {
    /// This host's identity in the new group's log; never one it had before.
    pub node: NodeId,
    /// What the new group is.
    pub into: Destination,
    /// What it takes along.
    pub belongings: Belongings,
    /// What whoever asked for the move needs to finish it, such as keys; kept with the journal, readable by root alone.
    pub carried: serde_json::Value,
}

/// The group a host moves into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// A cluster that others are members of: they make this host one.
    Cluster,
    /// A group of its own.
    Alone,
}

impl Cluster {
    /// Leaves the present group, keeping its databases aside, and starts in another, with an empty state. Returns when
    /// consensus runs there. Reads answer from the old state until then and from the new one after.
    ///
    /// # Errors
    /// `wrong-state` while another move is not finished; `internal` when something can't be written: the move is done
    /// again at the next start if it had begun.
    pub async fn switch(&self, switch: &Switch) -> Result<(), Problem> {
        if self.switching().await?.is_some() {
            let detail = "The host is on its way into another cluster already; wait for that to end.";
            return Err(Problem::wrong_state(detail));
        }
        let (dir, begun) = (self.0.dir.clone(), switch.clone());
        self.blocking(move || Ok(journal::write(&dir, JOURNAL, &serde_json::to_vec(&begun)?)?)).await?;
        let _turning = self.0.engine.turning().await;
        self.0.engine.stop().await;
        let moved = carry_out(&self.0.dir, &self.0.engine, switch).await;
        self.0.engine.state().replaced.send_modify(|count| *count += 1);
        moved.map_err(|error| {
            tracing::error!(%error, "moving into another group failed; it is tried again at the next start");
            Problem::new(
                ProblemKind::Internal,
                "The host can't move into the other cluster. Its log says why.",
            )
        })
    }

    /// The move that is not finished, if there is one.
    ///
    /// # Errors
    /// `internal` when the journal can't be read.
    pub async fn switching(&self) -> Result<Option<Switch>, Problem> {
        let dir = self.0.dir.clone();
        self.blocking(move || read(&dir)).await
    }

    /// Everything on this host, also when the cluster has removed it and dropped its rows already.
    ///
    /// # Errors
    /// `internal` when the state can't be read.
    pub async fn own_belongings(&self) -> Result<Belongings, Problem> {
        let host = self.host();
        if self.store().host(host).await?.is_some() {
            return self.store().belongings(host).await;
        }
        let kept = self.0.dir.join(ARCHIVE).join("state.db");
        if !kept.exists() {
            return Ok(Belongings::default());
        }
        let kept = Store::open(&kept, &self.0.engine.state().ground).await.map_err(Problem::from)?;
        let belongings = kept.belongings(host).await;
        kept.close().await;
        belongings
    }

    /// The move is finished: its belongings are in the other group.
    ///
    /// # Errors
    /// `internal` when the journal can't be removed.
    pub async fn switched(&self) -> Result<(), Problem> {
        let dir = self.0.dir.clone();
        self.blocking(move || Ok(journal::remove(&dir, JOURNAL)?)).await
    }

    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, Problem> {
        self.0.engine.state().ground.block(work).await.map_err(|error| {
            tracing::error!(%error, "a journal failed");
            Problem::new(ProblemKind::Internal, "The host can't write its state. Its log says why.")
        })
    }
}

async fn carry_out(dir: &Path, engine: &Engine, switch: &Switch) -> Result<(), ClusterError> {
    let failed = |source: StateError| ClusterError::Database { file: dir.into(), source };
    let (log, state) = (engine.log(), engine.state());
    let aside = dir.to_owned();
    state.writer.run(move |db| keep_aside(&aside, db)).await.map_err(failed)?;
    state.writer.run(empty).await.map_err(failed)?;
    state.snapshots.forget().map_err(failed)?;
    log.reset(switch.node.0, switch.into == Destination::Cluster).await.map_err(failed)?;
    state.revision.set(0);
    engine.restart().await
}

/// Empties the state for good before the log begins anew: one that came back after a power cut would be taken for the
/// beginning of the new group's.
fn empty(db: &mut rusqlite::Connection) -> Result<(), StateError> {
    schema::reset(db)?;
    crate::snapshot::checkpoint(db)
}

/// At a start: does again what a move may have left half done, before consensus begins.
pub(crate) async fn resume(
    dir: &Path,
    log: &LogStore,
    db: &mut rusqlite::Connection,
    snapshots: &crate::snapshot::Snapshots,
) -> Result<(), StateError> {
    let Some(switch) = read(dir)? else { return Ok(()) };
    if log.node() == switch.node.0 {
        return Ok(());
    }
    tracing::warn!(node = %switch.node, "going on with a move into another group");
    keep_aside(dir, db)?;
    empty(db)?;
    snapshots.forget()?;
    log.reset(switch.node.0, switch.into == Destination::Cluster).await
}

/// Keeps a copy of the state that is about to be dropped. A copy that is there is newer than nothing: it is replaced only
/// by a whole one with something in it.
pub(crate) fn keep_aside(dir: &Path, db: &mut rusqlite::Connection) -> Result<(), StateError> {
    if crate::snapshot::position(db)?.applied.is_none() {
        return Ok(());
    }
    let archive = dir.join(ARCHIVE);
    private::directory(&archive)?;
    let part = archive.join("state.part");
    match fs::remove_file(&part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    let text = part.to_str().ok_or_else(|| StateError::Snapshot("the path is not UTF-8".into()))?;
    private::file(&part)?;
    db.execute("VACUUM INTO ?1", [text])?;
    File::open(&part)?.sync_all()?;
    fs::rename(&part, archive.join("state.db"))?;
    Ok(journal::sync(&archive)?)
}

fn read(dir: &Path) -> Result<Option<Switch>, StateError> {
    let Some(bytes) = journal::read(dir, JOURNAL)? else { return Ok(None) };
    Ok(Some(serde_json::from_slice(&bytes)?))
}
