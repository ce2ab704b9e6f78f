//! Reads of customization specifications; before the state has the table for them there are none.

use super::{Store, resource};
use crate::error::read_failed;
use hostd_types::*;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use std::collections::BTreeMap;

impl Store {
    /// All specifications, by name.
    pub async fn specifications(&self) -> Result<Vec<Specification>, Problem> {
        let sql = "SELECT id, meta, spec, status FROM specification ORDER BY name, id";
        self.organized(sql, &[]).await?.iter().map(resource).collect()
    }

    /// One specification.
    pub async fn specification(&self, id: SpecificationId) -> Result<Option<Specification>, Problem> {
        let sql = "SELECT id, meta, spec, status FROM specification WHERE id = ?";
        self.organized(sql, &[id.to_string()]).await?.first().map(resource).transpose()
    }

    /// Number of machines that were made with each specification and are there; specifications without are absent.
    pub async fn vms_by_specification(&self) -> Result<BTreeMap<SpecificationId, u64>, Problem> {
        let sql = "SELECT json_extract(spec, '$.customization.specification'), count(*) FROM vm \
                   WHERE json_extract(spec, '$.customization.specification') IS NOT NULL GROUP BY 1";
        let count = |row: &SqliteRow| {
            let id: &str = row.try_get(0).map_err(read_failed)?;
            let vms: i64 = row.try_get(1).map_err(read_failed)?;
            Ok((id.parse().map_err(read_failed)?, vms.unsigned_abs()))
        };
        self.organized(sql, &[]).await?.iter().map(count).collect()
    }
}
