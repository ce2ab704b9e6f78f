//! A distribution as a guest, with what it has of its own.

use super::federation::nextest;
use crate::checkout::{Checkout, run};
use anyhow::{Result, ensure};

/// The tests with a Debian as the guest.
///
/// # Errors
/// When one fails.
pub fn customized(checkout: &Checkout) -> Result<()> {
    ensure!(
        run(&mut nextest(checkout, "only", "test(guest::)")).is_ok(),
        "the guest was not as it was told to be"
    );
    Ok(())
}
