//! Histories of a cluster on simulated clocks, disks and networks.

use crate::checkout::{Checkout, run};
use anyhow::Result;

/// Its name on the command line.
pub const SIMULATE: &str = "simulate";
/// What it shows.
pub(super) const ABOUT: &str = "histories of a cluster by seed: --seeds COUNT, or --seed SEED to tell one";

/// Lets `seeds` histories happen, or tells the one of `seed`. The last line printed counts them.
///
/// # Errors
/// When something went wrong in one.
pub fn simulate(checkout: &Checkout, seeds: u64, seed: Option<u64>) -> Result<()> {
    let mut cargo = checkout.cargo(&["run", "-q", "--release", "--locked", "-p", "hostd-cluster"]);
    cargo.args(["--example", "simulate", "--"]);
    match seed {
        Some(seed) => cargo.args(["--seed", &seed.to_string()]),
        None => cargo.args(["--seeds", &seeds.to_string()]),
    };
    run(&mut cargo)
}
