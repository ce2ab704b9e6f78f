//! Snapshots: whole copies of state.db, made beside the running one and put in its place in one transaction.

use crate::error::StateError;
use crate::raft::{LogId, SnapshotFile, SnapshotMeta, StoredMembership, TypeConfig};
use crate::record;
use crate::schema::{self, schema_of};
use hostd_types::LEVEL;
use openraft::Snapshot;
use rusqlite::{Connection, OpenFlags};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What state.db says about itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Position {
    /// The last entry applied.
    pub(crate) applied: Option<LogId>,
    /// The newest membership among the applied entries.
    pub(crate) membership: StoredMembership,
}

/// Reads the position of a state database.
pub(crate) fn position(db: &Connection) -> Result<Position, StateError> {
    type Columns = (Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>);
    let (applied, at, members): Columns =
        db.query_row("SELECT last_applied, membership_at, membership FROM raft_meta", [], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?))
        })?;
    let applied = applied.as_deref().map(record::decode_log_id).transpose()?;
    let at = at.as_deref().map(record::decode_log_id).transpose()?;
    let membership = match members {
        Some(bytes) => StoredMembership::new(at, record::decode_membership(&bytes)?),
        None => StoredMembership::default(),
    };
    Ok(Position { applied, membership })
}

/// The directory of snapshots; cheap to clone.
#[derive(Clone)]
pub(crate) struct Snapshots(Arc<Paths>);

struct Paths {
    dir: PathBuf,
    state: PathBuf,
    parts: AtomicU64,
}

impl Snapshots {
    /// Uses `dir`, made if needed, for snapshots of the database `state`. Left-over parts are removed.
    pub(crate) fn open(dir: &Path, state: &Path) -> Result<Self, StateError> {
        std::fs::create_dir_all(dir)?;
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "part") {
                std::fs::remove_file(path)?;
            }
        }
        let parts = AtomicU64::new(0);
        Ok(Self(Arc::new(Paths { dir: dir.into(), state: state.into(), parts })))
    }

    fn current_path(&self) -> PathBuf {
        self.0.dir.join("current.db")
    }

    /// A fresh name for a file in the making.
    pub(crate) fn part(&self) -> SnapshotFile {
        let n = self.0.parts.fetch_add(1, Ordering::Relaxed);
        SnapshotFile(self.0.dir.join(format!("{n}.part")))
    }

    /// Copies state.db as of now and makes the copy the current snapshot. Blocks.
    pub(crate) fn build(&self) -> Result<Snapshot<TypeConfig>, StateError> {
        let SnapshotFile(part) = self.part();
        let live = Connection::open_with_flags(&self.0.state, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        live.busy_timeout(Duration::from_secs(10))?;
        live.execute("VACUUM INTO ?1", [path_text(&part)?])?;
        self.adopt(&part)?;
        self.current()?.ok_or_else(|| StateError::Snapshot("it vanished while it was made".into()))
    }

    /// Syncs the file `part` and makes it the current snapshot. Blocks.
    fn adopt(&self, part: &Path) -> Result<(), StateError> {
        File::open(part)?.sync_all()?;
        std::fs::rename(part, self.current_path())?;
        File::open(&self.0.dir)?.sync_all()?;
        Ok(())
    }

    /// The current snapshot, if there is one. Blocks.
    pub(crate) fn current(&self) -> Result<Option<Snapshot<TypeConfig>>, StateError> {
        let path = self.current_path();
        if !path.exists() {
            return Ok(None);
        }
        let Position { applied, membership } = inspect(&path)?;
        let snapshot_id =
            applied.map_or_else(|| "empty".into(), |id| format!("{}-{}", id.leader_id, id.index));
        let meta = SnapshotMeta { last_log_id: applied, last_membership: membership, snapshot_id };
        Ok(Some(Snapshot { meta, snapshot: Box::new(SnapshotFile(path)) }))
    }

    /// Puts the content of `from` in the place of everything in `live` and keeps a copy as the current snapshot. Blocks.
    pub(crate) fn install(&self, live: &mut Connection, from: &SnapshotFile) -> Result<(), StateError> {
        let SnapshotFile(from) = from;
        let here = *from == self.current_path();
        let SnapshotFile(part) = self.part();
        if !here {
            std::fs::copy(from, &part)?;
            File::open(&part)?.sync_all()?;
        }
        let source = if here { from } else { &part };
        inspect(source)?;
        live.execute("ATTACH ?1 AS snapshot", [path_text(source)?])?;
        let replaced = schema::replace(live, "snapshot");
        live.execute_batch("DETACH snapshot")?;
        replaced?;
        checkpoint(live)?;
        if !here {
            self.adopt(&part)?;
        }
        Ok(())
    }
}

/// Moves the write-ahead log into the database, synced, as far as readers allow.
pub(crate) fn checkpoint(db: &Connection) -> Result<(), StateError> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

/// Reads what a snapshot holds and refuses one this version can't use.
fn inspect(path: &Path) -> Result<Position, StateError> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let found = schema_of(&db)?;
    if !(1..=i64::from(LEVEL)).contains(&found) {
        return Err(StateError::Snapshot(format!("its level is {found}, this version knows up to {LEVEL}")));
    }
    position(&db)
}

fn path_text(path: &Path) -> Result<&str, StateError> {
    path.to_str().ok_or_else(|| StateError::Snapshot(format!("the path {} is not UTF-8", path.display())))
}
