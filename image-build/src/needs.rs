//! The programs of the build machine, and the Debian packages they come in.

use std::path::Path;

use anyhow::{Result, bail};

use crate::command;

/// Program and Debian package.
const PROGRAMS: [(&str, &str); 14] = [
    ("apt-get", "apt"),
    ("debugfs", "e2fsprogs"),
    ("depmod", "kmod"),
    ("dpkg-deb", "dpkg"),
    ("mcopy", "mtools"),
    ("mkfs.vfat", "dosfstools"),
    ("mksquashfs", "squashfs-tools"),
    ("openssl", "openssl"),
    ("pip3", "python3-pip"),
    ("python3", "python3"),
    ("qemu-img", "qemu-utils"),
    ("tar", "tar"),
    ("xorriso", "xorriso"),
    ("zstd", "zstd"),
];

/// Every Debian package a build needs, sorted, once each.
pub fn packages() -> Vec<&'static str> {
    let mut names: Vec<&str> = PROGRAMS.iter().map(|(_, package)| *package).collect();
    names.extend(["debian-archive-keyring", "xz-utils"]);
    names.sort_unstable();
    names.dedup();
    names
}

/// Refuses, naming program and package, when a program is absent or the user may not do the work.
pub fn check() -> Result<()> {
    let path = command::search_path();
    let absent = |program: &str| !std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    let missing: Vec<String> = PROGRAMS
        .iter()
        .chain(&[("xz", "xz-utils")])
        .filter(|(program, _)| absent(program))
        .map(|(program, package)| format!("  {program}: apt-get install {package}"))
        .collect();
    if !missing.is_empty() {
        bail!("programs are missing on this machine:\n{}", missing.join("\n"));
    }
    if !Path::new("/usr/share/keyrings/debian-archive-keyring.gpg").exists() {
        bail!("Debian's archive keys are missing: apt-get install debian-archive-keyring");
    }
    if !nix::unistd::geteuid().is_root() {
        bail!(
            "building the image sets owners of files and runs package scripts in the new root: run it as root"
        );
    }
    Ok(())
}
