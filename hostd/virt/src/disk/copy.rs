//! Copying what a layer shows into a file of its own: by sharing blocks where the file system can, by QEMU's program
//! otherwise, without what was never written.

use super::create::{in_words, publish, sparse};
use super::inspect::absolute;
use super::{DiskError, Layer, backing};
use hostd_run::{Run, RunError};
use hostd_types::DiskFormat;
use nix::libc;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest a look at what a large disk holds may take.
const LONG: Duration = Duration::from_secs(600);

/// Bytes that a copy of what `from` shows takes at most.
///
/// # Errors
/// When it can't be read.
pub async fn measure(from: &Layer, to: DiskFormat) -> Result<u64, DiskError> {
    let run = Run::new("qemu-img").args(["measure", "--output=json", "-O", to.as_str()]);
    let run = run.args(["-f", from.format.as_str()]).arg(absolute(&from.path)?).deadline(LONG);
    let said = run.output().await;
    let said: serde_json::Value = serde_json::from_slice(&said.map_err(in_words)?)
        .map_err(|error| DiskError::Io(format!("qemu-img measures nothing: {error}")))?;
    Ok(said["required"].as_u64().unwrap_or_default())
}

/// Shares the blocks of `from` with the new file `path` (through `path.part`, fsync, rename); false when that can't be,
/// because `from` is over another file, has another format, or the file system can't do it.
///
/// # Errors
/// When reading or writing fails.
pub async fn reflink(path: &Path, format: DiskFormat, from: &Layer) -> Result<bool, DiskError> {
    if from.format != format || (format == DiskFormat::Qcow2 && backing(&from.path)?.is_some()) {
        return Ok(false);
    }
    let (path, part, from) = (absolute(path)?, part_of(path)?, from.path.clone());
    let work = move || {
        sparse(&part, 0)?;
        let (target, source) = (File::options().write(true).open(&part)?, File::open(from)?);
        // SAFETY: both files are open during the call, which takes no memory of ours.
        let shared = unsafe { libc::ioctl(target.as_raw_fd(), libc::FICLONE as _, source.as_raw_fd()) } == 0;
        if shared {
            publish(&part, &path)?
        } else {
            std::fs::remove_file(&part)?
        }
        Ok(shared)
    };
    tokio::task::spawn_blocking(work).await.map_err(|e| DiskError::Io(e.to_string()))?
}

/// Copies what `from` shows into `path.part`, which [`keep`] gives its name. `told` hears how far it is, in ten-thousandths.
/// Dropping the future ends the copy; its `.part` stays until the next one, or until it is removed.
///
/// # Errors
/// [`DiskError::Full`] when the pool has no room for it; [`DiskError::Io`] otherwise. Nothing is left behind then.
pub async fn copy(
    path: &Path,
    format: DiskFormat,
    from: &Layer,
    told: impl FnMut(u64) + Send,
) -> Result<(), DiskError> {
    let part = part_of(path)?;
    let copied = convert(&part, format, from, told).await;
    if copied.is_err() {
        let _ = tokio::fs::remove_file(&part).await;
    }
    copied
}

/// Gives a copy that is whole its name (fsync, rename). It is to be waited for: dropping the future does not keep it from
/// happening.
///
/// # Errors
/// When writing fails. Nothing is left behind then.
pub async fn keep(path: &Path) -> Result<(), DiskError> {
    let (path, part) = (absolute(path)?, part_of(path)?);
    let work = move || {
        publish(&part, &path).inspect_err(|_| {
            let _ = std::fs::remove_file(&part);
        })
    };
    tokio::task::spawn_blocking(work).await.map_err(|e| DiskError::Io(e.to_string()))?
}

async fn convert(
    part: &Path,
    format: DiskFormat,
    from: &Layer,
    told: impl FnMut(u64) + Send,
) -> Result<(), DiskError> {
    sparse(part, 0)?; // so that the mode is ours
    let run = Run::new("qemu-img").args(["convert", "-p", "-f", from.format.as_str(), "-O", format.as_str()]);
    let mut command = run.arg(absolute(&from.path)?).arg(part).command();
    let mut child = command.spawn()?;
    let (out, mut said) = (child.stdout.take(), child.stderr.take());
    let mut words = Vec::new();
    let read = async {
        if let Some(said) = &mut said {
            let _ = said.take(4096).read_to_end(&mut words).await;
        }
    };
    tokio::join!(follow(out, told), read);
    let status = child.wait().await?;
    if status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&words).trim().to_owned();
    Err(in_words(RunError::Failed { program: "qemu-img".into(), status, stderr }))
}

/// Hears `(12.34/100%)`, again and again, behind carriage returns.
async fn follow(out: Option<impl AsyncRead + Unpin>, mut told: impl FnMut(u64)) {
    let Some(mut out) = out else { return };
    let (mut line, mut bytes) = (String::new(), [0; 512]);
    while let Ok(count) = out.read(&mut bytes).await {
        if count == 0 {
            return;
        }
        line.push_str(&String::from_utf8_lossy(&bytes[..count]));
        if let Some(share) = share_of(&line) {
            told(share);
        }
        let keep = line.rfind('(').map_or(line.len(), |at| at);
        line.drain(..keep);
    }
}

/// The last whole share in `text`, in ten-thousandths.
fn share_of(text: &str) -> Option<u64> {
    let (before, _) = text.rsplit_once("/100%)")?;
    let percent: f64 = before.rsplit_once('(')?.1.trim().parse().ok()?;
    Some((percent.clamp(0.0, 100.0) * 100.0) as u64)
}

fn part_of(path: &Path) -> Result<PathBuf, DiskError> {
    let mut name = absolute(path)?.into_os_string();
    name.push(".part");
    Ok(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_share_counts() {
        assert_eq!(share_of("    (0.00/100%)\r    (12.34/100%)\r    (13.0"), Some(1234));
        assert_eq!(share_of("    (100.00/100%)\r"), Some(10_000));
        assert_eq!(share_of("    (1"), None);
    }
}
