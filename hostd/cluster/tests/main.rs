//! The crate from outside: commands go in by `propose`, effects are read from the store.

mod access;
mod fixture;
mod golden;
mod image;
mod kill;
mod listing;
mod network;
mod requests;
mod restart;
mod task;
mod vm;
mod vm_life;
mod volume;
