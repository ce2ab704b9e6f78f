//! Making a disk file larger while nothing uses it.

use super::DiskError;
use super::create::in_words;
use super::inspect::absolute;
use hostd_run::Run;
use hostd_types::DiskFormat;
use std::path::Path;

/// Lets the disk in `path` have `size_bytes`; done again it does nothing. `qemu-img` refuses to make one smaller, and to
/// touch one that a machine has open.
///
/// # Errors
/// [`DiskError::Full`] when the pool has no room for that; [`DiskError::Io`] with its words otherwise.
pub async fn grow(path: &Path, format: DiskFormat, size_bytes: u64) -> Result<(), DiskError> {
    let run = Run::new("qemu-img").args(["resize", "-q", "-f", format.as_str()]);
    run.arg(absolute(path)?).arg(size_bytes.to_string()).output().await.map_err(in_words)?;
    Ok(())
}
