//! Folders of the host that the guest mounts, each served by a virtiofsd that libvirt starts and ends with the machine. It
//! finds the daemon by the descriptions that are installed with it (`vhost-user`).

use crate::element::{Element, element};
use crate::plan::{DomainPlan, ShareSource};

/// The plan's shared folders.
pub fn shares(plan: &DomainPlan) -> impl Iterator<Item = Element> {
    plan.host.shares.iter().map(share)
}

/// How many of them take a port of their own on the PCI bus.
pub fn ports(plan: &DomainPlan) -> usize {
    plan.host.shares.len()
}

/// With `passthrough` the guest's users are those of the folder: no other mode is known to virtiofs.
fn share(source: &ShareSource) -> Element {
    element("filesystem")
        .with("type", "mount")
        .with("accessmode", "passthrough")
        .holding(element("driver").with("type", "virtiofs"))
        .holding(element("source").with("dir", source.dir.display()))
        .holding(element("target").with("dir", &source.tag))
}
