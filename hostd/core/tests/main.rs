//! The core on a real one-node cluster, real files, real links and, where machines matter, a real libvirt with QEMU.

mod access;
mod bed;
mod fault;
mod life;
mod outside;
mod power;
mod restart;
mod upload;
