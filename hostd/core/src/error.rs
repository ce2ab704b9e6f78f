//! Failures of the leaf crates in the user's words. The cause is logged here, once; it never enters a `Problem` unless
//! it helps the user.

use hostd_net::NetError;
use hostd_types::*;
use hostd_virt::VirtError;
use hostd_virt::disk::DiskError;

/// Seconds after which libvirt is worth another try.
const RETRY_S: u32 = 10;

/// A failed libvirt call; `doing` completes "… failed" (`starting web`).
pub(crate) fn virt(doing: &str, error: VirtError) -> Problem {
    tracing::warn!(%error, "{doing} failed");
    match error {
        VirtError::Down(reason) => {
            let detail = format!(
                "libvirt does not answer ({reason}); running machines are not affected. Try again when it does."
            );
            Problem::new(ProblemKind::Unavailable, detail).retry_after(RETRY_S)
        }
        VirtError::NoDomain(_) => {
            let detail = format!(
                "{doing} failed: libvirt has lost the machine's definition; it is being made again. Try again."
            );
            Problem::new(ProblemKind::Unavailable, detail).retry_after(RETRY_S)
        }
        VirtError::Call { message, .. } => {
            let capacity = ["Cannot allocate memory", "cannot set up guest memory", "No space left"];
            let kind = if capacity.iter().any(|sign| message.contains(sign)) {
                ProblemKind::Capacity
            } else {
                ProblemKind::Internal
            };
            Problem::new(kind, format!("{doing} failed: {}", sentence(&message)))
        }
    }
}

/// A failed disk operation; `doing` completes "… failed" (`making the disk web-disk0`).
pub(crate) fn disk(doing: &str, error: DiskError) -> Problem {
    tracing::warn!(%error, "{doing} failed");
    match error {
        DiskError::NotAnImage(why) => Problem::field("/file", sentence(&why)),
        DiskError::Full => {
            let detail = format!("{doing} failed: the pool is full. Delete images or disks, then try again.");
            Problem::new(ProblemKind::Capacity, detail)
        }
        DiskError::Io(why) => {
            Problem::new(ProblemKind::Internal, format!("{doing} failed: {}", sentence(&why)))
        }
    }
}

/// A failed look at or change of the host's network.
pub(crate) fn net(error: NetError) -> Problem {
    tracing::warn!(%error, "the host's network can't be read or changed");
    Problem::new(ProblemKind::Internal, format!("The host's network refused: {}", sentence(&chain(&error))))
}

/// A failed file operation in the pool.
pub(crate) fn storage(error: std::io::Error) -> Problem {
    tracing::warn!(%error, "a file of the pool can't be read or written");
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            Problem::new(ProblemKind::Capacity, "The pool is full. Delete images or disks, then try again.")
        }
        _ => Problem::new(ProblemKind::Internal, format!("The pool can't be read or written: {error}.")),
    }
}

/// A failure that is a defect or nothing the user can do about.
pub(crate) fn internal(what: &str, error: impl std::fmt::Display) -> Problem {
    tracing::error!(%error, "{what}");
    Problem::new(ProblemKind::Internal, format!("{what}. The host's log says why."))
}

/// The error with its sources.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// `text` without line breaks, ending in a full stop, at most 500 characters.
pub(crate) fn sentence(text: &str) -> String {
    let mut line: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(500).collect();
    if !line.ends_with(['.', '!', '?']) {
        line.push('.');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_become_one_sentence() {
        assert_eq!(sentence("internal error:\n  qemu died"), "internal error: qemu died.");
        let full = disk("making the disk x", DiskError::Full);
        assert_eq!(full.kind, ProblemKind::Capacity);
        let down = virt("starting web", VirtError::Down("refused".into()));
        assert_eq!((down.kind, down.retry_after), (ProblemKind::Unavailable, Some(RETRY_S)));
    }
}
