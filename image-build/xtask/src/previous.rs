//! The daemon of the previous release, built from its own sources: hosts that run it and hosts that run this one must work
//! in one cluster.

use crate::checkout::{Checkout, read, run};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The variable that tells tests where it is; without it they skip.
pub const PROGRAM: &str = "QUANTIX_PREVIOUS_HOSTD";

/// What counts as the previous release: what was named, else the last release that HEAD builds upon, by its tag. `None`
/// when there was none yet, or the checkout has no history.
///
/// # Errors
/// When git fails.
pub fn reference(checkout: &Checkout) -> Result<Option<String>> {
    if let Some(named) = &checkout.previous {
        return Ok(Some(named.clone()));
    }
    let words = ["tag", "--list", "v*", "--merged", "HEAD", "--no-contains", "HEAD"];
    let tags = read(checkout.git().args(words))?;
    Ok(tags.lines().filter_map(|tag| Some((release(tag)?, tag))).max().map(|(_, tag)| tag.to_owned()))
}

/// The numbers of a release's tag, `vX.Y.Z`.
fn release(tag: &str) -> Option<[u64; 3]> {
    let numbers: Option<Vec<u64>> = tag.strip_prefix('v')?.split('.').map(|n| n.parse().ok()).collect();
    numbers?.try_into().ok()
}

/// Compiles the daemon of `reference` for tests, unless that was done before, and returns it. Crates of others that both
/// versions use are compiled once.
///
/// # Errors
/// When there is no such commit, or it does not compile.
pub fn build(checkout: &Checkout, reference: &str) -> Result<PathBuf> {
    let commit = format!("{reference}^{{commit}}");
    let commit = read(checkout.git().args(["rev-parse", "--verify", "--quiet", &commit]))
        .with_context(|| format!("there is no commit {reference} here"))?;
    let commit = commit.trim();
    let dir = checkout.target.join("previous");
    let program = dir.join(commit).join("hostd");
    if program.is_file() {
        return Ok(program);
    }
    println!("Compiling hostd of {reference} ({commit})");
    let tree = dir.join("tree");
    remove(checkout, &tree)?;
    run(checkout.git().args(["worktree", "add", "--quiet", "--force", "--detach"]).arg(&tree).arg(commit))?;
    let compiled = compile(checkout, &tree).and_then(|()| keep(checkout, &program));
    remove(checkout, &tree)?;
    compiled.map(|()| program)
}

/// Takes away the sources that a build needed, whether it ended or broke off.
fn remove(checkout: &Checkout, tree: &Path) -> Result<()> {
    if tree.exists() {
        std::fs::remove_dir_all(tree).with_context(|| tree.display().to_string())?;
    }
    run(checkout.git().args(["worktree", "prune"]))
}

/// Compiles with the toolchain those sources ask for, but with this checkout's linker: cargo compiles everything again when its
/// path is another one.
fn compile(checkout: &Checkout, tree: &Path) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(tree).stdin(Stdio::null()).env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
    cargo.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER", checkout.root.join(".cargo/cc"));
    cargo.args(["build", "-q", "--workspace", "--bin", "hostd", "--locked", "--target-dir"]);
    run(cargo.arg(&checkout.target))
}

/// Puts the program aside: the next build of this checkout replaces it.
fn keep(checkout: &Checkout, program: &Path) -> Result<()> {
    let part = program.with_extension("part");
    std::fs::create_dir_all(program.parent().context("the program has a folder")?)?;
    std::fs::copy(checkout.target.join("debug/hostd"), &part).with_context(|| part.display().to_string())?;
    Ok(std::fs::rename(&part, program)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_told_from_other_tags_and_ordered_by_number() {
        assert_eq!(release("v0.10.1"), Some([0, 10, 1]));
        for other in ["0.1.0", "v1.0", "v1.0.0-rc1", "v1.0.0.0", "vx.y.z", "v"] {
            assert_eq!(release(other), None, "{other}");
        }
        assert!(release("v0.10.0") > release("v0.9.9"));
    }
}
