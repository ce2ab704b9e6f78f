//! The tables of `state.db`, level by level, and opening it as the one writer.
//!
//! A fresh database has level 1, so that a log means the same from its first entry on every version; a command in the
//! log raises the level, on every host at the same entry. A database that comes from elsewhere brings its own tables.

use crate::error::{ClusterError, StateError};
use crate::private;
use hostd_types::{FEDERATION, LEVEL, LIFE};
#[cfg(any(test, feature = "simulation"))]
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use std::path::Path;
use std::time::Duration;

/// Level of a fresh database.
const FIRST: u16 = 1;
/// What each level above the first adds to the tables, in order.
const MIGRATIONS: &[(u16, &str)] = &[(FEDERATION, ADD_FEDERATION), (LIFE, ADD_LIFE)];

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

const ADD_FEDERATION: &str = "
CREATE TABLE cluster (
    id TEXT PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE, created INTEGER NOT NULL,
    meta TEXT NOT NULL, spec TEXT NOT NULL, status TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE join_token (
    id TEXT PRIMARY KEY, secret TEXT NOT NULL UNIQUE, expires INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX join_token_expires ON join_token (expires);

CREATE TABLE removed (
    node TEXT PRIMARY KEY, host TEXT NOT NULL, name TEXT NOT NULL COLLATE NOCASE, at INTEGER NOT NULL,
    body TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX removed_host ON removed (host);
CREATE INDEX removed_at ON removed (at);

CREATE UNIQUE INDEX host_node ON host (json_extract(spec, '$.node'));
";

/// One block for each resource that came with the level.
const ADD_LIFE: &str = "
CREATE TABLE console_link (
    id TEXT PRIMARY KEY, vm TEXT NOT NULL, secret TEXT NOT NULL UNIQUE, pass TEXT UNIQUE, expires INTEGER NOT NULL,
    body TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX console_link_vm ON console_link (vm);
CREATE INDEX console_link_expires ON console_link (expires);
CREATE TABLE folder (
    id TEXT PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE, created INTEGER NOT NULL,
    parent TEXT NOT NULL, project TEXT NOT NULL,
    meta TEXT NOT NULL, spec TEXT NOT NULL, status TEXT NOT NULL, UNIQUE (parent, project, name)) WITHOUT ROWID;
CREATE INDEX vm_folder ON vm (json_extract(spec, '$.filing.folder'));

CREATE TABLE view (
    id TEXT PRIMARY KEY, user TEXT NOT NULL, list TEXT NOT NULL, name TEXT NOT NULL COLLATE NOCASE,
    body TEXT NOT NULL, UNIQUE (user, list, name)) WITHOUT ROWID;
CREATE TABLE snapshot (
    id TEXT PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE, created INTEGER NOT NULL,
    vm TEXT NOT NULL, host TEXT NOT NULL, state TEXT NOT NULL,
    meta TEXT NOT NULL, spec TEXT NOT NULL, status TEXT NOT NULL, UNIQUE (vm, name)) WITHOUT ROWID;
CREATE INDEX snapshot_host ON snapshot (host);

CREATE TABLE specification (
    id TEXT PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE UNIQUE, created INTEGER NOT NULL,
    meta TEXT NOT NULL, spec TEXT NOT NULL, status TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX vm_specification ON vm (json_extract(spec, '$.customization.specification'))
    WHERE json_extract(spec, '$.customization.specification') IS NOT NULL;
CREATE INDEX vm_more_cdroms ON vm (json_extract(spec, '$.more_cdroms'))
    WHERE json_extract(spec, '$.more_cdroms') IS NOT NULL;
CREATE INDEX volume_origin ON volume (json_extract(spec, '$.origin.volume'))
    WHERE json_extract(spec, '$.origin.volume') IS NOT NULL;
CREATE INDEX volume_snapshot ON volume (json_extract(spec, '$.origin.snapshot'))
    WHERE json_extract(spec, '$.origin.snapshot') IS NOT NULL;
CREATE INDEX vm_template ON vm (json_extract(spec, '$.lineage.template'), state);
";

/// Opens or makes state.db for its writer.
pub(crate) fn open_state(path: &Path) -> Result<Connection, StateError> {
    private::file(path)?;
    let mut db = Connection::open(path)?;
    db.set_prepared_statement_cache_capacity(256);
    db.busy_timeout(Duration::from_secs(10))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    // Safe because the log is synced before anything is applied, and is purged only below a synced snapshot.
    db.pragma_update(None, "synchronous", "NORMAL")?;
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let made: bool =
        tx.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'raft_meta'", [], |r| r.get(0))?;
    if !made {
        create(&tx)?;
    }
    tx.commit()?;
    Ok(db)
}

fn create(tx: &Transaction<'_>) -> Result<(), StateError> {
    tx.execute_batch(CREATE)?;
    tx.pragma_update(None, "user_version", FIRST)?;
    Ok(())
}

/// Adds what the levels above `from` up to `to` need, inside the caller's transaction; `to` is a level this version knows.
pub(crate) fn migrate(db: &Connection, from: u16, to: u16) -> Result<(), StateError> {
    for (_, sql) in MIGRATIONS.iter().filter(|(level, _)| (from + 1..=to).contains(level)) {
        db.execute_batch(sql)?;
    }
    db.execute("UPDATE raft_meta SET schema = ?1, feature_level = ?1", [to])?;
    db.pragma_update(None, "user_version", to)?;
    Ok(())
}

/// Level of the state: commands and tables up to it may be used.
pub(crate) fn level(db: &Connection) -> Result<u16, StateError> {
    Ok(db.prepare_cached("SELECT feature_level FROM raft_meta")?.query_row([], |r| r.get(0))?)
}

/// Empties the state for a host that begins anew: a fresh database's tables, in one transaction, for readers too.
pub(crate) fn reset(db: &mut Connection) -> Result<(), StateError> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    drop_tables(&tx)?;
    create(&tx)?;
    tx.commit()?;
    Ok(())
}

/// Takes all tables with their indexes out of `db`.
fn drop_tables(db: &Connection) -> Result<(), StateError> {
    for table in tables(db, "main")? {
        db.execute_batch(&format!("DROP TABLE main.{}", quoted(&table)))?;
    }
    Ok(())
}

/// Puts the tables of the attached database `from`, their indexes and their rows in the place of all that `db` has, in
/// one transaction: readers see the old state or the new one, and the level becomes that of `from`.
pub(crate) fn replace(db: &mut Connection, from: &str) -> Result<(), StateError> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    drop_tables(&tx)?;
    for sql in definitions(&tx, from, "table")? {
        tx.execute_batch(&sql)?;
    }
    for table in tables(&tx, from)? {
        let table = quoted(&table);
        tx.execute_batch(&format!("INSERT INTO main.{table} SELECT * FROM {from}.{table}"))?;
    }
    for sql in definitions(&tx, from, "index")? {
        tx.execute_batch(&sql)?;
    }
    let version: i64 = tx.query_row(&format!("PRAGMA {from}.user_version"), [], |r| r.get(0))?;
    tx.pragma_update(Some("main"), "user_version", version)?;
    tx.commit()?;
    Ok(())
}

/// Names of the tables of `database`, in their order; SQLite's own are not among them.
pub(crate) fn tables(db: &Connection, database: &str) -> Result<Vec<String>, StateError> {
    let sql = format!(
        "SELECT name FROM {database}.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' \
         ORDER BY name"
    );
    Ok(db.prepare(&sql)?.query_map([], |r| r.get(0))?.collect::<Result<_, _>>()?)
}

/// What makes the tables or indexes (`kind`) of `database`; those that SQLite makes by itself have none.
fn definitions(db: &Connection, database: &str, kind: &str) -> Result<Vec<String>, StateError> {
    let sql = format!(
        "SELECT sql FROM {database}.sqlite_schema WHERE type = ?1 AND sql IS NOT NULL \
         AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name"
    );
    Ok(db.prepare(&sql)?.query_map([kind], |r| r.get(0))?.collect::<Result<_, _>>()?)
}

/// All tables and indexes, and all rows of all tables but the `left_out`, hashed.
#[cfg(any(test, feature = "simulation"))]
pub(crate) fn hash(db: &Connection, left_out: &[&str]) -> Result<blake3::Hash, StateError> {
    let mut hasher = blake3::Hasher::new();
    let mut add = |name: &str, sql: &str| -> Result<(), StateError> {
        let mut rows = db.prepare_cached(sql)?;
        let width = rows.column_count();
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            for n in 0..width {
                // What kind of value it is, how long, and the value: no two rows hash alike.
                let (kind, bytes) = match row.get_ref(n)? {
                    ValueRef::Null => (0_u8, Vec::new()),
                    ValueRef::Integer(number) => (1, number.to_be_bytes().into()),
                    ValueRef::Real(number) => (2, number.to_be_bytes().into()),
                    ValueRef::Text(bytes) => (3, bytes.into()),
                    ValueRef::Blob(bytes) => (4, bytes.into()),
                };
                hasher
                    .update(name.as_bytes())
                    .update(&[kind])
                    .update(&bytes.len().to_be_bytes())
                    .update(&bytes);
            }
        }
        Ok(())
    };
    add("schema", "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")?;
    add("version", "PRAGMA user_version")?;
    for table in tables(db, "main")? {
        if left_out.contains(&table.as_str()) {
            continue;
        }
        let width = db.prepare_cached(&format!("SELECT * FROM {table}"))?.column_count();
        let order: Vec<String> = (1..=width).map(|n| n.to_string()).collect();
        add(&table, &format!("SELECT * FROM {table} ORDER BY {}", order.join(", ")))?;
    }
    Ok(hasher.finalize())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Refuses a state.db of a newer level, reading only.
pub(crate) fn check_state(path: &Path) -> Result<(), ClusterError> {
    check_version(path, i64::from(LEVEL), schema_of)
}

/// Level of a state database, by its header or its row, whichever is higher; 0 of an empty file.
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
