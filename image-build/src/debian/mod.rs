//! Packages of Debian's stable suite: which mirror, which versions, which files. Everything is read with
//! a private apt directory; the build machine's own apt state is neither used nor changed. What the
//! packages are for is not known here.

mod apt;
mod set;
mod sources;
mod unpack;

use std::path::PathBuf;

use anyhow::{Context, Result};

pub use apt::Apt;
pub use set::Set;
pub use unpack::unpack;

use crate::lock::{self, Deviation, Lock, Locked};
use crate::stage::Cache;
use crate::{digest, tree};

/// The suite all packages come from, together with its updates and security suites.
pub const SUITE: &str = "trixie";

/// One package file at hand.
#[derive(Clone, Debug)]
pub struct Deb {
    /// What it is.
    pub entry: Locked,
    /// Where it lies.
    pub path: PathBuf,
}

/// Gives the files of one set: from the cache when all locked ones are there, else through apt. Deviations
/// are printed and added to `deviations`; with `locked` they are refused.
pub fn obtain(
    cache: &Cache,
    apt: &Apt,
    lock: &Lock,
    set: &Set,
    locked: bool,
    deviations: &mut Vec<Deviation>,
) -> Result<Vec<Deb>> {
    let wanted = lock.set(&set.name);
    let cached: Vec<Deb> = wanted.iter().map(|e| at_hand(cache, e)).collect();
    if !cached.is_empty() && cached.iter().all(|d| d.path.exists()) {
        return Ok(cached);
    }
    apt.update()?;
    let debs = match fetch(cache, apt, set, &wanted) {
        Ok(debs) => debs,
        // one vanished version can make its locked siblings uninstallable; then the whole set moves on
        Err(error) if !wanted.is_empty() => {
            println!("  {}: the locked versions do not go together any more ({error:#})", set.name);
            fetch(cache, apt, set, &[])?
        }
        Err(error) => return Err(error),
    };
    let used: Vec<Locked> = debs.iter().map(|d| d.entry.clone()).collect();
    let found = lock::deviations(&wanted, &used)?;
    if locked {
        lock::refuse(&found)?;
    }
    for deviation in &found {
        println!("  {}: {deviation}", set.name);
    }
    deviations.extend(found);
    Ok(debs)
}

/// Resolves a set from scratch and returns its newest versions.
pub fn newest(cache: &Cache, apt: &Apt, set: &Set) -> Result<Vec<Locked>> {
    Ok(fetch(cache, apt, set, &[])?.into_iter().map(|deb| deb.entry).collect())
}

fn fetch(cache: &Cache, apt: &Apt, set: &Set, pins: &[Locked]) -> Result<Vec<Deb>> {
    let mut debs = Vec::new();
    for archive in apt.download(set, pins)? {
        let entry = Locked {
            set: set.name.clone(),
            name: archive.name,
            version: archive.version,
            sha256: digest::file(&archive.path)?,
        };
        let deb = at_hand(cache, &entry);
        if !deb.path.exists() {
            tree::link_or_copy(&archive.path, &deb.path).context("cannot keep a package")?;
        }
        debs.push(deb);
    }
    debs.sort_by(|a, b| a.entry.cmp(&b.entry));
    Ok(debs)
}

/// Files are kept under their content's hash, so that one being there means the right one being there.
fn at_hand(cache: &Cache, entry: &Locked) -> Deb {
    Deb { entry: entry.clone(), path: cache.path("debs").join(format!("{}.deb", entry.sha256)) }
}
