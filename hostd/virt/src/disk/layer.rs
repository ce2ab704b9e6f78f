//! Layers of a disk that no QEMU writes to: putting one over another, merging one into the one under it, checking that
//! nothing was lost. Every function may be cut anywhere and called again; none removes a file.

use super::create::{self, in_words};
use super::inspect::absolute;
use super::{DiskError, format::field};
use hostd_run::{Run, RunError};
use hostd_types::DiskFormat;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest a merge may take: it copies what a layer holds.
const LONG: Duration = Duration::from_secs(24 * 3600);
/// Longest a look at tables may take.
const CHECK: Duration = Duration::from_secs(600);
/// Time a killed program has to let go of its files.
const LET_GO: Duration = Duration::from_secs(10);
/// Status of `qemu-img check` when the only thing wrong is room that nothing uses.
const LEAKS: i32 = 3;

/// A file of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Its path.
    pub path: PathBuf,
    /// Its format.
    pub format: DiskFormat,
}

/// Makes the empty layer `path` of `size_bytes` over `under`; fine when it is there already, since a file gets that name
/// when it is whole.
///
/// # Errors
/// [`DiskError::Full`] when the pool has no room even for that; nothing is left behind then.
pub async fn put(path: &Path, size_bytes: u64, under: &Layer) -> Result<(), DiskError> {
    if path.exists() {
        return Ok(());
    }
    // Never less than what it is over: the end of that could be read no more.
    let size_bytes = size_bytes.max(size_of(under)?);
    create::create(path, DiskFormat::Qcow2, size_bytes, Some((&under.path, under.format))).await
}

/// The size of the disk that a layer shows, by its header: QEMU may have the file open.
fn size_of(layer: &Layer) -> Result<u64, DiskError> {
    if layer.format == DiskFormat::Raw {
        return Ok(std::fs::metadata(&layer.path)?.len());
    }
    let mut head = [0; 32];
    File::open(&layer.path)?.read_exact(&mut head)?;
    Ok(u64::from_be_bytes(field(&head, 24)))
}

/// Copies what `upper` holds into `lower`, which it is directly over, and flushes it. `upper` stays as it is, and what
/// `lower` holds is what `upper` shows.
///
/// # Errors
/// When `upper` is over something else, when the pool is full, or when a file is in use. `upper` shows the same as before
/// in any case; calling it again goes on.
pub async fn commit(upper: &Path, lower: &Layer) -> Result<(), DiskError> {
    let named = backing(upper)?;
    if named.as_deref() != Some(absolute(&lower.path)?.as_path()) {
        let named = named.map_or_else(|| "nothing".into(), |path| path.display().to_string());
        let (upper, lower) = (upper.display(), lower.path.display());
        return Err(DiskError::Io(format!("{upper} is over {named}, not over {lower}; it is left alone")));
    }
    let run = Run::new("qemu-img").args(["commit", "-q", "-d", "-f", "qcow2"]).arg(upper).deadline(LONG);
    run.output().await.map_err(in_words)?;
    let lower = lower.path.clone();
    let flush = tokio::task::spawn_blocking(move || File::open(lower)?.sync_all());
    Ok(flush.await.map_err(|e| DiskError::Io(e.to_string()))??)
}

/// Checks that `lower` alone shows the same as `upper`, and that its tables are whole. With `shared` a QEMU may read
/// them meanwhile.
///
/// # Errors
/// That they differ, or that they can't be read.
pub async fn verify(upper: &Path, lower: &Layer, shared: bool) -> Result<(), DiskError> {
    let share: &[&str] = if shared { &["-U"] } else { &[] };
    let format = lower.format.as_str();
    let compare =
        Run::new("qemu-img").args(["compare", "-q"]).args(share).args(["-f", "qcow2", "-F", format]);
    let compared = compare.arg(upper).arg(&lower.path).deadline(LONG).output().await;
    compared.map_err(|error| match &error {
        RunError::Failed { status, .. } if status.code() == Some(1) => DiskError::Io(format!(
            "{} does not show what {} does; both are kept",
            lower.path.display(),
            upper.display()
        )),
        RunError::Failed { .. } | RunError::Start { .. } | RunError::Late { .. } | RunError::Pipe { .. } => {
            in_words(error)
        }
    })?;
    if lower.format == DiskFormat::Raw {
        return Ok(());
    }
    let check = Run::new("qemu-img").args(["check", "-q"]).args(share).args(["-f", format]);
    match check.arg(&lower.path).deadline(CHECK).output().await {
        Err(RunError::Failed { status, .. }) if status.code() == Some(LEAKS) => Ok(()),
        other => other.map(drop).map_err(in_words),
    }
}

/// Waits until no program that was just killed holds the file any more.
///
/// # Errors
/// When one still does after seconds.
pub async fn let_go(layer: &Layer) -> Result<(), DiskError> {
    let end = tokio::time::Instant::now() + LET_GO;
    loop {
        let look = Run::new("qemu-img").args(["info", "-f", layer.format.as_str()]).arg(&layer.path);
        match look.output().await {
            Ok(_) => return Ok(()),
            Err(error) if tokio::time::Instant::now() > end => return Err(in_words(error)),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await, // between two looks
        }
    }
}

/// Makes `layer` name `under` as what it is over; both must show the same through the old and the new name. Fine when it
/// does so already.
///
/// # Errors
/// When the file can't be written.
pub async fn rename_backing(layer: &Path, under: &Layer) -> Result<(), DiskError> {
    let under_path = absolute(&under.path)?;
    if backing(layer)?.as_deref() == Some(under_path.as_path()) {
        return Ok(());
    }
    let run =
        Run::new("qemu-img").args(["rebase", "-q", "-u", "-f", "qcow2", "-F", under.format.as_str(), "-b"]);
    run.arg(under_path).arg(layer).output().await.map(drop).map_err(in_words)
}

/// The file that a qcow2 file names as what it is over.
///
/// # Errors
/// When it can't be read or is no qcow2 file.
pub fn backing(path: &Path) -> Result<Option<PathBuf>, DiskError> {
    // The name is in the first cluster, at most 1023 bytes long.
    let mut head = Vec::new();
    File::open(path)?.take(64 << 10).read_to_end(&mut head)?;
    if !head.starts_with(b"QFI\xfb") {
        return Err(DiskError::Io(format!("{} is no qcow2 file", path.display())));
    }
    let at = u64::from_be_bytes(field(&head, 8));
    let length = u32::from_be_bytes(field(&head, 16));
    if at == 0 {
        return Ok(None);
    }
    let odd =
        || DiskError::Io(format!("{} names what it is over in a way that can't be read", path.display()));
    let start = usize::try_from(at).map_err(|_| odd())?;
    let end = start.checked_add(usize::try_from(length).map_err(|_| odd())?).ok_or_else(odd)?;
    let name = head.get(start..end).ok_or_else(odd)?;
    Ok(Some(PathBuf::from(std::ffi::OsString::from_vec(name.to_vec()))))
}
