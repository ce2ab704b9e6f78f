//! `cargo xtask`: what developers and CI do with the checkout. Knows how to build, run, test and measure the product;
//! holds nothing of the product itself.

mod checkout;
mod tidy;

use anyhow::Result;
use checkout::Checkout;

fn main() -> Result<()> {
    tidy::check(&Checkout::find()?)
}
