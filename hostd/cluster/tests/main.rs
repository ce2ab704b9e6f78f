//! The crate from outside: commands go in by `propose`, effects are read from the store.

#![allow(clippy::unwrap_used)] // The helpers of tests are tests too.

mod access;
mod cluster_record;
mod commands;
mod console_link;
mod fixture;
mod garbled;
mod golden;
mod group;
mod image;
mod import;
mod join_token;
mod kill;
mod lan;
mod lease;
mod level;
mod listing;
mod machine_commands;
mod network;
mod organize;
mod remove;
mod requests;
mod restart;
mod rotation;
#[path = "simulation/seeds.rs"]
mod seeds;
mod simulation;
mod snapshot;
mod specification;
mod task;
mod vm;
mod vm_clone;
mod vm_device;
mod vm_life;
mod volume;
