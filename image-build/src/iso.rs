//! The medium: one hybrid ISO that BIOS, UEFI and UEFI with Secure Boot start, from disc or stick.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::boot::Boot;
use crate::command::Command;
use crate::tree;

/// The volume label, by which the initramfs finds the medium.
pub const LABEL: &str = "QUANTIX";

/// The files of the medium.
pub struct Medium<'a> {
    /// Boot files.
    pub boot: &'a Boot,
    /// GRUB's configuration.
    pub grub_cfg: &'a Path,
    /// Files by their place on the medium.
    pub files: &'a [(&'a Path, &'a str)],
    /// Product version and build, for `.disk/info`.
    pub title: &'a str,
}

/// Lays the files out in `scratch` and writes the ISO to `out`.
pub fn write(medium: &Medium<'_>, scratch: &Path, out: &Path, epoch: u64) -> Result<()> {
    tree::fresh(scratch)?;
    fs::create_dir_all(scratch.join(".disk"))?;
    // Debian's signed GRUB for discs looks for this file to find its medium
    fs::write(scratch.join(".disk/info"), format!("{}\n", medium.title))?;
    fs::create_dir_all(scratch.join("boot/grub/i386-pc"))?;
    fs::copy(medium.grub_cfg, scratch.join("boot/grub/grub.cfg"))?;
    fs::copy(&medium.boot.eltorito, scratch.join("boot/grub/i386-pc/eltorito.img"))?;
    tree::copy(&medium.boot.efi, &scratch.join("EFI"))?;
    for (from, place) in medium.files {
        // copied, not linked: dating the medium's files must not date the stages' outputs
        let to = scratch.join(place);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(from, &to).with_context(|| format!("cannot place {place}"))?;
    }
    tree::own_by_root(scratch)?;
    tree::date(scratch, epoch)?;
    if let Some(parent) = out.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut aside = out.as_os_str().to_owned();
    aside.push(".part");
    let aside = Path::new(&aside);
    if aside.exists() {
        fs::remove_file(aside)?;
    }
    // volume dates, file dates, GPT and file system ids all follow from SOURCE_DATE_EPOCH
    Command::new("xorriso", epoch)
        .args(["-as", "mkisofs", "-quiet", "-V", LABEL, "-R", "-J", "-joliet-long", "-o"])
        .arg(aside)
        .args(["-b", "boot/grub/i386-pc/eltorito.img", "-no-emul-boot", "-boot-load-size", "4"])
        .args(["-boot-info-table", "--grub2-boot-info", "--grub2-mbr"])
        .arg(&medium.boot.hybrid)
        .args(["-partition_offset", "16", "--mbr-force-bootable"])
        .args(["-append_partition", "2", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"])
        .arg(&medium.boot.esp)
        .args(["-appended_part_as_gpt", "-iso_mbr_part_type", "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"])
        .args(["-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::", "-no-emul-boot"])
        .arg(scratch)
        .run()
        .context("cannot write the ISO")?;
    fs::rename(aside, out)?;
    fs::remove_dir_all(scratch)?;
    Ok(())
}
