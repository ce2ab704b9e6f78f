//! What can go wrong here: opening the databases, reading and writing them, decoding what they hold.

use hostd_types::{Problem, ProblemKind};
use std::path::PathBuf;

/// Why the cluster's storage can't be opened. Nothing on disk was changed unless the variant says so.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A database was written by a newer version.
    #[error(
        "{file} was written by a newer Quantix: its format is {found}, this version knows up to {known}. \
         Nothing was changed. Start the newer version again (boot the other slot), or put a copy of {file} from before the upgrade in its place."
    )]
    TooNew {
        /// The database.
        file: PathBuf,
        /// Number it carries.
        found: i64,
        /// Newest number this version knows.
        known: i64,
    },
    /// Another process has the directory open.
    #[error("{dir} is in use by another hostd; stop that one first")]
    InUse {
        /// The state directory.
        dir: PathBuf,
    },
    /// The files in the directory do not belong together.
    #[error("the files in {dir} do not belong together: {why}")]
    Inconsistent {
        /// The state directory.
        dir: PathBuf,
        /// What was found and the way out.
        why: String,
    },
    /// A file or directory can't be made, read or locked.
    #[error("can't {doing} {path}: {source}")]
    File {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A database can't be opened or read.
    #[error("can't open {file}: {source}")]
    Database {
        /// The database.
        file: PathBuf,
        /// Why not.
        source: StateError,
    },
    /// The read connections can't be opened.
    #[error("can't open read connections to state.db: {0}")]
    Pool(#[from] sqlx::Error),
    /// Consensus did not start.
    #[error("consensus did not start: {0}")]
    Raft(String),
}

impl From<ClusterError> for Problem {
    fn from(error: ClusterError) -> Self {
        let kind = match &error {
            ClusterError::InUse { .. } | ClusterError::Raft(_) => ProblemKind::Unavailable,
            ClusterError::TooNew { .. }
            | ClusterError::Inconsistent { .. }
            | ClusterError::File { .. }
            | ClusterError::Database { .. }
            | ClusterError::Pool(_) => ProblemKind::Internal,
        };
        Problem::new(kind, error.to_string())
    }
}

/// A failure of one of the databases or of what is stored in them.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// SQLite failed.
    #[error("SQLite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A file operation failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A stored column is not the JSON it should be.
    #[error("a stored row can't be read: {0}")]
    Row(#[from] serde_json::Error),
    /// A stored identifier is none.
    #[error("a stored row can't be read: {0}")]
    Id(#[from] hostd_types::BadId),
    /// A log record can't be read.
    #[error(transparent)]
    Record(#[from] crate::record::RecordError),
    /// An entry needs a newer version than this one.
    #[error("entry {index} has version {found}, this version knows up to {known}")]
    EntryTooNew {
        /// Its index.
        index: u64,
        /// Its version.
        found: u16,
        /// Newest version known here.
        known: u16,
    },
    /// An entry raises the level above what this version knows.
    #[error("entry {index} raises the level to {found}, this version knows up to {known}")]
    LevelTooNew {
        /// Its index.
        index: u64,
        /// The level it asks for.
        found: u16,
        /// Newest level known here.
        known: u16,
    },
    /// Entries of the log are missing.
    #[error("entries are missing: {0}")]
    Log(String),
    /// A snapshot can't be used.
    #[error("the snapshot can't be used: {0}")]
    Snapshot(String),
    /// The thread that owns the database is gone.
    #[error("the database is closed")]
    Closed,
}

/// Reports a failed read to the log and gives the user's words for it.
pub(crate) fn read_failed(error: impl std::fmt::Display) -> Problem {
    tracing::error!(%error, "reading the state failed");
    Problem::new(ProblemKind::Internal, "The host's state can't be read. The host's log says why.")
}
