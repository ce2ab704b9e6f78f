//! Turns an installed Alpine system back into packages, from its own database: files, modes, dependencies,
//! scripts and triggers. A listed file that is missing is an error.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{Apk, DATABASE, Installed, Package, parse_installed};
use crate::command::Command;
use crate::tree;

/// Repacks every package of `base` that `left_out` does not name into the directory `into`.
pub fn repack(
    apk: &Apk,
    base: &Path,
    left_out: &[String],
    scratch: &Path,
    into: &Path,
    epoch: u64,
) -> Result<()> {
    tree::fresh(into)?;
    tree::fresh(scratch)?;
    let packages = parse_installed(&fs::read_to_string(base.join(DATABASE))?)?;
    let scripts = scripts(base, &scratch.join("scripts"), epoch)?;
    let triggers = triggers(base)?;
    for installed in packages.iter().filter(|p| !left_out.contains(&p.name)) {
        let files = scratch.join("files");
        gather(base, installed, &files)?;
        let mut package = describe(installed);
        package.triggers = triggers.get(&installed.checksum).cloned().unwrap_or_default();
        let id = format!("{}-{}", installed.name, installed.version);
        package.scripts = scripts.get(&id).cloned().unwrap_or_default();
        apk.pack(&package, &files, into)?;
    }
    fs::remove_dir_all(scratch)?;
    Ok(())
}

fn describe(p: &Installed) -> Package {
    let arch = if p.arch.is_empty() { "noarch".to_owned() } else { p.arch.clone() };
    let origin = if p.origin.is_empty() { &p.name } else { &p.origin };
    Package { name: p.name.clone(), version: p.version.clone(), arch, ..Package::default() }
        .with("description", &p.description)
        .with("url", &p.url)
        .with("license", &p.license)
        .with("origin", origin)
        .with("depends", &p.depends)
        .with("provides", &p.provides)
        .with("install-if", &p.install_if)
        .with("replaces", &p.replaces)
        .with("provider-priority", &p.provider_priority)
}

fn gather(base: &Path, package: &Installed, files: &Path) -> Result<()> {
    tree::fresh(files)?;
    for dir in package.dirs.iter().filter(|d| !d.is_empty()) {
        // some directories of a container export are gone or hold a file now; apk makes them from the package
        if base.join(dir).is_dir() {
            tree::copy_entry(&base.join(dir), &files.join(dir))?;
        } else {
            fs::create_dir_all(files.join(dir))?;
        }
    }
    for file in &package.files {
        let from = base.join(file);
        if from.symlink_metadata().is_err() {
            bail!("{}: {file} is listed and missing", package.name);
        }
        tree::copy_entry(&from, &files.join(file))?;
    }
    Ok(())
}

/// Scripts by `name-version`: kind and file. The archive names them `name-version.X1<hash>.<kind>`.
fn scripts(base: &Path, into: &Path, epoch: u64) -> Result<BTreeMap<String, Vec<(String, PathBuf)>>> {
    tree::fresh(into)?;
    Command::new("tar", epoch)
        .arg("-xzf")
        .arg(base.join("lib/apk/db/scripts.tar.gz"))
        .arg("-C")
        .arg(into)
        .run()?;
    let mut found: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for path in tree::walk(into)? {
        let name = path.to_string_lossy().into_owned();
        let (head, kind) = name.rsplit_once('.').with_context(|| format!("script named {name}"))?;
        let (id, _) = head.rsplit_once(".X1").with_context(|| format!("script named {name}"))?;
        found.entry(id.to_owned()).or_default().push((kind.to_owned(), into.join(&path)));
    }
    Ok(found)
}

fn triggers(base: &Path) -> Result<BTreeMap<String, Vec<String>>> {
    let text = fs::read_to_string(base.join("lib/apk/db/triggers"))?;
    let lines = text.lines().filter_map(|l| l.split_once(' '));
    Ok(lines.map(|(id, dirs)| (id.to_owned(), dirs.split(' ').map(str::to_owned).collect())).collect())
}
