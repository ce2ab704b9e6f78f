//! The directory pool `local`: where the files of images and volumes are, and how much room is left.
//!
//! Knows paths and sizes; what is in a file is the business of `hostd_virt::disk`.

use hostd_types::*;
use hostd_virt::disk::Layer;
use nix::sys::statvfs::statvfs;
use std::io;
use std::path::{Path, PathBuf};

/// Name of the one pool.
pub(crate) const POOL_NAME: &str = "local";
/// Bytes kept free at most when the size of an upload is checked.
const RESERVE_MAX: u64 = 256 << 20;

/// The pool `local`.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    root: PathBuf,
}

impl Pool {
    /// The pool below `pool_dir`; nothing is made yet.
    pub fn at(pool_dir: &Path) -> Self {
        Self { root: pool_dir.join(POOL_NAME) }
    }
    /// Its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// Makes its directories where they are missing.
    pub fn make(&self) -> io::Result<()> {
        std::fs::create_dir_all(self.images())?;
        std::fs::create_dir_all(self.volumes())?;
        std::fs::create_dir_all(self.memory_dir())
    }
    /// Directory of image files.
    pub fn images(&self) -> PathBuf {
        self.root.join("images")
    }
    /// Directory of volume files.
    pub fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }
    /// File of a ready image.
    pub fn image(&self, id: ImageId) -> PathBuf {
        self.images().join(format!("{id}.img"))
    }
    /// File of an image while it is uploaded.
    pub fn image_part(&self, id: ImageId) -> PathBuf {
        self.images().join(format!("{id}.part"))
    }
    /// File of a volume.
    pub fn volume(&self, id: VolumeId, format: DiskFormat) -> PathBuf {
        self.volumes().join(format!("{id}.{}", format.as_str()))
    }
    /// File of a layer of a volume.
    pub fn layer(&self, volume: &Volume, layer: LayerId) -> Layer {
        let (id, format) = (volume.id, volume.spec.format);
        if layer == LayerId::BASE {
            return Layer { path: self.volume(id, format), format };
        }
        Layer { path: self.volumes().join(format!("{id}.{layer}.qcow2")), format: DiskFormat::Qcow2 }
    }
    /// File that the guest writes to.
    pub fn active(&self, volume: &Volume) -> Layer {
        self.layer(volume, volume.spec.layers.active)
    }
    /// File that says that what a layer held is in the one under it, before the rows say so.
    pub fn merged(&self, volume: VolumeId, layer: LayerId) -> PathBuf {
        self.volumes().join(format!("{volume}.{layer}.merged"))
    }
    /// File that says that a part of what a layer holds may be in the one under it.
    pub fn merging(&self, volume: VolumeId, layer: LayerId) -> PathBuf {
        self.volumes().join(format!("{volume}.{layer}.merging"))
    }
    fn memory_dir(&self) -> PathBuf {
        self.root.join("memory")
    }
    /// File that keeps the memory of a snapshot.
    pub fn memory(&self, snapshot: SnapshotId) -> PathBuf {
        self.memory_dir().join(format!("{snapshot}.memory"))
    }
    /// Every file of a volume, whole or not.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub fn files_of(&self, volume: VolumeId) -> io::Result<Vec<PathBuf>> {
        let (prefix, mut files) = (format!("{volume}."), Vec::new());
        for entry in std::fs::read_dir(self.volumes())? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix)) {
                files.push(entry.path());
            }
        }
        Ok(files)
    }
    /// How full the pool's file system is.
    pub fn space(&self) -> io::Result<PoolFacts> {
        let stat = statvfs(&self.root)?;
        let block = stat.fragment_size();
        Ok(PoolFacts {
            name: POOL_NAME.into(),
            path: self.root.display().to_string(),
            total_bytes: stat.blocks() * block,
            free_bytes: stat.blocks_available() * block,
        })
    }
    /// Removes a file; fine when it is not there.
    pub fn remove(path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
    /// Removes files, durably, in a thread of its own (a large file takes a while); fine where they are not there.
    ///
    /// # Errors
    /// When one can't be removed.
    pub async fn discard(files: Vec<PathBuf>) -> io::Result<()> {
        let work = move || {
            for file in &files {
                Self::remove(file)?;
            }
            files.first().map_or(Ok(()), |file| Self::sync_dir(file))
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
    /// Makes names added to or removed from the directory of `path` durable.
    pub fn sync_dir(path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(dir) => std::fs::File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    }
}

/// Bytes of a file system of `total` bytes that uploads leave free: 2 %, at most 256 MiB.
pub(crate) fn reserve(total: u64) -> u64 {
    (total / 50).min(RESERVE_MAX)
}

/// A size for people: `1.5 GiB`.
pub(crate) fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let text = format!("{value:.1}");
    format!("{} {}", text.strip_suffix(".0").unwrap_or(&text), UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        for (bytes, text) in [
            (5, "5 bytes"),
            (1024, "1 KiB"),
            (1536 << 20, "1.5 GiB"),
            (64 << 40, "64 TiB"),
            (1 << 20, "1 MiB"),
        ] {
            assert_eq!(human(bytes), text);
        }
    }

    #[test]
    fn a_small_pool_keeps_a_small_reserve() {
        assert_eq!(reserve(50 << 20), 1 << 20);
        assert_eq!(reserve(1 << 40), RESERVE_MAX);
    }

    #[test]
    fn removing_what_is_not_there_is_fine() {
        let dir = tempfile::tempdir().expect("directory");
        let pool = Pool::at(dir.path());
        pool.make().expect("pool");
        Pool::remove(&pool.image(ImageId::new())).expect("nothing to remove");
        assert!(pool.space().expect("space").total_bytes > 0);
    }
}
