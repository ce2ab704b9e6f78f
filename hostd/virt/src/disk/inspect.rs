//! What an untrusted file is.

use super::format::{HEAD, Recognized, TAIL, recognize};
use super::{DiskError, Inspected, qcow2};
use hostd_run::Run;
use hostd_types::{DiskFormat, ImageKind, VOLUME_MAX_BYTES};
use nix::libc;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long `qemu-img` may look at one file.
const DEADLINE: Duration = Duration::from_secs(120);
/// Memory it may use, bytes; a made-up table must not fill the host.
const MEMORY: u64 = 2 << 30;
/// Bytes an ISO may lack at its end: some are written without their padding.
const ISO_PADDING: u64 = 150 * 2048;

/// What an untrusted file is; refuses backing files, external data files, encryption, other formats, truncation.
///
/// # Errors
/// [`DiskError::NotAnImage`] with the reason and the way out; [`DiskError::Io`] when it can't be read.
pub async fn inspect(path: &Path) -> Result<Inspected, DiskError> {
    let file = path.to_owned();
    let look = tokio::task::spawn_blocking(move || by_content(&file));
    let inspected = look.await.map_err(|e| DiskError::Io(e.to_string()))??;
    match inspected.format {
        DiskFormat::Qcow2 => check_by_qemu(path, inspected).await,
        DiskFormat::Raw => Ok(inspected),
    }
}

/// The size that a guest sees of a qcow2 file, which refers to nothing outside itself.
///
/// # Errors
/// [`DiskError::NotAnImage`] when it is none, or refers to something; [`DiskError::Io`] when it can't be read.
pub async fn size_alone(path: &Path) -> Result<u64, DiskError> {
    let file = path.to_owned();
    let look = tokio::task::spawn_blocking(move || by_content(&file));
    let inspected = look.await.map_err(|e| DiskError::Io(e.to_string()))??;
    match inspected.format {
        DiskFormat::Qcow2 => Ok(inspected.virtual_bytes),
        DiskFormat::Raw => Err(DiskError::NotAnImage("It is no qcow2 file.".into())),
    }
}

fn by_content(path: &Path) -> Result<Inspected, DiskError> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    if bytes == 0 {
        return Err(DiskError::NotAnImage("The file is empty.".into()));
    }
    let mut head = Vec::with_capacity(HEAD);
    file.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(bytes.saturating_sub(TAIL as u64)))?;
    let mut tail = Vec::with_capacity(TAIL);
    file.take(TAIL as u64).read_to_end(&mut tail)?;
    judge(recognize(&head, &tail), &head, bytes).map_err(DiskError::NotAnImage)
}

fn judge(recognized: Recognized, head: &[u8], bytes: u64) -> Result<Inspected, String> {
    let incomplete = |claimed: u64| {
        format!(
            "The image is incomplete: it describes {claimed} bytes, the file has {bytes}. Upload it again"
        )
    };
    let raw = |kind| Inspected { kind, format: DiskFormat::Raw, virtual_bytes: bytes };
    match recognized {
        Recognized::Qcow2 => Ok(Inspected {
            kind: ImageKind::Disk,
            format: DiskFormat::Qcow2,
            virtual_bytes: qcow2::check_header(head, bytes)?,
        }),
        Recognized::Iso(Some(claimed)) if claimed > bytes.saturating_add(ISO_PADDING) => {
            Err(incomplete(claimed))
        }
        Recognized::Iso(_) => Ok(raw(ImageKind::Iso)),
        Recognized::Foreign(name, driver) => Err(format!(
            "The file is a {name} image. Convert it: qemu-img convert -f {driver} -O qcow2 IMAGE NEW.qcow2"
        )),
        Recognized::Packed(name) => {
            Err(format!("The file is packed with {name}. Unpack it and upload the image itself."))
        }
        Recognized::Raw(Some(claimed)) if claimed > bytes => Err(incomplete(claimed)),
        Recognized::Raw(_) if !bytes.is_multiple_of(512) => Err(format!(
            "The file is no known image: neither qcow2 nor ISO, and a raw disk has a multiple of 512 bytes, not {bytes}."
        )),
        Recognized::Raw(_) if bytes > VOLUME_MAX_BYTES => Err("The disk is larger than 64 TiB.".into()),
        Recognized::Raw(_) => Ok(raw(ImageKind::Disk)),
    }
}

/// `qemu-img`'s own view of a qcow2 file whose header is sound: it must agree, and every table must be inside the file.
async fn check_by_qemu(path: &Path, inspected: Inspected) -> Result<Inspected, DiskError> {
    let info = qemu_img(["info", "--output=json", "-U", "-f", "qcow2"], path).await?;
    let damaged = |said: &str| {
        DiskError::NotAnImage(format!("The image is damaged or incomplete: {}. Upload it again", said.trim()))
    };
    let facts: serde_json::Value = serde_json::from_slice(&info.out).map_err(|_| damaged(&info.said))?;
    if facts["virtual-size"].as_u64() != Some(inspected.virtual_bytes) {
        return Err(damaged("qemu-img reads another size"));
    }
    let refers = ["backing-filename", "full-backing-filename", "encrypted"];
    if refers.iter().any(|key| facts.get(key).is_some_and(|v| v.as_bool() != Some(false))) {
        return Err(DiskError::NotAnImage("The image refers to another file or is encrypted.".into()));
    }
    let check = qemu_img(["check", "-q", "-U", "-f", "qcow2"], path).await?;
    match check.code {
        Some(0 | 3) => Ok(inspected), // 3: clusters nobody uses, harmless
        _ => Err(damaged(check.said.lines().next().unwrap_or("qemu-img gave no reason"))),
    }
}

struct Said {
    code: Option<i32>,
    out: Vec<u8>,
    said: String,
}

/// Runs `qemu-img` on an untrusted file with limits on memory and processor time, and no right to write a file.
async fn qemu_img(args: impl IntoIterator<Item = &'static str>, path: &Path) -> Result<Said, DiskError> {
    let mut command = Run::new("qemu-img").args(args).arg(absolute(path)?).command();
    // SAFETY: only setrlimit runs between fork and exec, which is allowed there.
    unsafe {
        command.pre_exec(|| {
            limit(libc::RLIMIT_AS, MEMORY)?;
            limit(libc::RLIMIT_CPU, DEADLINE.as_secs())?;
            limit(libc::RLIMIT_FSIZE, 0)
        });
    }
    let output = tokio::time::timeout(DEADLINE, command.output()).await.map_err(|_| {
        DiskError::NotAnImage("The image takes too long to check; it is probably damaged.".into())
    })??;
    let said = String::from_utf8_lossy(&output.stderr).chars().take(500).collect();
    Ok(Said { code: output.status.code(), out: output.stdout, said })
}

fn limit(resource: libc::__rlimit_resource_t, value: u64) -> std::io::Result<()> {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: the structure is alive during the call.
    match unsafe { libc::setrlimit(resource, &raw const limit) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// A path that can't be taken for an option or a protocol (`nbd:…`).
pub(super) fn absolute(path: &Path) -> Result<PathBuf, DiskError> {
    Ok(std::path::absolute(path)?)
}
