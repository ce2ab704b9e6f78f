//! Firmware and processor microcode as a package of its own, because their licences are not free, and the
//! early archive from which the kernel takes microcode.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::alpine::Package;
use crate::packing::{self, Packing};
use crate::{cpio, debian, licences, prune, tree};

/// Unpacks, prunes and packs; writes the microcode archive to `microcode`.
pub fn pack(packing: &Packing<'_>, microcode: &Path) -> Result<()> {
    let Packing { apk, debs, os, scratch, texts, into, epoch } = *packing;
    tree::fresh(into)?;
    debian::unpack(debs, scratch, epoch)?;
    licences::collect(debs, scratch, texts)?;
    early_archive(&scratch.join("usr/lib/firmware"), microcode, epoch)?;
    prune::apply(scratch, &prune::parse(&fs::read_to_string(os.join("debian/firmware.prune"))?)?)?;
    // Alpine's root is not merged: the kernel looks in /lib/firmware
    let files = scratch.with_extension("files");
    tree::fresh(&files)?;
    fs::create_dir_all(files.join("lib"))?;
    fs::rename(scratch.join("usr/lib/firmware"), files.join("lib/firmware"))
        .context("the set holds no firmware")?;
    let version = debs.iter().find(|d| d.entry.name.starts_with("firmware-")).context("no firmware")?;
    let package = Package {
        name: "firmware".into(),
        version: packing::apk_version(&version.entry.version),
        arch: "x86_64".into(),
        ..Package::default()
    }
    .with("description", "Firmware of network cards and controllers, processor microcode")
    .with("license", "redistributable");
    apk.pack(&package, &files, into)?;
    fs::remove_dir_all(&files)?;
    fs::remove_dir_all(scratch)?;
    Ok(())
}

/// The kernel reads microcode from an uncompressed archive in front of the initramfs; all processors' files
/// one after the other under one name per maker.
fn early_archive(firmware: &Path, out: &Path, epoch: u64) -> Result<()> {
    let root = out.with_extension("tree");
    tree::fresh(&root)?;
    let dir = root.join("kernel/x86/microcode");
    fs::create_dir_all(&dir)?;
    for (maker, from) in [("GenuineIntel.bin", "intel-ucode"), ("AuthenticAMD.bin", "amd-ucode")] {
        let mut all = Vec::new();
        for path in tree::walk(&firmware.join(from))? {
            let amd_text = from == "amd-ucode" && path.extension().is_none_or(|e| e != "bin");
            if !amd_text && !path.to_string_lossy().ends_with(".initramfs") {
                all.extend(fs::read(firmware.join(from).join(path))?);
            }
        }
        fs::write(dir.join(maker), all)?;
    }
    tree::write(out, &cpio::archive(&root, epoch)?)?;
    fs::remove_dir_all(&root)?;
    Ok(())
}
