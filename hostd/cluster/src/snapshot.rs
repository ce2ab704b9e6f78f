//! Snapshots: whole copies of state.db, made beside the running one and put in its place in one transaction.

use crate::error::StateError;
use crate::private;
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
        private::directory(dir)?;
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
        private::file(&part)?;
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

    /// Drops the current snapshot: it is one of another group. Blocks.
    pub(crate) fn forget(&self) -> Result<(), StateError> {
        match std::fs::remove_file(self.current_path()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        Ok(File::open(&self.0.dir)?.sync_all()?)
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
            private::file(&part)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{apply_all, dump, entries, founding, pack};
    use crate::{Store, apply};
    use tokio_util::sync::CancellationToken;

    /// A snapshot of what `commands` make in a database of its own, and the dump of that.
    fn snapshot(dir: &Path, commands: &[crate::raft::RaftEntry]) -> (SnapshotFile, blake3::Hash) {
        let (db, _) = apply_all(commands, &[]);
        let file = dir.join(format!("{}.db", commands.len()));
        db.execute("VACUUM INTO ?1", [path_text(&file).unwrap()]).unwrap();
        (SnapshotFile(file), dump(&db, &[]))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_snapshot_brings_its_own_level_and_readers_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let alone = pack(&entries(vec![]), &[1]);
        let federated = pack(&entries(founding().map(|command| (command, false)).into()), &[1]);
        let (low, low_dump) = snapshot(dir.path(), &alone);
        let (high, high_dump) = snapshot(dir.path(), &federated);

        let mut live = schema::open_state(&path).unwrap();
        let fresh = dump(&live, &[]);
        let snapshots = Snapshots::open(&dir.path().join("snapshot"), &path).unwrap();
        let store = Store::open(&path, &crate::ground::Ground::Threads).await.unwrap();
        // Statements prepared before any change, and a reader that never pauses.
        assert_eq!((store.hosts().await.unwrap(), store.cluster().await.unwrap()), (vec![], None));
        snapshots.install(&mut live, &low).unwrap();
        let stop = CancellationToken::new();
        let reader = tokio::spawn({
            let (store, stop) = (store.clone(), stop.clone());
            async move {
                let mut seen = [0_u32; 2];
                while !stop.is_cancelled() {
                    let hosts = store.hosts().await.expect("a read of the hosts");
                    assert_eq!(hosts.len(), 1, "a state in between was seen");
                    let cluster = store.cluster().await.expect("a read of the cluster");
                    seen[usize::from(cluster.is_some())] += 1;
                }
                seen
            }
        });
        for _ in 0..20 {
            snapshots.install(&mut live, &high).unwrap();
            assert_eq!(dump(&live, &[]), high_dump);
            assert!(store.cluster().await.unwrap().is_some());
            assert_eq!(
                (store.level().await.unwrap(), schema_of(&live).unwrap()),
                (hostd_types::LEVEL, i64::from(hostd_types::LEVEL))
            );
            snapshots.install(&mut live, &low).unwrap();
            assert_eq!(dump(&live, &[]), low_dump);
            assert_eq!(store.cluster().await.unwrap(), None);
            assert_eq!((store.level().await.unwrap(), schema_of(&live).unwrap()), (1, 1));
        }
        stop.cancel();
        let seen = reader.await.unwrap();
        assert!(seen.iter().all(|reads| *reads > 0), "{seen:?}");

        schema::reset(&mut live).unwrap();
        assert_eq!(dump(&live, &[]), fresh);
        assert_eq!(store.hosts().await.unwrap(), []);
        // The writer goes on, too: it has statements prepared for other tables of the same names.
        apply::entries(&mut live, &federated).unwrap();
        assert_eq!(dump(&live, &[]), high_dump);
        assert_eq!(store.hosts().await.unwrap().len(), 1);
    }

    #[test]
    fn a_snapshot_of_a_newer_level_is_refused_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let mut live = schema::open_state(&path).unwrap();
        let before = dump(&live, &[]);
        let snapshots = Snapshots::open(&dir.path().join("snapshot"), &path).unwrap();
        let (newer, _) = snapshot(dir.path(), &pack(&entries(vec![]), &[1]));
        let db = Connection::open(&newer.0).unwrap();
        db.execute("UPDATE raft_meta SET schema = ?1", [LEVEL + 1]).unwrap();
        drop(db);
        let refused = snapshots.install(&mut live, &newer);
        assert!(matches!(refused, Err(StateError::Snapshot(_))), "{refused:?}");
        assert_eq!(dump(&live, &[]), before);
    }
}
