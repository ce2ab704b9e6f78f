//! File trees: walking in a fixed order, copying with owners, dating. Knows nothing of packages.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

/// Every entry below `root`, relative to it, directories before what they hold, sorted by name.
pub fn walk(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    descend(root, Path::new(""), &mut found)?;
    Ok(found)
}

fn descend(root: &Path, at: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let dir = root.join(at);
    let mut names = fs::read_dir(&dir)
        .with_context(|| format!("cannot list {}", dir.display()))?
        .map(|entry| entry.map(|e| e.file_name()))
        .collect::<Result<Vec<_>, _>>()?;
    names.sort();
    for name in names {
        let path = at.join(name);
        let is_dir = root.join(&path).symlink_metadata()?.is_dir();
        found.push(path.clone());
        if is_dir {
            descend(root, &path, found)?;
        }
    }
    Ok(())
}

/// Makes `dir` anew and empty.
pub fn fresh(dir: &Path) -> Result<()> {
    if dir.symlink_metadata().is_ok() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))
}

/// Copies one file or link with mode and owner; for a directory, makes it with the same.
pub fn copy_entry(from: &Path, to: &Path) -> Result<()> {
    let meta = from.symlink_metadata().with_context(|| format!("cannot look at {}", from.display()))?;
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    if meta.is_symlink() {
        symlink(fs::read_link(from)?, to).with_context(|| format!("cannot link {}", to.display()))?;
        lchown(to, Some(meta.uid()), Some(meta.gid()))?;
        return Ok(());
    }
    if meta.is_dir() {
        fs::create_dir_all(to)?;
    } else if meta.is_file() {
        fs::copy(from, to).with_context(|| format!("cannot copy to {}", to.display()))?;
    } else {
        bail!("{} is neither file, link nor directory", from.display());
    }
    chown(to, Some(meta.uid()), Some(meta.gid()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(meta.mode() & 0o7777))?;
    Ok(())
}

/// Copies a whole tree into `to`, which may exist already.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in walk(from)? {
        copy_entry(&from.join(&entry), &to.join(&entry))?;
    }
    Ok(())
}

/// Gives every entry (and `root`) to root:root. What is built from a checkout must not carry its owner.
pub fn own_by_root(root: &Path) -> Result<()> {
    for entry in walk(root)? {
        lchown(root.join(entry), Some(0), Some(0))?;
    }
    chown(root, Some(0), Some(0))?;
    Ok(())
}

/// Sets the time of every entry (and of `root`) to `epoch`.
pub fn date(root: &Path, epoch: u64) -> Result<()> {
    let entries = walk(root)?;
    for path in entries.iter().map(|e| root.join(e)).chain([root.to_owned()]) {
        date_entry(&path, epoch)?;
    }
    Ok(())
}

/// Sets the time of one entry, not following links.
pub fn date_entry(path: &Path, epoch: u64) -> Result<()> {
    let time = TimeSpec::new(i64::try_from(epoch)?, 0);
    utimensat(nix::fcntl::AT_FDCWD, path, &time, &time, UtimensatFlags::NoFollowSymlink)
        .with_context(|| format!("cannot date {}", path.display()))
}

/// Writes a file aside and renames it, so that a half-written one never has the final name.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(".part");
    fs::write(&aside, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    fs::rename(&aside, path).with_context(|| format!("cannot write {}", path.display()))
}

/// Hard-links a file where possible and copies it otherwise; an existing target is replaced.
pub fn link_or_copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    if to.symlink_metadata().is_ok() {
        fs::remove_file(to)?;
    }
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walk_is_sorted_and_parents_come_first() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("b/c")).unwrap();
        fs::write(dir.path().join("a"), "").unwrap();
        fs::write(dir.path().join("b/c/d"), "").unwrap();
        let found = walk(dir.path()).unwrap();
        let text: Vec<_> = found.iter().map(|p| p.display().to_string()).collect();
        assert_eq!(text, ["a", "b", "b/c", "b/c/d"]);
    }

    #[test]
    fn copy_keeps_links_and_modes() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir(&from).unwrap();
        fs::write(from.join("x"), "x").unwrap();
        fs::set_permissions(from.join("x"), fs::Permissions::from_mode(0o750)).unwrap();
        symlink("x", from.join("y")).unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(to.join("x").metadata().unwrap().mode() & 0o7777, 0o750);
        assert_eq!(fs::read_link(to.join("y")).unwrap(), Path::new("x"));
    }
}
