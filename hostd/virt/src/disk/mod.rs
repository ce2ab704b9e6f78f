//! Disk files: what an uploaded file is, and making new ones. Formats are told by their first bytes and then named to
//! `qemu-img`; it is never allowed to guess, because a guess lets a file point at others.

mod copy;
mod create;
mod format;
mod grow;
mod inspect;
mod layer;
mod qcow2;

pub use copy::{copy, keep, measure, reflink};
pub use create::create;
pub use grow::grow;
pub use inspect::{inspect, size_alone};
pub use layer::{Layer, backing, commit, let_go, put, rename_backing, verify};

use hostd_types::{DiskFormat, ImageKind};

/// Why a disk file can't be used or made; the text is for the person who uploaded or asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiskError {
    /// The file is not an image we take; says what it is and the way out.
    #[error("{0}")]
    NotAnImage(String),
    /// The pool is full.
    #[error("no space left on the pool")]
    Full,
    /// Reading or writing failed.
    #[error("{0}")]
    Io(String),
}

impl From<std::io::Error> for DiskError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => DiskError::Full,
            _ => DiskError::Io(error.to_string()),
        }
    }
}

/// What an untrusted file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// Disk image or ISO.
    pub kind: ImageKind,
    /// Format of the file.
    pub format: DiskFormat,
    /// Size a guest sees, bytes.
    pub virtual_bytes: u64,
}
