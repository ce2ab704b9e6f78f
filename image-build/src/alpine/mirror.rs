//! Alpine packages from an official mirror instead of the repacked base. Their signatures are Alpine's and
//! are checked with the keys the base carries.

use std::path::Path;

use anyhow::{Result, bail};

use super::Apk;
use crate::tree;

/// The release the base belongs to.
const RELEASE: &str = "v3.23";

/// Downloads `names` and their dependencies from `mirror` into `into`, which is made anew.
pub fn fetch(apk: &Apk, mirror: &str, names: &[String], into: &Path) -> Result<()> {
    tree::fresh(into)?;
    let mirror = mirror.trim_end_matches('/');
    let repositories: Vec<String> =
        ["main", "community"].iter().map(|part| format!("{mirror}/{RELEASE}/{part}")).collect();
    apk.fetch(&repositories, names, into)?;
    if tree::walk(into)?.is_empty() {
        bail!("{mirror} gave no package");
    }
    Ok(())
}
