//! SHA-256 of files and trees, and the fingerprints that let a stage be skipped. Knows no stage.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::tree;

/// SHA-256 of a file's bytes, lower-case hex.
pub fn file(path: &Path) -> Result<String> {
    let mut from = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0u8; 1 << 20];
    loop {
        let n = from.read(&mut buffer).with_context(|| format!("cannot read {}", path.display()))?;
        if n == 0 {
            return Ok(hex::encode(hash.finalize()));
        }
        hash.update(&buffer[..n]);
    }
}

/// A hash over named inputs. Order matters; names keep neighbours from running into each other.
#[derive(Default)]
pub struct Fingerprint(Sha256);

impl Fingerprint {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a named value.
    pub fn add(mut self, name: &str, value: &str) -> Self {
        self.put(name, value.as_bytes());
        self
    }

    /// Adds a file's content.
    pub fn file(self, name: &str, path: &Path) -> Result<Self> {
        let hash = file(path)?;
        Ok(self.add(name, &hash))
    }

    /// Adds a tree: paths, permission bits, link targets and contents. Owners and times do not count.
    pub fn tree(mut self, name: &str, root: &Path) -> Result<Self> {
        for entry in tree::walk(root)? {
            let path = root.join(&entry);
            let meta = path.symlink_metadata()?;
            let value = if meta.is_symlink() {
                format!("-> {}", std::fs::read_link(&path)?.display())
            } else if meta.is_dir() {
                format!("d {:o}", meta.permissions().mode() & 0o7777)
            } else {
                format!("{:o} {}", meta.permissions().mode() & 0o7777, file(&path)?)
            };
            self.put(&format!("{name}/{}", entry.display()), value.as_bytes());
        }
        Ok(self)
    }

    /// The whole, as lower-case hex.
    pub fn finish(self) -> String {
        hex::encode(self.0.finalize())
    }

    fn put(&mut self, name: &str, value: &[u8]) {
        for part in [name.as_bytes(), value] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_do_not_run_together() {
        let one = Fingerprint::new().add("a", "bc").finish();
        let two = Fingerprint::new().add("ab", "c").finish();
        assert_ne!(one, two);
    }

    #[test]
    fn tree_sees_content_and_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "1").unwrap();
        let one = Fingerprint::new().tree("t", dir.path()).unwrap().finish();
        std::fs::write(&path, "2").unwrap();
        let two = Fingerprint::new().tree("t", dir.path()).unwrap().finish();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let three = Fingerprint::new().tree("t", dir.path()).unwrap().finish();
        assert!(one != two && two != three);
    }
}
