//! Test beds: a private libvirt host, a booted ISO, a headless browser.
//!
//! Owns the machines and browsers that tests, `cargo xtask run` and `cargo xtask measure` work with, and what is done in
//! them. It knows the product from outside only: its ISO, its program, its pages and its API; no crate of the daemon is
//! linked here. Everything started here is ended by the value that started it.

pub mod accel;
pub mod appliance;
pub mod bootsector;
pub mod browser;
pub mod cable;
pub mod datadisk;
pub mod debian;
pub mod fleet;
pub mod garble;
pub mod gathering;
pub mod host;
pub mod http;
pub mod hub;
pub mod libvirt;
pub mod linux;
pub mod machine;
pub mod namespaces;
pub mod qmp;
pub mod serial;
pub mod shell;
pub mod shots;
pub mod story;
mod story_clones;
mod story_devices;
pub mod tls;
pub mod wait;
pub mod wire;
pub mod writer;
