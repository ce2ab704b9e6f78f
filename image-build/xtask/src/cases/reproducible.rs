//! The same inputs give the same ISO, bit by bit.

use crate::checkout::Checkout;
use crate::iso::{self, Daemon};
use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::Path;

/// Builds two ISOs with caches of their own and compares them.
///
/// # Errors
/// When they differ; the message names the first byte.
pub fn twice(checkout: &Checkout) -> Result<()> {
    let dir = checkout.target.join("lab/reproducible");
    let mut sums = Vec::new();
    for run in ["one", "two"] {
        let cache = dir.join(run);
        if cache.exists() {
            std::fs::remove_dir_all(&cache).with_context(|| cache.display().to_string())?;
        }
        let output = dir.join(format!("{run}.iso"));
        iso::build_to(checkout, Daemon::Image, &output, &cache, &[])?;
        let sum = digest(&output)?;
        println!("{sum}  {}", output.display());
        sums.push(sum);
    }
    if sums[0] != sums[1] {
        let (one, two) = (std::fs::read(dir.join("one.iso"))?, std::fs::read(dir.join("two.iso"))?);
        let at = one.iter().zip(&two).position(|(a, b)| a != b).unwrap_or(one.len().min(two.len()));
        ensure!(
            false,
            "the ISOs differ, first at byte {at} of {}; both are kept in {}",
            one.len(),
            dir.display()
        );
    }
    Ok(())
}

/// SHA-256 of a file, as hexadecimal digits.
///
/// # Errors
/// When it can't be read.
pub fn digest(file: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    let mut reader = std::fs::File::open(file).with_context(|| file.display().to_string())?;
    let mut part = vec![0; 1 << 20];
    loop {
        let read = reader.read(&mut part)?;
        if read == 0 {
            return Ok(hex::encode(hash.finalize()));
        }
        hash.update(&part[..read]);
    }
}
