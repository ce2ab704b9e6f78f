//! A distribution as a guest: Debian of the machine's own package source, with its cloud-init, its QEMU guest agent and its
//! kernel for clouds, nothing changed, on one disk that boots by BIOS.
//!
//! The disk is made once, in some minutes, and kept in `target/lab-debian`. It has no user that could log in: what a guest is
//! told at its first boot decides.

use crate::linux::{SECTOR, core_image, said};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Memory it boots in, MiB.
pub const MEMORY_MIB: u64 = 512;
/// Size of its file system: it needs half of this, and the rest is for what it writes.
const SIZE: &str = "1300M";
/// Where its partition begins, sectors.
const PARTITION_AT: usize = 2048;
/// What a small Debian has not by itself. The last one is what another asks for by a name that is no package's, which
/// debootstrap does not understand.
const PACKAGES: [&str; 13] = [
    "systemd-sysv",
    "udev",
    "dbus",
    "cloud-init",
    "qemu-guest-agent",
    "linux-image-cloud-amd64",
    "locales",
    "openssh-server",
    "sudo",
    "netplan.io",
    "iproute2",
    "initramfs-tools",
    "python3-cffi-backend",
];
/// The programs that make it.
const PROGRAMS: [&str; 7] = ["apt-get", "dpkg-deb", "unshare", "chroot", "mkfs.ext4", "sfdisk", "qemu-img"];
/// Debian's keys, which debootstrap checks the packages with.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Why there can be no such guest here, for the line `skipped: why`.
pub fn missing() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("installing a distribution into a directory needs root".into());
    }
    let found = |program: &&str| {
        ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().any(|dir| Path::new(dir).join(program).exists())
    };
    let program = PROGRAMS.iter().find(|program| !found(program));
    let file = || (!Path::new(KEYRING).exists()).then(|| format!("{KEYRING} is not there"));
    program.map(|program| format!("{program} is not installed")).or_else(file)
}

/// The disk, as qcow2: made at first use.
///
/// # Errors
/// When packages can't be downloaded or installed.
pub fn disk() -> Result<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/lab-debian");
    fs::create_dir_all(&dir).context("the directory of the guest")?;
    let dir = dir.canonicalize()?;
    let disk = dir.join("guest-1.qcow2");
    if disk.exists() {
        return Ok(disk);
    }
    let work = tempfile::tempdir_in(&dir)?;
    let part = make(work.path())?;
    fs::rename(&part, &disk)?;
    Ok(disk)
}

fn make(work: &Path) -> Result<PathBuf> {
    let (mirror, suite) = source()?;
    let tools = work.join("tools");
    said(
        Command::new("apt-get")
            .args(["-q", "download", "debootstrap", "grub-common", "grub-pc-bin"])
            .current_dir(work),
    )?;
    for entry in fs::read_dir(work)? {
        let file = entry?.path();
        if file.extension().is_some_and(|e| e == "deb") {
            said(Command::new("dpkg-deb").arg("-x").arg(&file).arg(&tools))?;
        }
    }
    let root = work.join("root");
    println!("a Debian {suite} is made for the lab, which takes some minutes once");
    // What is mounted in there ends with the namespace.
    let mut debootstrap = Command::new("unshare");
    debootstrap.arg("--mount").arg(tools.join("usr/sbin/debootstrap"));
    debootstrap.args(["--variant=minbase", &format!("--keyring={KEYRING}")]);
    debootstrap.arg(format!("--include={}", PACKAGES.join(","))).arg(&suite).arg(&root).arg(&mirror);
    said(
        debootstrap
            .env("DEBOOTSTRAP_DIR", tools.join("usr/share/debootstrap"))
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )?;
    fs::write(root.join("etc/fstab"), "/dev/vda1 / ext4 rw,errors=remount-ro 0 1\n")?;
    // As Debian's own images for clouds have it; cloud-init wants to write down another one otherwise, that is not there.
    fs::write(root.join("etc/default/locale"), "LANG=C.UTF-8\n")?;
    let _ = fs::remove_dir_all(root.join("var/cache/apt/archives"));
    let kernel = in_boot(&root, "vmlinuz-")?;
    let initrd = in_boot(&root, "initrd.img-")?;
    let config = format!(
        "linux (hd0,msdos1)/boot/{kernel} root=/dev/vda1 rw console=ttyS0 net.ifnames=0 quiet\n\
         initrd (hd0,msdos1)/boot/{initrd}\nboot\n"
    );
    let core = core_image(work, &tools, &config, &["biosdisk", "part_msdos", "ext2", "linux", "boot"])?;
    let mut head = fs::read(tools.join("usr/lib/grub/i386-pc/boot.img"))?;
    head.resize(SECTOR, 0);
    head.extend(core);
    ensure!(head.len() <= PARTITION_AT * SECTOR, "the boot loader is too long");
    head.resize(PARTITION_AT * SECTOR, 0);
    let raw = work.join("guest.raw");
    fs::write(&raw, head)?;
    let files = work.join("files.ext4");
    said(Command::new("truncate").args(["-s", SIZE]).arg(&files))?;
    // GRUB of the package source may be older than the newest features of the file system.
    said(
        Command::new("mkfs.ext4")
            .args(["-q", "-F", "-O", "^metadata_csum_seed", "-d"])
            .arg(&root)
            .arg(&files),
    )?;
    let mut disk = fs::OpenOptions::new().append(true).open(&raw)?;
    std::io::copy(&mut fs::File::open(&files)?, &mut disk)?;
    disk.flush()?;
    fs::remove_file(&files)?;
    partition(&raw)?;
    let packed = work.join("guest.qcow2");
    said(Command::new("qemu-img").args(["convert", "-c", "-O", "qcow2"]).arg(&raw).arg(&packed))?;
    Ok(packed)
}

/// Address and suite of the Debian that this machine's own packages come from.
fn source() -> Result<(String, String)> {
    let format = "$(SITE) $(CODENAME) $(COMPONENT) $(ORIGIN)";
    let targets =
        said(Command::new("apt-get").args(["indextargets", "--format", format, "Created-By: Packages"]))?;
    let main = targets.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (site, suite) = (words.next()?, words.next()?);
        let debian = words.next() == Some("main") && words.next() == Some("Debian") && !suite.contains('-');
        debian.then(|| (site.to_owned(), suite.to_owned()))
    });
    main.context("this machine has no package source of Debian's main suite")
}

fn in_boot(root: &Path, beginning: &str) -> Result<String> {
    for entry in fs::read_dir(root.join("boot"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(beginning) {
            return Ok(name);
        }
    }
    anyhow::bail!("the guest has no {beginning}")
}

/// One partition, from its place to the end of the disk.
fn partition(raw: &Path) -> Result<()> {
    let mut sfdisk = Command::new("sfdisk").arg("-q").arg(raw).stdin(std::process::Stdio::piped()).spawn()?;
    let mut input = sfdisk.stdin.take().context("sfdisk's input")?;
    writeln!(input, "{PARTITION_AT},,L,*")?;
    drop(input);
    ensure!(sfdisk.wait()?.success(), "sfdisk");
    Ok(())
}
