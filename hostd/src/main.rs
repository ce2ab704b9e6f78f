//! The host daemon, its HTTP API and the qx command line

fn main() {}
