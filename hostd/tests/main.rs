//! The real daemon with a real libvirt and QEMU, driven through its API and its command line.
//!
//! Every test has a private host of its own (`lab::host`): namespaces, a libvirtd, a scratch directory. Guests are
//! emulated. Without root or without libvirt a test says `skipped: why`. `api/` mirrors `/api/v1`; `fault/` breaks things;
//! `cluster/` is about several hosts on one switch (`lab::fleet`).
#![allow(missing_docs, clippy::unwrap_used)]

mod admin;
mod bed;
mod fleet;
mod stranger;

pub mod api {
    mod access;
    mod clones;
    mod cluster;
    pub mod console;
    mod cpu;
    mod customize;
    mod customize_fields;
    mod discovered;
    mod drives;
    mod events;
    mod history;
    mod host_devices;
    mod hosts;
    mod images;
    mod networks;
    mod openapi;
    mod organize;
    mod page_form;
    mod problems;
    mod qx;
    mod routes;
    mod shared;
    pub mod snapshot_memory;
    pub mod snapshots;
    mod specifications;
    pub mod vm_devices;
    mod vm_form;
    mod vm_input;
    mod vm_memory;
    mod vm_options;
    mod vm_plan;
    mod vm_shares;
    mod vms;
    mod volumes;
}

mod fault {
    mod agent;
    mod cancel;
    mod clock;
    mod clone;
    mod connections;
    mod crash;
    mod data_partition;
    mod hotplug;
    mod hung;
    mod libvirt;
    mod memory;
    mod merge;
    mod schema;
    pub mod space;
}

mod cluster {
    mod crash_join;
    mod damage;
    mod fence;
    mod isolated;
    mod join;
    mod leave;
    mod long;
    mod mixed;
    mod moved;
    mod neighbours;
    mod partition;
    mod remote;
    mod rotation;
    mod security;
    mod switch;
    mod tokens;
    mod witness;
}

mod guest {
    mod debian;
    mod shell;
}
