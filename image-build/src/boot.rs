//! What firmware runs: GRUB's BIOS image, and a small FAT file system with shim and Debian's signed GRUB.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command::Command;
use crate::tree;

/// GRUB modules the BIOS image carries.
const BIOS_MODULES: [&str; 20] = [
    "biosdisk",
    "iso9660",
    "part_gpt",
    "part_msdos",
    "fat",
    "ext2",
    "linux",
    "normal",
    "serial",
    "terminal",
    "configfile",
    "search",
    "search_label",
    "search_fs_file",
    "echo",
    "test",
    "smbios",
    "all_video",
    "boot",
    "ls",
];

/// The boot files of the medium.
pub struct Boot {
    /// El Torito image for BIOS.
    pub eltorito: PathBuf,
    /// Boot code for the first sector, for USB sticks.
    pub hybrid: PathBuf,
    /// The EFI system partition.
    pub esp: PathBuf,
    /// The directory `EFI` as it also lies on the medium.
    pub efi: PathBuf,
}

impl Boot {
    /// Where the files lie inside `dir`.
    pub fn at(dir: &Path) -> Self {
        Self {
            eltorito: dir.join("eltorito.img"),
            hybrid: dir.join("boot_hybrid.img"),
            esp: dir.join("esp.img"),
            efi: dir.join("EFI"),
        }
    }

    /// The files whose presence means the stage has run.
    pub fn outputs(&self) -> [&Path; 4] {
        [&self.eltorito, &self.hybrid, &self.esp, &self.efi]
    }

    /// Makes them from the unpacked boot packages. GRUB's image maker comes from the same packages and runs on
    /// the virtualization stack's libraries, so the build machine's GRUB does not matter.
    pub fn build(&self, packages: &Path, glibc: &Path, epoch: u64) -> Result<()> {
        let grub = packages.join("usr/lib/grub/i386-pc");
        let libraries = glibc.join("usr/lib/x86_64-linux-gnu");
        let core = self.eltorito.with_extension("core");
        if let Some(dir) = core.parent() {
            fs::create_dir_all(dir)?;
        }
        Command::new(libraries.join("ld-linux-x86-64.so.2"), epoch)
            .arg("--library-path")
            .arg(&libraries)
            .arg(packages.join("usr/bin/grub-mkimage"))
            .args(["-O", "i386-pc", "-p", "/boot/grub", "-d"])
            .arg(&grub)
            .arg("-o")
            .arg(&core)
            .args(BIOS_MODULES)
            .run()
            .context("cannot make GRUB's BIOS image")?;
        let mut image = fs::read(grub.join("cdboot.img"))?;
        image.extend(fs::read(&core)?);
        tree::write(&self.eltorito, &image)?;
        tree::write(&self.hybrid, &fs::read(grub.join("boot_hybrid.img"))?)?;
        self.efi_files(packages)?;
        self.system_partition(epoch)
    }

    fn efi_files(&self, packages: &Path) -> Result<()> {
        tree::fresh(&self.efi)?;
        let to = self.efi.join("BOOT");
        fs::create_dir_all(&to)?;
        let files = [
            ("usr/lib/shim/shimx64.efi.signed", "BOOTX64.EFI"),
            ("usr/lib/shim/mmx64.efi.signed", "mmx64.efi"),
            ("usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed", "grubx64.efi"),
        ];
        for (from, name) in files {
            fs::copy(packages.join(from), to.join(name)).with_context(|| format!("no {from}"))?;
        }
        Ok(())
    }

    fn system_partition(&self, epoch: u64) -> Result<()> {
        tree::date(&self.efi, epoch)?;
        if self.esp.exists() {
            fs::remove_file(&self.esp)?;
        }
        Command::new("mkfs.vfat", epoch)
            .args(["--invariant", "-i", "51554e54", "-n", "QUANTIXEFI", "-C"])
            .arg(&self.esp)
            .arg("8192")
            .run()?;
        Command::new("mcopy", epoch)
            .args(["-s", "-p", "-m", "-i"])
            .arg(&self.esp)
            .arg(&self.efi)
            .arg("::")
            .run()?;
        Ok(())
    }
}
