//! The vendored browser libraries: recreated from their npm packages at pinned versions, checked by their hashes.

use crate::checkout::{Checkout, read, run};
use crate::needs;
use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest, Sha256, Sha512};
use std::collections::BTreeSet;
use std::path::Path;

/// Folder of the vendored files.
const FOLDER: &str = "webui/vendor";

/// `vendor.json`.
#[derive(Debug, Deserialize)]
struct Vendored {
    packages: Vec<Package>,
}

/// One npm package.
#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    /// npm's integrity word, `sha512-` and base64.
    integrity: String,
    files: Vec<Picked>,
}

/// One file taken from a package.
#[derive(Debug, Deserialize)]
struct Picked {
    /// Path in the package.
    from: String,
    /// Path below the folder.
    to: String,
    sha256: String,
}

/// Recreates the vendored files, or with `check` compares what is there with the pinned hashes, without network.
///
/// # Errors
/// When a hash differs, a file is missing or one too many, or npm can't get a package.
pub fn vendor(checkout: &Checkout, check: bool) -> Result<()> {
    let folder = checkout.root.join(FOLDER);
    let listed = std::fs::read(folder.join("vendor.json")).context("reading webui/vendor/vendor.json")?;
    let vendored: Vendored = serde_json::from_slice(&listed).context("reading webui/vendor/vendor.json")?;
    if !check {
        if needs::which("npm").is_none() {
            bail!("npm is not installed; install it with: apt-get install npm");
        }
        for package in &vendored.packages {
            fetch(checkout, package, &folder)?;
        }
    }
    let picked: Vec<&Picked> = vendored.packages.iter().flat_map(|p| &p.files).collect();
    for file in &picked {
        let bytes =
            std::fs::read(folder.join(&file.to)).with_context(|| format!("reading {FOLDER}/{}", file.to))?;
        same(&file.to, &file.sha256, &hex::encode(Sha256::digest(bytes)))?;
    }
    let known: BTreeSet<String> = picked.iter().map(|f| format!("{FOLDER}/{}", f.to)).collect();
    let below = format!("{FOLDER}/");
    let strangers = checkout.files()?.into_iter().filter(|f| f.starts_with(&below) && !known.contains(f));
    let strangers: Vec<String> =
        strangers.filter(|f| !f.ends_with("/vendor.json") && !f.ends_with("/README.md")).collect();
    ensure!(strangers.is_empty(), "not from a pinned package: {}", strangers.join(", "));
    println!("vendor: {} files of {} packages are as pinned", picked.len(), vendored.packages.len());
    Ok(())
}

fn same(what: &str, wanted: &str, found: &str) -> Result<()> {
    ensure!(wanted == found, "{what}: hash {found}, pinned is {wanted}");
    Ok(())
}

fn fetch(checkout: &Checkout, package: &Package, folder: &Path) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let spec = format!("{}@{}", package.name, package.version);
    let mut npm = checkout.command("npm");
    npm.args(["pack", "--silent", "--pack-destination"]).arg(scratch.path()).arg(&spec);
    let said = read(&mut npm)?;
    let archive = scratch.path().join(said.trim().lines().last().context("npm names no archive")?);
    let bytes = std::fs::read(&archive).with_context(|| archive.display().to_string())?;
    same(&spec, &package.integrity, &format!("sha512-{}", STANDARD.encode(Sha512::digest(bytes))))?;
    let mut unpack = checkout.command("tar");
    run(unpack.arg("-xzf").arg(&archive).arg("-C").arg(scratch.path()))?;
    for file in &package.files {
        let target = folder.join(&file.to);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let source = scratch.path().join("package").join(&file.from);
        let bytes = std::fs::read(&source).with_context(|| format!("{spec} has no {}", file.from))?;
        same(&file.from, &file.sha256, &hex::encode(Sha256::digest(&bytes)))?;
        std::fs::write(&target, bytes).with_context(|| target.display().to_string())?;
    }
    println!("{spec}: {} files", package.files.len());
    Ok(())
}
