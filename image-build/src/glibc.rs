//! The virtualization stack as one package: Debian's files, pruned, plus the links they expect.

use std::fs;
use std::os::unix::fs::symlink;

use anyhow::{Context, Result};

use crate::alpine::Package;
use crate::packing::{self, Packing};
use crate::{debian, licences, prune, tree};

/// Name of the package.
pub const NAME: &str = "glibc-virt";

/// Owners inside the package are set by number after installation: the build machine's user database must
/// not decide them.
const POST_INSTALL: &str = "#!/bin/sh\n\
    mkdir -p /var/lib/libvirt/images /var/lib/libvirt/qemu /var/lib/libvirt/dnsmasq /var/cache/libvirt/qemu \\\n\
     /var/log/libvirt/qemu /var/lib/swtpm-localca /etc/libvirt/secrets /etc/libvirt/qemu /etc/libvirt/storage /etc/libvirt/nwfilter\n\
    chmod 700 /etc/libvirt/secrets\n\
    chown 64055:34 /var/lib/libvirt/qemu /var/cache/libvirt/qemu\n\
    chown 121:121 /var/lib/swtpm-localca\n";

/// Unpacks, prunes and packs. `texts` receives the copyright files.
pub fn pack(packing: &Packing<'_>) -> Result<()> {
    let Packing { apk, debs, os, scratch, texts, into, epoch } = *packing;
    tree::fresh(into)?;
    debian::unpack(debs, scratch, epoch)?;
    licences::collect(debs, scratch, texts)?;
    prune::apply(scratch, &prune::parse(&fs::read_to_string(os.join("debian/glibc.prune"))?)?)?;
    for line in fs::read_to_string(os.join("debian/glibc.links"))?.lines().filter(|l| !l.starts_with('#')) {
        let (link, target) = line.split_once(' ').with_context(|| format!("not a link line: {line}"))?;
        let link = scratch.join(link);
        if let Some(parent) = link.parent() {
            fs::create_dir_all(parent)?;
        }
        symlink(target, &link).with_context(|| format!("cannot link {}", link.display()))?;
    }
    let version = debs.iter().find(|d| d.entry.name == "libvirt-daemon").context("no libvirt-daemon")?;
    let script = scratch.with_extension("post-install");
    tree::write(&script, POST_INSTALL.as_bytes())?;
    let mut package = Package {
        name: NAME.into(),
        version: packing::apk_version(&version.entry.version),
        arch: "x86_64".into(),
        ..Package::default()
    }
    .with("description", "libvirt, QEMU and their glibc world, from Debian")
    .with("license", "LGPL-2.1-or-later AND GPL-2.0-only AND others")
    .with("depends", "busybox");
    package.scripts.push(("post-install".into(), script));
    apk.pack(&package, scratch, into)?;
    Ok(())
}
