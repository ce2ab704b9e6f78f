//! Our own package: the daemon, its services and configuration, the licence texts.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::alpine::{Apk, Package};
use crate::{glibc, tree};

/// What goes into the package.
pub struct Product<'a> {
    /// The daemon's binary.
    pub hostd: &'a Path,
    /// The checkout's `os` directory.
    pub os: &'a Path,
    /// Directories of copyright files, one file a package.
    pub texts: &'a [PathBuf],
    /// The texts of the usual licences (`usr/share/common-licenses` of Debian).
    pub common: &'a Path,
    /// Short hash over all inputs of the image.
    pub build: &'a str,
    /// Product version.
    pub version: &'a str,
}

/// Assembles and packs it into the directory `into`.
pub fn pack(apk: &Apk, product: &Product<'_>, scratch: &Path, into: &Path) -> Result<()> {
    tree::fresh(into)?;
    tree::fresh(scratch)?;
    tree::copy(&product.os.join("overlay"), scratch)?;
    fs::create_dir_all(scratch.join("usr/bin"))?;
    fs::copy(product.hostd, scratch.join("usr/bin/hostd")).context("cannot take the daemon's binary")?;
    symlink("hostd", scratch.join("usr/bin/qx"))?;
    let release = format!("NAME=Quantix\nVERSION={}\nBUILD={}\n", product.version, product.build);
    fs::write(scratch.join("etc/quantix-release"), release)?;
    for dir in product.texts {
        for name in tree::walk(dir)? {
            let to = scratch.join("usr/share/licenses").join(&name).join("copyright");
            tree::copy_entry(&dir.join(&name), &to)?;
        }
    }
    tree::copy(product.common, &scratch.join("usr/share/common-licenses"))?;
    settle(scratch)?;
    // the script runs from inside the package's metadata, its text belongs to the checkout's overlay
    let script = scratch.with_extension("post-install");
    fs::rename(scratch.join("usr/share/quantix/post-install"), &script)?;
    let mut package = Package {
        name: "hostd".into(),
        version: format!("{}-r0", product.version),
        arch: "x86_64".into(),
        ..Package::default()
    }
    .with("description", "The Quantix host daemon and its services")
    .with("license", "Apache-2.0")
    .with("depends", &format!("alpine-baselayout busybox openrc linux {}", glibc::NAME))
    // our versions of files the base brings: users, hosts, inittab, rc.conf
    .with("replaces", "alpine-baselayout alpine-baselayout-data alpine-release busybox openrc");
    package.scripts.push(("post-install".into(), script));
    apk.pack(&package, scratch, into)?;
    Ok(())
}

/// Whether a file begins with `#!`: every script is to be run, wherever it lies.
fn is_script(file: &Path) -> Result<bool> {
    let mut begin = [0; 2];
    let read = fs::File::open(file)?.read(&mut begin)?;
    Ok(read == 2 && begin == *b"#!")
}

/// Modes and owners must come from here and not from the checkout's user and mask.
fn settle(root: &Path) -> Result<()> {
    tree::own_by_root(root)?;
    for path in tree::walk(root)? {
        let full = root.join(&path);
        let meta = full.symlink_metadata()?;
        if meta.is_symlink() {
            continue;
        }
        let run = meta.is_dir() || path.starts_with("usr/bin") || is_script(&full)?;
        let mode = match path.to_str() {
            Some("usr/share/quantix/shadow") => 0o600,
            Some(_) | None if run => 0o755,
            Some(_) | None => 0o644,
        };
        fs::set_permissions(&full, fs::Permissions::from_mode(mode))?;
    }
    fs::set_permissions(root, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
