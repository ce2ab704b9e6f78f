//! `local.db`: facts of this host alone, never replicated, kept over restarts. No secrets: those are files of their own.

use crate::error::{StateError, read_failed};
use crate::ground::Ground;
use crate::private;
use crate::writer::Writer;
use hostd_types::{HostId, Problem};
use rusqlite::{Connection, OptionalExtension, params};
use std::path::Path;
use std::time::Duration;

/// Version of local.db's tables.
pub(crate) const LOCAL_FORMAT: i64 = 1;
/// Key of this host's id.
const HOST: &str = "host.id";

/// A durable map of text; cheap to clone.
#[derive(Clone)]
pub struct Local(Writer<Connection>);

impl Local {
    /// Opens or makes the database; tells this host's id, made at the first start.
    pub(crate) fn open(path: &Path, ground: &Ground) -> Result<(Self, HostId), StateError> {
        private::file(path)?;
        let db = Connection::open(path)?;
        db.busy_timeout(Duration::from_secs(5))?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.execute_batch(
            "CREATE TABLE IF NOT EXISTS local (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        )?;
        db.pragma_update(None, "user_version", LOCAL_FORMAT)?;
        let host = match read(&db, HOST)? {
            Some(text) => text.parse()?,
            None => {
                let fresh = HostId::new();
                write(&db, HOST, &fresh.to_string())?;
                fresh
            }
        };
        Ok((Self(Writer::spawn("local-writer", db, ground)?), host))
    }

    /// The value of `key`, if it has one.
    ///
    /// # Errors
    /// `internal` when the database can't be read.
    pub async fn get(&self, key: &str) -> Result<Option<String>, Problem> {
        let key = key.to_owned();
        self.0.run(move |db| read(db, &key)).await.map_err(read_failed)
    }

    /// Sets `key`, durable when this returns.
    ///
    /// # Errors
    /// `internal` when the database can't be written.
    pub async fn put(&self, key: &str, value: &str) -> Result<(), Problem> {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.0.run(move |db| write(db, &key, &value)).await.map_err(|error| {
            tracing::error!(%error, "writing local.db failed");
            Problem::new(hostd_types::ProblemKind::Internal, "The host can't write its local state.")
        })
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

fn read(db: &Connection, key: &str) -> Result<Option<String>, StateError> {
    Ok(db.query_row("SELECT value FROM local WHERE key = ?1", [key], |r| r.get(0)).optional()?)
}

fn write(db: &Connection, key: &str, value: &str) -> Result<(), StateError> {
    db.execute("INSERT OR REPLACE INTO local (key, value) VALUES (?1, ?2)", params![key, value])?;
    Ok(())
}
