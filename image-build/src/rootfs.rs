//! The root: one signed repository, one `apk add` into an empty directory, and what must not remain in it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::alpine::Apk;
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
    Ok(())
}

/// The words of a list file; `#` begins a comment.
pub fn words(path: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(path)?;
    let lines = text.lines().map(|l| l.split('#').next().unwrap_or_default());
    Ok(lines.flat_map(str::split_whitespace).map(str::to_owned).collect())
}
