//! The contract of the product: resources, commands, problems.
//!
//! Every other crate depends on this one and on nothing of each other's types: the JSON on the wire, the entries in the
//! replicated log and the rows of the state database are these structs. The crate knows no async runtime, no HTTP, no
//! SQL, no libvirt.
//!
//! A resource is `{id, meta, spec, status}`: `spec` is what is wanted and changes only by a [`command::Command`];
//! `status` is what its owner last saw and changes only by a report command of a reconciler.

pub mod access;
mod clone;
pub mod cluster;
pub mod command;
mod console_link;
mod cpu_baseline;
mod customization;
mod discovered;
pub mod event;
pub mod filing;
pub mod folder;
mod guest_os;
pub mod host;
mod host_device;
pub mod ids;
pub mod image;
pub mod level;
pub mod meta;
pub mod name;
pub mod network;
pub mod page;
pub mod problem;
pub mod saved_view;
pub mod snapshot;
pub mod specification;
pub mod stamp;
pub mod task;
pub mod vm;
mod vm_batch;
mod vm_cpu;
mod vm_device;
mod vm_memory;
mod vm_options;
mod vm_power;
pub mod vm_request;
mod vm_share;
mod vm_tuning;
pub mod volume;
mod volume_layers;
mod windows;

pub use access::*;
pub use clone::*;
pub use cluster::*;
pub use command::{Command, Entry, Outcome};
pub use console_link::*;
pub use cpu_baseline::*;
pub use customization::*;
pub use discovered::*;
pub use event::*;
pub use filing::*;
pub use folder::*;
pub use guest_os::*;
pub use host::*;
pub use host_device::*;
pub use ids::*;
pub use image::*;
pub use level::*;
pub use meta::*;
pub use network::*;
pub use page::*;
pub use problem::*;
pub use saved_view::*;
pub use snapshot::*;
pub use specification::*;
pub use stamp::Timestamp;
pub use task::*;
pub use vm::*;
pub use vm_batch::*;
pub use vm_cpu::*;
pub use vm_device::*;
pub use vm_memory::*;
pub use vm_options::*;
pub use vm_request::*;
pub use vm_share::*;
pub use vm_tuning::*;
pub use volume::*;
pub use volume_layers::*;
pub use windows::*;
