//! Unpacking .deb files without running anything of theirs.

use std::path::Path;

use anyhow::{Context, Result};

use super::Deb;
use crate::command::Command;
use crate::{digest, tree};

/// Unpacks packages one over the other into `root`, which is made anew. Each file's hash is checked again:
/// the cache may have been damaged since.
pub fn unpack(debs: &[Deb], root: &Path, epoch: u64) -> Result<()> {
    tree::fresh(root)?;
    for deb in debs {
        let seen = digest::file(&deb.path)?;
        if seen != deb.entry.sha256 {
            std::fs::remove_file(&deb.path)?;
            anyhow::bail!("{} in the cache was damaged and is removed; build again", deb.entry.name);
        }
        Command::new("dpkg-deb", epoch)
            .arg("-x")
            .arg(&deb.path)
            .arg(root)
            .run()
            .with_context(|| format!("cannot unpack {}", deb.entry.name))?;
    }
    Ok(())
}
