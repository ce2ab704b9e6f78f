//! Making disk files: beside the final name, flushed, then renamed, so that a file of that name is always whole.

use super::DiskError;
use super::inspect::absolute;
use hostd_run::{Run, RunError};
use hostd_types::DiskFormat;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Makes `path` (through `path.part`, fsync, rename): blank, or layered over `backing`. It is sparse: the pool fills
/// as the guest writes.
///
/// # Errors
/// [`DiskError::Full`] when the pool has no room even for that; [`DiskError::Io`] when `path` exists already or
/// something else fails. Nothing is left behind in either case.
pub async fn create(
    path: &Path,
    format: DiskFormat,
    size_bytes: u64,
    backing: Option<(&Path, DiskFormat)>,
) -> Result<(), DiskError> {
    let path = absolute(path)?;
    let mut name = path.clone().into_os_string();
    name.push(".part");
    let part = PathBuf::from(name);
    let made = make(&path, &part, format, size_bytes, backing).await;
    if made.is_err() {
        let _ = tokio::fs::remove_file(&part).await;
    }
    made
}

async fn make(
    path: &Path,
    part: &Path,
    format: DiskFormat,
    size_bytes: u64,
    backing: Option<(&Path, DiskFormat)>,
) -> Result<(), DiskError> {
    if path.exists() {
        return Err(DiskError::Io(format!("{} exists already", path.display())));
    }
    match format {
        DiskFormat::Raw if backing.is_some() => {
            return Err(DiskError::Io("a raw disk can't be layered over an image".into()));
        }
        DiskFormat::Raw => sparse(part, size_bytes)?,
        DiskFormat::Qcow2 => {
            sparse(part, 0)?; // so that the mode is ours
            let mut run = Run::new("qemu-img").args(["create", "-q", "-f", "qcow2"]);
            if let Some((backing, format)) = backing {
                run = run.arg("-b").arg(absolute(backing)?).args(["-F", format.as_str()]);
            }
            run.arg(part).arg(size_bytes.to_string()).output().await.map_err(in_words)?;
        }
    }
    let (path, part) = (path.to_owned(), part.to_owned());
    let publish = tokio::task::spawn_blocking(move || publish(&part, &path));
    publish.await.map_err(|e| DiskError::Io(e.to_string()))?
}

pub(super) fn sparse(part: &Path, size_bytes: u64) -> Result<(), DiskError> {
    let _ = fs::remove_file(part); // of a creation that was cut short
    let file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(part)?;
    Ok(file.set_len(size_bytes)?)
}

pub(super) fn publish(part: &Path, path: &Path) -> Result<(), DiskError> {
    File::open(part)?.sync_all()?;
    match renameat2(AT_FDCWD, part, AT_FDCWD, path, RenameFlags::RENAME_NOREPLACE) {
        Err(Errno::EINVAL) => fs::rename(part, path)?, // a file system without the flag
        other => other.map_err(std::io::Error::from)?,
    }
    match path.parent() {
        Some(dir) => Ok(File::open(dir)?.sync_all()?),
        None => Ok(()),
    }
}

pub(super) fn in_words(error: RunError) -> DiskError {
    match &error {
        RunError::Failed { stderr, .. } if stderr.contains("No space left on device") => DiskError::Full,
        RunError::Failed { stderr, .. } => DiskError::Io(stderr.clone()),
        RunError::Start { source, .. } => DiskError::Io(format!("{error}: {source}")),
        RunError::Late { .. } | RunError::Pipe { .. } => DiskError::Io(error.to_string()),
    }
}
