//! Dumps of guests' memory that libvirt writes when a guest panics. There is room for a few.

use crate::Hypervisor;
use std::path::Path;
use std::time::SystemTime;

/// Where libvirt writes them; on the appliance that is on the data partition.
pub const DUMP_DIR: &str = "/var/lib/libvirt/qemu/dump";

impl Hypervisor {
    /// Removes all but the newest `keep` dumps of this host. What can't be removed stays, and the log says so.
    pub async fn prune_dumps(&self, keep: usize) {
        let pruned = tokio::task::spawn_blocking(move || prune(Path::new(DUMP_DIR), keep)).await;
        match pruned {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "old dumps can't be removed"),
            Err(error) => tracing::warn!(%error, "old dumps can't be removed"),
        }
    }
}

fn prune(dir: &Path, keep: usize) -> std::io::Result<()> {
    let mut dumps = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let (entry, written) = entry.and_then(|entry| {
            let written = entry.metadata()?.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            Ok((entry, written))
        })?;
        dumps.push((written, entry.path()));
    }
    dumps.sort();
    let old = dumps.len().saturating_sub(keep);
    dumps.into_iter().take(old).try_for_each(|(_, path)| std::fs::remove_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_dumps_stay() {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, second) in [("b", 2), ("a", 3), ("c", 1)] {
            let file = std::fs::File::create(dir.path().join(name)).expect("a dump");
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second))
                .expect("a time");
        }
        prune(dir.path(), 2).expect("pruned");
        let mut left: Vec<_> =
            std::fs::read_dir(dir.path()).expect("dumps").map(|e| e.expect("a dump").file_name()).collect();
        left.sort();
        assert_eq!(left, ["a", "b"]);
    }
}
