//! The root: one signed repository, one `apk add` into an empty directory, and what must not remain in it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::alpine::Apk;
use crate::command::Command;
use crate::{prune, tree};

/// Indexes the packages found in `packages` (directories of .apk files) as the repository `repository`.
pub fn repository(apk: &Apk, packages: &[PathBuf], repository: &Path) -> Result<()> {
    tree::fresh(repository)?;
    let mut all = Vec::new();
    for dir in packages {
        for name in tree::walk(dir)? {
            if name.extension().is_some_and(|e| e == "apk") {
                let to = repository.join("x86_64").join(&name);
                tree::link_or_copy(&dir.join(&name), &to)?;
                all.push(to);
            }
        }
    }
    all.sort();
    apk.index(repository, &all)
}

/// Installs `names` into `root`, made anew, and removes what `os/alpine/removed` lists. A failed installation
/// leaves no root behind.
pub fn install(
    apk: &Apk,
    repository: &Path,
    extra_keys: Option<&Path>,
    names: &[String],
    os: &Path,
    root: &Path,
    epoch: u64,
) -> Result<()> {
    tree::fresh(root)?;
    if let Err(error) = apk.add(root, repository, extra_keys, names) {
        fs::remove_dir_all(root)?;
        return Err(error);
    }
    prune::apply(root, &prune::parse(&fs::read_to_string(os.join("alpine/removed"))?)?)?;
    let leftovers: Vec<PathBuf> =
        tree::walk(root)?.into_iter().filter(|p| p.extension().is_some_and(|e| e == "apk-new")).collect();
    if !leftovers.is_empty() {
        anyhow::bail!("files of ours did not replace the base's: {leftovers:?}");
    }
    dependency_tree(root, epoch)
}

/// OpenRC works out the order of services at each boot unless it finds the result here; that saves seconds
/// under emulation.
fn dependency_tree(root: &Path, epoch: u64) -> Result<()> {
    let made = root.join("run/openrc");
    fs::create_dir_all(&made)?;
    Command::new("chroot", epoch).arg(root).args(["/sbin/rc-update", "-u"]).run()?;
    let kept = root.join("var/cache/rc");
    fs::create_dir_all(&kept)?;
    let tree = "deptree";
    fs::copy(made.join(tree), kept.join(tree)).context("OpenRC made no dependency tree")?;
    fs::remove_dir_all(&made)?;
    // it counts only if it is not older than any service
    tree::date(root, epoch)
}

/// The words of a list file; `#` begins a comment.
pub fn words(path: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(path)?;
    let lines = text.lines().map(|l| l.split('#').next().unwrap_or_default());
    Ok(lines.flat_map(str::split_whitespace).map(str::to_owned).collect())
}
