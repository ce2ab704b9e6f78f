//! cargo xtask: run, test, tidy, measure, lab, vendor

fn main() {}
