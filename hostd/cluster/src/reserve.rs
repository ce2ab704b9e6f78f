//! Space kept for the moment when the file system of the state is full: guests' disks may share it, and a log that
//! can't be written is a host that accepts no change, not even the one that would make room.

use crate::error::StateError;
use crate::private;
use rusqlite::ErrorCode;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A file that is deleted when a write finds no room; cheap to clone.
#[derive(Clone)]
pub(crate) struct Reserve(Arc<Inner>);

struct Inner {
    path: PathBuf,
    bytes: u64,
    spent: AtomicBool,
    /// A write failed although the reserve was given up for it.
    starved: AtomicBool,
}

impl Reserve {
    /// Keeps `bytes` in `dir`; without room for them it begins spent.
    pub(crate) fn open(dir: &Path, bytes: u64) -> Self {
        let reserve = Self(Arc::new(Inner {
            path: dir.join("reserve"),
            bytes,
            spent: AtomicBool::new(true),
            starved: AtomicBool::new(false),
        }));
        reserve.refill();
        reserve
    }

    /// There was no room: until [`Reserve::refill`] succeeds only what makes room should be written.
    pub(crate) fn spent(&self) -> bool {
        self.0.spent.load(Ordering::Relaxed)
    }

    /// Runs `write`, which leaves nothing behind when it fails; once more with the reserve given up when there is no
    /// room. Blocks.
    pub(crate) fn retry<T>(&self, mut write: impl FnMut() -> Result<T, StateError>) -> Result<T, StateError> {
        let written = match write() {
            Err(error) if no_room(&error) && self.spend() => {
                tracing::error!(%error, reserve = self.0.bytes, "the disk of the state is full; the reserve is used");
                write()
            }
            other => other,
        };
        // An I/O error of a disk that has room is a fault of the disk, and no time to try again.
        if written.as_ref().is_err_and(no_room) && !self.room() {
            self.0.starved.store(true, Ordering::Relaxed);
        }
        written
    }

    /// A write failed for want of room, and there is room again.
    pub(crate) fn fed_again(&self) -> bool {
        self.0.starved.load(Ordering::Relaxed) && !self.spent()
    }

    /// What failed is done again.
    pub(crate) fn forget_hunger(&self) {
        self.0.starved.store(false, Ordering::Relaxed);
    }

    /// Gives the space up; false when there is none to give.
    fn spend(&self) -> bool {
        self.0.spent.store(true, Ordering::Relaxed);
        std::fs::remove_file(&self.0.path).is_ok()
    }

    /// Keeps the space again when there is twice as much, so that it does not come and go at every byte. Blocks.
    pub(crate) fn refill(&self) {
        let kept = std::fs::metadata(&self.0.path).is_ok_and(|file| file.len() == self.0.bytes);
        if kept || self.room() && self.allocate().is_ok() {
            self.0.spent.store(false, Ordering::Relaxed);
        }
    }

    fn room(&self) -> bool {
        let Some(dir) = self.0.path.parent() else { return false };
        rustix::fs::statvfs(dir).is_ok_and(|fs| fs.f_bavail.saturating_mul(fs.f_frsize) >= 2 * self.0.bytes)
    }

    fn allocate(&self) -> std::io::Result<()> {
        let part = self.0.path.with_extension("part");
        private::file(&part)?;
        let file = File::create(&part)?;
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, self.0.bytes)?;
        std::fs::rename(&part, &self.0.path)
    }
}

/// Whether the file system is full. SQLite tells of a full disk under its shared-memory file as an I/O error.
fn no_room(error: &StateError) -> bool {
    match error {
        StateError::Sqlite(error) => {
            matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure))
        }
        StateError::Io(error) => matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded),
        _ => false,
    }
}
