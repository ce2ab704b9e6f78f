//! The archive format of an initramfs (cpio "newc"), written so that equal trees give equal bytes.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::tree;

const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// Archives everything below `root`: sorted, owned by root, dated `epoch`, numbered from 1.
pub fn archive(root: &Path, epoch: u64) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut number = 0;
    for path in tree::walk(root)? {
        let full = root.join(&path);
        let meta = full.symlink_metadata()?;
        let (mode, data) = if meta.is_dir() {
            (DIRECTORY | (meta.permissions().mode() & 0o7777), Vec::new())
        } else if meta.is_symlink() {
            (LINK | 0o777, fs::read_link(&full)?.as_os_str().as_bytes().to_vec())
        } else {
            (FILE | (meta.permissions().mode() & 0o7777), fs::read(&full)?)
        };
        number += 1;
        entry(&mut out, number, mode, epoch, path.as_os_str().as_bytes(), &data)?;
    }
    entry(&mut out, 0, 0, 0, b"TRAILER!!!", &[])?;
    while out.len() % 512 != 0 {
        out.push(0);
    }
    Ok(out)
}

fn entry(out: &mut Vec<u8>, number: u32, mode: u32, epoch: u64, name: &[u8], data: &[u8]) -> Result<()> {
    let links = if mode & 0o170_000 == DIRECTORY { 2 } else { 1 };
    let epoch = u32::try_from(epoch).context("the build's time does not fit the archive format")?;
    let size = u32::try_from(data.len()).context("file too large for the archive format")?;
    let name_size = u32::try_from(name.len() + 1)?;
    out.extend(b"070701");
    for field in [number, mode, 0, 0, links, epoch, size, 0, 0, 0, 0, name_size, 0] {
        out.extend(format!("{field:08x}").as_bytes());
    }
    out.extend(name);
    out.push(0);
    pad(out);
    out.extend(data);
    pad(out);
    Ok(())
}

fn pad(out: &mut Vec<u8>) {
    while !out.len().is_multiple_of(4) {
        out.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_trees_give_equal_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let mut archives = Vec::new();
        for name in ["one", "two"] {
            let root = dir.path().join(name);
            fs::create_dir_all(root.join("bin")).unwrap();
            fs::write(root.join("bin/busybox"), "abc").unwrap();
            std::os::unix::fs::symlink("busybox", root.join("bin/sh")).unwrap();
            archives.push(archive(&root, 1_700_000_000).unwrap());
        }
        assert_eq!(archives[0], archives[1]);
        let text = String::from_utf8(archives.remove(0)).unwrap();
        // magic, number, then the mode: directory, file, link; the link's data is its target
        assert!(text.starts_with("07070100000001000041ed"), "{text}");
        for part in ["bin/busybox\0", "abc\0", "bin/sh\0", "busybox\x00070701", "TRAILER!!!"] {
            assert!(text.contains(part), "no {part:?} in {text}");
        }
    }
}
