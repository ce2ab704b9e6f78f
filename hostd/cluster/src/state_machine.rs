//! The state machine: applies committed entries to `state.db`, in one transaction a batch, and tells who listens.

use crate::apply;
use crate::error::StateError;
use crate::ground::Ground;
use crate::raft::{
    LogId, RaftEntry, Results, SnapshotFile, SnapshotMeta, StorageError, StorageIoError, StoredMembership,
    TypeConfig,
};
use crate::reserve::Reserve;
use crate::revision::Revision;
use crate::snapshot::{self, Snapshots};
use crate::switch;
use crate::writer::Writer;
use hostd_types::command::ClusterCommand;
use hostd_types::{Change, Command, HostId};
use openraft::storage::RaftStateMachine;
use openraft::{AnyError, OptionalSend, RaftSnapshotBuilder, Snapshot};
use rusqlite::Connection;
use std::path::PathBuf;
use tokio::sync::{broadcast, watch};

/// The host a state belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Own {
    pub(crate) host: HostId,
    pub(crate) dir: PathBuf,
}

/// Handle of the state machine; cheap to clone.
#[derive(Clone)]
pub(crate) struct StateMachine {
    pub(crate) ground: Ground,
    pub(crate) writer: Writer<Connection>,
    pub(crate) snapshots: Snapshots,
    pub(crate) reserve: Reserve,
    /// Whose state this is, and where what it had is kept when it is removed.
    pub(crate) own: Own,
    pub(crate) changes: broadcast::Sender<Change>,
    /// Counts how often the whole state became another one.
    pub(crate) replaced: watch::Sender<u64>,
    pub(crate) revision: Revision,
}

fn any(error: StateError) -> AnyError {
    AnyError::new(&error)
}

/// Whether an entry takes `host` out of the cluster.
fn removes(entry: &RaftEntry, host: HostId) -> bool {
    let openraft::EntryPayload::Normal(batch) = &entry.payload else { return false };
    batch.0.iter().any(|entry| {
        matches!(&entry.command, Command::Cluster(ClusterCommand::Remove { host: gone }) if *gone == host)
    })
}

impl RaftSnapshotBuilder<TypeConfig> for StateMachine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError> {
        let (snapshots, reserve) = (self.snapshots.clone(), self.reserve.clone());
        let built = async {
            let built = self.ground.block(move || reserve.retry(|| snapshots.build())).await?;
            // The log is purged next: what was applied must be in the database itself by then.
            self.writer.run(|db| snapshot::checkpoint(db)).await?;
            Ok::<_, StateError>(built)
        };
        let built = built.await.map_err(|e| {
            tracing::error!(error = %e, "making a snapshot of the state failed");
            StorageIoError::write_snapshot(None, any(e))
        })?;
        tracing::info!(snapshot = %built.meta.snapshot_id, "made a snapshot of the state");
        Ok(built)
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        let position = self.writer.run(|db| snapshot::position(db)).await;
        let position = position.map_err(|e| StorageIoError::read_state_machine(any(e)))?;
        Ok((position.applied, position.membership))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Results>, StorageError>
    where
        I: IntoIterator<Item = RaftEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<RaftEntry> = entries.into_iter().collect();
        let Some(last) = entries.last().map(|e| e.log_id) else { return Ok(Vec::new()) };
        let reserve = self.reserve.clone();
        let own = self.own.clone();
        let applied = self.writer.run(move |db| {
            if entries.iter().any(|entry| removes(entry, own.host)) {
                // What this host has is dropped from the state it shares; it still has it.
                switch::keep_aside(&own.dir, db)?;
            }
            reserve.retry(|| apply::entries(db, &entries))
        });
        let applied = applied.await.map_err(|e| {
            tracing::error!(error = %e, upto = last.index, "applying to state.db failed; consensus stops on this host, machines keep running");
            StorageIoError::apply(last, any(e))
        })?;
        for change in applied.changes {
            // Nobody listening is fine.
            let _ = self.changes.send(change);
        }
        self.revision.set(last.index);
        Ok(applied.results)
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<SnapshotFile>, StorageError> {
        Ok(Box::new(self.snapshots.part()))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<SnapshotFile>,
    ) -> Result<(), StorageError> {
        let snapshots = self.snapshots.clone();
        let installed = self.writer.run(move |db| snapshots.install(db, &snapshot)).await;
        installed.map_err(|e| {
            tracing::error!(error = %e, "installing a snapshot failed");
            StorageIoError::write_snapshot(Some(meta.signature()), any(e))
        })?;
        self.revision.set(meta.last_log_id.map_or(0, |id| id.index));
        self.replaced.send_modify(|count| *count += 1);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError> {
        let snapshots = self.snapshots.clone();
        let current = self.ground.block(move || snapshots.current()).await;
        Ok(current.map_err(|e| StorageIoError::read_snapshot(None, any(e)))?)
    }
}
