//! Histories of snapshots with real files.

use crate::checkout::{Checkout, run};
use anyhow::Result;

/// Its name on the command line.
pub const SNAPSHOTS: &str = "snapshots";
/// What it shows.
pub(super) const ABOUT: &str =
    "histories of writes, snapshots, ways back, deletions and crashes on real files: 5,000, or --seeds COUNT";
/// How many when none is given.
pub const HISTORIES: u64 = 5000;

/// Lets `stories` histories happen.
///
/// # Errors
/// When one lost something.
pub fn snapshots(checkout: &Checkout, stories: u64) -> Result<()> {
    let name = "no_history_of_snapshots_loses_a_byte";
    let mut cargo = checkout.cargo(&["test", "-q", "--locked", "-p", "hostd-core", "--lib", name]);
    cargo.args(["--", "--nocapture"]).env("QUANTIX_SNAPSHOT_HISTORIES", stories.to_string());
    run(&mut cargo)
}
