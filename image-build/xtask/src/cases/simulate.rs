//! Histories of a cluster on simulated clocks, disks and networks.

use crate::checkout::{Checkout, run};
use anyhow::Result;

/// Its name on the command line.
pub const SIMULATE: &str = "simulate";
/// What it shows.
pub(super) const ABOUT: &str =
    "histories of a cluster and of its leases by seed: --seeds COUNT of each, or --seed SEED to tell both";

/// Lets `seeds` histories of the whole and as many of leases happen, or tells those of `seed`. The last line printed
/// counts all of them.
///
/// # Errors
/// When something went wrong in one.
pub fn simulate(checkout: &Checkout, seeds: u64, seed: Option<u64>) -> Result<()> {
    let mut cargo = checkout.cargo(&["run", "-q", "--release", "--locked", "-p", "hostd-cluster"]);
    cargo.args(["--example", "simulate", "--", "--of", "both"]);
    match seed {
        Some(seed) => cargo.args(["--seed", &seed.to_string()]),
        None => cargo.args(["--seeds", &seeds.to_string()]),
    };
    run(&mut cargo)
}
