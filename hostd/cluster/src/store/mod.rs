//! Typed reads of `state.db` over read-only connections. Errors are storage failures, told as `internal`.

mod access;
mod cluster;
mod console_link;
mod list;
mod organize;
mod records;
mod resources;
mod snapshots;
mod specifications;

use crate::error::{ClusterError, StateError, read_failed};
use crate::ground::Ground;
use crate::rows::Resource;
use hostd_types::*;
use list::Listing;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteRow};
use sqlx::{AssertSqlSafe, Row, SqliteConnection, SqlitePool};
use std::path::Path;
use std::time::Duration;

/// Read connections.
const CONNECTIONS: u32 = 8;
/// Rows a connection reads ahead of who asked.
const ROWS_AHEAD: usize = 512;
/// Read connections opened at the start.
const CONNECTIONS_AT_ONCE: u32 = 2;

/// The replicated state as of the last applied entry; cheap to clone.
#[derive(Clone)]
pub struct Store(SqlitePool);

impl Store {
    pub(crate) async fn open(path: &Path, ground: &Ground) -> Result<Self, ClusterError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .statement_cache_capacity(256)
            // Rows cross from the connection's thread; a long list must not make the two take turns.
            .row_buffer_size(ROWS_AHEAD)
            .busy_timeout(Duration::from_secs(5));
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None);
        match ground {
            Ground::Threads => {
                Ok(Self(pool.min_connections(CONNECTIONS_AT_ONCE).connect_with(options).await?))
            }
            // Its connections are threads; a simulation reads another way.
            #[cfg(feature = "simulation")]
            Ground::Simulated(_) => Ok(Self(pool.connect_lazy_with(options))),
        }
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }

    /// The resource whose `column` is `value`.
    async fn one<T: Resource>(&self, column: &'static str, value: String) -> Result<Option<T>, Problem> {
        let sql = format!("SELECT id, meta, spec, status FROM {} WHERE {column} = ?", T::TABLE);
        let row =
            sqlx::query(AssertSqlSafe(sql)).bind(value).fetch_optional(&self.0).await.map_err(read_failed)?;
        row.as_ref().map(resource).transpose()
    }

    /// All resources for which `condition` holds with `value`, by name.
    async fn all<T: Resource>(&self, condition: &'static str, value: String) -> Result<Vec<T>, Problem> {
        let mut db = self.0.acquire().await.map_err(read_failed)?;
        all_of(&mut db, condition, value).await
    }

    async fn page<T: Resource>(&self, params: &ListParams) -> Result<Page<T>, Problem> {
        let listing = Listing {
            table: T::TABLE,
            columns: "id, meta, spec, status",
            key: "id",
            state: T::EXTRA.iter().find(|c| **c == "state").copied(),
            host: T::EXTRA.iter().find(|c| **c == "host").copied(),
            tags: true,
            folders: T::KIND == Kind::Vm,
            sorts: T::SORT,
            newest_first: false,
            only: None,
        };
        let found = list::page(&self.0, &listing, params).await?;
        let items = found.rows.iter().map(resource).collect::<Result<_, _>>()?;
        Ok(Page { items, total: found.total, next: found.next })
    }
}

/// All resources for which `condition` holds with `value`, by name.
async fn all_of<T: Resource>(
    db: &mut SqliteConnection,
    condition: &'static str,
    value: String,
) -> Result<Vec<T>, Problem> {
    let sql = format!("SELECT id, meta, spec, status FROM {} WHERE {condition} ORDER BY name, id", T::TABLE);
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(value).fetch_all(db).await.map_err(read_failed)?;
    rows.iter().map(resource).collect()
}

/// A resource from its columns id, meta, spec, status.
fn resource<T: Resource>(row: &SqliteRow) -> Result<T, Problem> {
    let column = |n: usize| row.try_get::<&str, _>(n).map_err(read_failed);
    T::from_columns(column(0)?, column(1)?, column(2)?, column(3)?).map_err(read_failed)
}

/// A value kept whole as JSON in the column `n`.
fn body<T: serde::de::DeserializeOwned>(row: &SqliteRow, n: usize) -> Result<T, Problem> {
    let text: &str = row.try_get(n).map_err(read_failed)?;
    serde_json::from_str(text).map_err(|e| read_failed(StateError::from(e)))
}
