//! Reads of folders and saved views; before the state has the tables for them there are none.

use super::cluster::level;
use super::{Store, body, resource};
use crate::error::read_failed;
use hostd_types::*;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};
use std::collections::BTreeMap;

impl Store {
    /// All folders, by name.
    pub async fn folders(&self) -> Result<Vec<Folder>, Problem> {
        let sql = "SELECT id, meta, spec, status FROM folder ORDER BY name, id";
        self.organized(sql, &[]).await?.iter().map(resource).collect()
    }

    /// One folder.
    pub async fn folder(&self, id: FolderId) -> Result<Option<Folder>, Problem> {
        let sql = "SELECT id, meta, spec, status FROM folder WHERE id = ?";
        self.organized(sql, &[id.to_string()]).await?.first().map(resource).transpose()
    }

    /// Number of machines in each folder alone, and in none; places without machines are absent. Templates are not counted.
    pub async fn vms_by_folder(&self) -> Result<BTreeMap<Option<FolderId>, u64>, Problem> {
        let sql = "SELECT json_extract(spec, '$.filing.folder'), count(*) FROM vm \
                   WHERE json_extract(spec, '$.lineage.template') IS NULL GROUP BY 1";
        let count = |row: &SqliteRow| {
            let folder: Option<&str> = row.try_get(0).map_err(read_failed)?;
            let vms: i64 = row.try_get(1).map_err(read_failed)?;
            Ok((folder.map(|id| id.parse().map_err(read_failed)).transpose()?, vms.unsigned_abs()))
        };
        self.organized(sql, &[]).await?.iter().map(count).collect()
    }

    /// The saved views of a user, or of the local console, by list and name.
    pub async fn views(&self, user: Option<UserId>) -> Result<Vec<SavedView>, Problem> {
        let owner = user.map_or_else(String::new, |user| user.to_string());
        let sql = "SELECT body FROM view WHERE user = ? ORDER BY list, name";
        self.organized(sql, &[owner]).await?.iter().map(|row| body(row, 0)).collect()
    }

    /// Rows of tables that came with the level; none before.
    pub(super) async fn organized(
        &self,
        sql: &'static str,
        values: &[String],
    ) -> Result<Vec<SqliteRow>, Problem> {
        let mut tx: Transaction<'_, Sqlite> = self.0.begin().await.map_err(read_failed)?;
        if level(&mut tx).await? < LIFE {
            return Ok(Vec::new());
        }
        let query = values.iter().fold(sqlx::query(sql), |query, value| query.bind(value.clone()));
        query.fetch_all(&mut *tx).await.map_err(read_failed)
    }
}
