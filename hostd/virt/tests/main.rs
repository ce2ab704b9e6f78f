//! The crate against real libvirt: a private `libvirtd` with emulated QEMU guests, and libvirt's in-process test
//! driver for the plumbing.

mod bed;
mod disks;
mod link;
mod machine;
mod plumbing;
