//! The disk under a simulated host. What lies in files and was not synced when the power goes is lost from some byte on.

use super::Flaw;
use super::dice::Dice;
use futures_util::future::BoxFuture;
use hostd_cluster::simulation::Disk;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Milliseconds a sync takes on a good disk.
pub const GOOD: Range<u64> = 0..4;

/// Cheap to clone.
#[derive(Clone)]
pub struct Platter(Arc<Mutex<Inner>>);

struct Inner {
    dir: PathBuf,
    dice: Dice,
    flaw: Flaw,
    /// Bytes of the log's write-ahead file that survive.
    synced: u64,
    takes: Range<u64>,
}

/// Files as a power cut left them.
pub struct Wreck(Vec<(PathBuf, Option<Vec<u8>>)>);

impl Platter {
    pub fn new(dir: &Path, dice: Dice, flaw: Flaw) -> Self {
        Self(Arc::new(Mutex::new(Inner { dir: dir.to_owned(), dice, flaw, synced: 0, takes: GOOD })))
    }

    /// How long syncs take from now on, milliseconds.
    pub fn takes(&self, millis: Range<u64>) {
        self.0.lock().unwrap().takes = millis;
    }

    /// What the power cut leaves, taken while everything still runs: closing a database would write more.
    pub fn cut_power(&self) -> Wreck {
        let inner = self.0.lock().unwrap();
        let file = |name: &str| (inner.dir.join(name), fs::read(inner.dir.join(name)).ok());
        let mut files = vec![file("log.db"), file("state.db")];
        for (name, synced) in [("log.db-wal", inner.synced), ("state.db-wal", 0)] {
            let (path, mut bytes) = file(name);
            if let Some(bytes) = &mut bytes {
                let len = bytes.len() as u64;
                // Often all of it reached the disk by itself.
                let kept =
                    if inner.dice.once_in(3) { len } else { inner.dice.number(synced.min(len)..len + 1) };
                bytes.truncate(usize::try_from(kept).expect("files are small"));
            }
            files.push((path, bytes));
        }
        files.extend(["log.db-shm", "state.db-shm"].map(|name| (inner.dir.join(name), None)));
        Wreck(files)
    }

    /// Puts the files back as the power cut left them, and lets SQLite recover the log.
    pub fn recover(&self, wreck: Option<Wreck>) {
        for (path, bytes) in wreck.into_iter().flat_map(|wreck| wreck.0) {
            match bytes {
                Some(bytes) => fs::write(path, bytes).unwrap(),
                None => drop(fs::remove_file(path)),
            }
        }
        let mut inner = self.0.lock().unwrap();
        inner.synced = 0;
        let log = inner.dir.join("log.db");
        if log.exists() {
            let db = rusqlite::Connection::open(log).unwrap();
            db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
            if inner.flaw == Flaw::VotesForgotten {
                // A log without tables was made in the last moments.
                let _ = db.execute("DELETE FROM meta WHERE key = 'vote'", []);
            }
        }
    }
}

impl Disk for Platter {
    fn sync(&self) -> BoxFuture<'static, ()> {
        let platter = self.clone();
        let (takes, written, late) = {
            let inner = self.0.lock().unwrap();
            let written = fs::metadata(inner.dir.join("log.db-wal")).map_or(0, |file| file.len());
            let late = (inner.flaw == Flaw::SyncsLate).then(|| inner.dice.millis(50..3000));
            (inner.dice.millis(inner.takes.clone()), written, late)
        };
        Box::pin(async move {
            let settle = move || {
                let mut inner = platter.0.lock().unwrap();
                inner.synced = inner.synced.max(written);
            };
            match late {
                None => {
                    tokio::time::sleep(takes).await;
                    settle();
                }
                Some(late) => {
                    tokio::spawn(async move {
                        tokio::time::sleep(late).await;
                        settle();
                    });
                }
            }
        })
    }
}
