//! Reads of snapshots. Before the state has a table for them there are none.

use super::{Store, all_of, resource};
use crate::error::read_failed;
use crate::rows::Resource;
use hostd_types::*;
use sqlx::{AssertSqlSafe, Sqlite, SqliteConnection, Transaction};

impl Store {
    /// One snapshot.
    pub async fn snapshot(&self, id: SnapshotId) -> Result<Option<Snapshot>, Problem> {
        let mut tx: Transaction<'_, Sqlite> = self.0.begin().await.map_err(read_failed)?;
        if super::cluster::level(&mut tx).await? < LIFE {
            return Ok(None);
        }
        let sql = format!("SELECT id, meta, spec, status FROM {} WHERE id = ?", Snapshot::TABLE);
        let row = sqlx::query(AssertSqlSafe(sql)).bind(id.to_string()).fetch_optional(&mut *tx).await;
        row.map_err(read_failed)?.as_ref().map(resource).transpose()
    }

    /// The snapshots of a machine.
    pub async fn snapshots_of(&self, vm: VmId) -> Result<Vec<Snapshot>, Problem> {
        let mut tx: Transaction<'_, Sqlite> = self.0.begin().await.map_err(read_failed)?;
        snapshots(&mut tx, "vm = ?", vm.to_string()).await
    }

    /// The snapshots on a host that are being taken or deleted.
    pub async fn unsettled_snapshots_on(&self, host: HostId) -> Result<Vec<Snapshot>, Problem> {
        let mut tx: Transaction<'_, Sqlite> = self.0.begin().await.map_err(read_failed)?;
        snapshots(&mut tx, "host = ? AND state <> 'ready'", host.to_string()).await
    }
}

/// All for which `condition` holds with `value`.
pub(super) async fn snapshots(
    db: &mut SqliteConnection,
    condition: &'static str,
    value: String,
) -> Result<Vec<Snapshot>, Problem> {
    if super::cluster::level(db).await? < LIFE {
        return Ok(Vec::new());
    }
    all_of(db, condition, value).await
}
