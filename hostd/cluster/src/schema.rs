//! The tables of `state.db`, its schema number, and opening it as the one writer.

use crate::error::{ClusterError, StateError};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// Schema this version writes and the newest it reads.
pub(crate) const SCHEMA: i64 = 1;

/// Every replicated table with the order that makes a dump of it comparable.
pub(crate) const TABLES: [(&str, &str); 13] = [
    ("raft_meta", "id"),
    ("request", "id"),
    ("host", "id"),
    ("vm", "id"),
    ("nic", "vm, slot"),
    ("volume", "id"),
    ("image", "id"),
    ("network", "id"),
    ("task", "id"),
    ("event", "seq"),
    ("user", "id"),
    ("session", "id"),
    ("token", "id"),
];

const CREATE: &str = "
CREATE TABLE raft_meta (
    id INTEGER PRIMARY KEY CHECK (id = 1), schema INTEGER NOT NULL, feature_level INTEGER NOT NULL,
    last_applied BLOB, membership_at BLOB, membership BLOB, event_seq INTEGER NOT NULL);
INSERT INTO raft_meta (id, schema, feature_level, event_seq) VALUES (1, 1, 1, 0);

CREATE TABLE request (id TEXT PRIMARY KEY, at INTEGER NOT NULL, outcome TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX request_at ON request (at);

CREATE TABLE host (
    id TEXT PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE, created INTEGER NOT NULL,
    meta TEXT NOT NULL, spec TEXT NOT NULL, status TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE vm (
    id TEXT PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE UNIQUE, created INTEGER NOT NULL,
    host TEXT NOT NULL, state TEXT NOT NULL, cpus INTEGER NOT NULL, memory INTEGER NOT NULL, cdrom TEXT,
    meta TEXT NOT NULL, spec TEXT NOT NULL, status TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX vm_host ON vm (host);
CREATE INDEX vm_state ON vm (state);
CREATE INDEX vm_cpus ON vm (cpus);
CREATE INDEX vm_memory ON vm (memory);
CREATE INDEX vm_created ON vm (created);
CREATE INDEX vm_cdrom ON vm (cdrom) WHERE cdrom IS NOT NULL;

CREATE TABLE nic (
    vm TEXT NOT NULL, slot INTEGER NOT NULL, network TEXT NOT NULL, mac TEXT NOT NULL COLLATE NOCASE,
    PRIMARY KEY (vm, slot), UNIQUE (network, mac)) WITHOUT ROWID;

CREATE TABLE volume (
    id TEXT PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE UNIQUE, created INTEGER NOT NULL,
    host TEXT NOT NULL, state TEXT NOT NULL, size INTEGER NOT NULL, vm TEXT, image TEXT,
    meta TEXT NOT NULL, spec TEXT NOT NULL, status TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX volume_host ON volume (host);
CREATE INDEX volume_size ON volume (size);
CREATE INDEX volume_created ON volume (created);
CREATE INDEX volume_vm ON volume (vm) WHERE vm IS NOT NULL;
CREATE INDEX volume_image ON volume (image) WHERE image IS NOT NULL;

CREATE TABLE image (
    id TEXT PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE UNIQUE, created INTEGER NOT NULL,
    host TEXT NOT NULL, state TEXT NOT NULL, size INTEGER NOT NULL,
    meta TEXT NOT NULL, spec TEXT NOT NULL, status TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX image_host ON image (host);
CREATE INDEX image_size ON image (size);
CREATE INDEX image_created ON image (created);

CREATE TABLE network (
    id TEXT PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE UNIQUE, created INTEGER NOT NULL,
    host TEXT NOT NULL, state TEXT NOT NULL, bridge TEXT NOT NULL,
    meta TEXT NOT NULL, spec TEXT NOT NULL, status TEXT NOT NULL, UNIQUE (host, bridge)) WITHOUT ROWID;
CREATE INDEX network_created ON network (created);

CREATE TABLE task (
    id TEXT PRIMARY KEY, action TEXT NOT NULL, subject TEXT NOT NULL, name TEXT NOT NULL COLLATE NOCASE,
    host TEXT NOT NULL, state TEXT NOT NULL, created INTEGER NOT NULL, ended INTEGER, body TEXT NOT NULL
    ) WITHOUT ROWID;
CREATE INDEX task_created ON task (created);
CREATE INDEX task_subject ON task (subject, state);
CREATE INDEX task_state ON task (state, created);
CREATE INDEX task_ended ON task (ended) WHERE ended IS NOT NULL;

CREATE TABLE event (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, action TEXT NOT NULL, subject TEXT,
    name TEXT COLLATE NOCASE, result TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX event_at ON event (at);
CREATE INDEX event_subject ON event (subject, seq);

CREATE TABLE user (
    id TEXT PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE UNIQUE, password TEXT NOT NULL, body TEXT NOT NULL
    ) WITHOUT ROWID;

CREATE TABLE session (
    id TEXT PRIMARY KEY, user TEXT NOT NULL, secret TEXT NOT NULL UNIQUE, expires INTEGER NOT NULL,
    body TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX session_user ON session (user);
CREATE INDEX session_expires ON session (expires);

CREATE TABLE token (
    id TEXT PRIMARY KEY, user TEXT NOT NULL, name TEXT NOT NULL COLLATE NOCASE, secret TEXT NOT NULL UNIQUE,
    expires INTEGER NOT NULL, body TEXT NOT NULL, UNIQUE (user, name)) WITHOUT ROWID;
CREATE INDEX token_expires ON token (expires);
";

/// Opens or makes state.db for its writer.
pub(crate) fn open_state(path: &Path) -> Result<Connection, StateError> {
    let mut db = Connection::open(path)?;
    db.set_prepared_statement_cache_capacity(256);
    db.busy_timeout(Duration::from_secs(10))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    // Safe because the log is synced before anything is applied, and is purged only below a synced snapshot.
    db.pragma_update(None, "synchronous", "NORMAL")?;
    let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let made: bool =
        tx.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'raft_meta'", [], |r| r.get(0))?;
    if !made {
        tx.execute_batch(CREATE)?;
        tx.pragma_update(None, "user_version", SCHEMA)?;
    }
    tx.commit()?;
    Ok(db)
}

/// Refuses a state.db of a newer schema, reading only.
pub(crate) fn check_state(path: &Path) -> Result<(), ClusterError> {
    check_version(path, SCHEMA, schema_of)
}

/// Schema number of a state database; 0 of an empty file.
pub(crate) fn schema_of(db: &Connection) -> rusqlite::Result<i64> {
    let header: i64 = db.query_row("PRAGMA user_version", [], |r| r.get(0))?;
    let made: bool =
        db.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'raft_meta'", [], |r| r.get(0))?;
    if !made {
        return Ok(header);
    }
    let row: i64 = db.query_row("SELECT schema FROM raft_meta", [], |r| r.get(0))?;
    Ok(row.max(header))
}

/// Opens `path`, if it is there, for reading and refuses a version above `known`.
pub(crate) fn check_version(
    path: &Path,
    known: i64,
    version: impl Fn(&Connection) -> rusqlite::Result<i64>,
) -> Result<(), ClusterError> {
    if !path.exists() {
        return Ok(());
    }
    let broken = |e: rusqlite::Error| ClusterError::Database { file: path.into(), source: e.into() };
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(broken)?;
    let found = version(&db).map_err(broken)?;
    if found > known {
        return Err(ClusterError::TooNew { file: path.into(), found, known });
    }
    Ok(())
}
