//! Builds the appliance ISO

fn main() {}
