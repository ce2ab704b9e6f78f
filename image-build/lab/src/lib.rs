//! Test beds: a private libvirt host, a booted ISO, a headless browser

pub mod libvirt;
