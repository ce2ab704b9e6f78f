//! A guest that tells what it sees: Debian's kernel for clouds with busybox, from one raw disk that boots by BIOS.
//!
//! On its first serial port it prints a line whenever something changed: its disks with sectors and serial numbers, its network
//! cards with addresses and carriers, its CPUs, its memory, its NUMA nodes, its TPM, its virtio ports, what is on its PCI bus, a shared folder. It brings new CPUs
//! online by itself, runs an agent that fails on purpose if a channel's name asks for one, and counts in its memory how long it has run. The packages come from the
//! machine's own package source once and are kept, with the disk made of them, in `target/lab-linux`.

use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What every line of the guest begins with.
pub const SAYS: &str = "guest sees";
/// What its lines begin with that tell how far it has counted since it was started.
pub const COUNTS: &str = "guest counts";
/// What it says when its agent was asked to hold it still; after it the seconds since its start.
pub const HELD: &str = "guest is held";
/// What it says when its agent was asked to let it go.
pub const GOES_ON: &str = "guest goes on";
/// A channel of this name has it run an agent that hangs for 5 s once it was asked to hold the guest still.
pub const HANGING_AGENT: &str = "agent.hangs.0";
/// The same for an agent that dies then.
pub const DYING_AGENT: &str = "agent.dies.0";
/// The tag of a shared folder that it mounts. It tells what the file `from-host` there says (`share=`), and writes the same into
/// `from-guest`.
pub const SHARE: &str = "lab-share";
/// Smallest memory it starts in, MiB.
pub const MEMORY_MIB: u64 = 192;

/// Where the kernel is on the disk, sectors.
const KERNEL_AT: usize = 2048;
/// Bytes of a sector.
pub(crate) const SECTOR: usize = 512;
/// The kernel's modules; what needs another is tried again after it.
const MODULES: [&str; 18] = [
    "virtio",
    "virtio_ring",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_pci",
    "virtio_blk",
    "failover",
    "net_failover",
    "virtio_net",
    "virtio_balloon",
    "scsi_common",
    "scsi_mod",
    "sd_mod",
    "virtio_scsi",
    "virtio-rng",
    "virtio_console",
    "fuse",
    "virtiofs",
];

const INIT: &str = r#"#!/bin/busybox sh
busybox mkdir -p /proc /sys /dev /s
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs dev /dev
exec >/dev/ttyS0 2>&1 </dev/null
for again in 1 2 3; do
  for m in MODULES; do [ ! -e /m/$m.ko ] || busybox insmod /m/$m.ko 2>/dev/null; done
done
agent() {
  exec 3<>$port
  while :; do
    read -r line <&3 || { busybox usleep 100000; continue; }
    case "$line" in
      *guest-sync-delimited*) id=${line#*'"id":'}; busybox printf '\377{"return":%s}\n' ${id%%[!0-9]*} >&3;;
      *guest-sync*) id=${line#*'"id":'}; echo "{\"return\":${id%%[!0-9]*}}" >&3;;
      *fsfreeze-freeze*)
        echo "guest is held $(busybox cut -d. -f1 /proc/uptime) ."
        echo '{"return":1}' >&3
        case $kind in *dies*) exit;; esac
        busybox sleep 5;;
      *fsfreeze-thaw*)
        echo "guest goes on $(busybox cut -d. -f1 /proc/uptime) ."
        echo '{"return":1}' >&3;;
      *execute*) echo '{"return":{}}' >&3;;
    esac
  done
}
# A line of a file without another process: each takes long where there is no KVM.
line() { value=; [ ! -r $1 ] || read -r value < $1; } 2>/dev/null
look() {
  if [ -z "$kind" ] || [ -z "$port" ]; then
    for v in /sys/class/virtio-ports/*; do
      line $v/name
      case "$value" in
        org.qemu.guest_agent.0) port=/dev/${v##*/};;
        agent.*) kind=$value;;
      esac
    done
    [ -z "$kind" ] || [ -z "$port" ] || agent &
  fi
  for c in /sys/devices/system/cpu/cpu*/online; do
    line $c
    [ "$value" != 0 ] || echo 1 > $c
  done
  line /sys/devices/system/cpu/online
  now="cpus=$value"
  read -r _ value _ < /proc/meminfo
  now="$now memory=$((value / 1024))"
  for d in /sys/block/*; do
    [ -e $d/device ] || continue
    line $d/size
    now="$now ${d##*/}=$value"
    line $d/serial
    now="$now:$value"
  done
  for n in /sys/class/net/*; do
    [ "${n##*/}" != lo ] || continue
    line $n/flags
    [ $((value & 1)) = 1 ] || busybox ip link set ${n##*/} up
    line $n/address
    now="$now $value"
    line $n/carrier
    now="$now=$value"
  done
  line /sys/class/tpm/tpm0/tpm_version_major
  now="$now tpm=$value"
  now="$now ports=$(busybox cat /sys/class/virtio-ports/*/name 2>/dev/null | busybox sort | busybox tr '\n' ',')"
  line /sys/devices/system/node/online
  now="$now nodes=$value"
  for p in /sys/bus/pci/devices/*; do
    line $p/vendor
    now="$now ${value#0x}:"
    line $p/device
    now="$now${value#0x}"
  done
  if [ -z "$shared" ]; then
    for v in /sys/bus/virtio/drivers/virtiofs/virtio*; do
      [ -e $v ] && busybox mount -t virtiofs lab-share /s && shared=yes
    done
  fi
  if [ -n "$shared" ]; then
    line /s/from-host
    now="$now share=$value"
    [ -z "$value" ] || [ -e /s/from-guest ] || echo "$value" > /s/from-guest
  fi
  [ "$now" = "$last" ] || echo "guest sees $now ."
  last=$now
}
last=
count=0
port=
kind=
shared=
while :; do
  [ $((count % 5)) != 0 ] || look
  count=$((count + 1))
  [ $((count % 5)) != 0 ] || echo "guest counts $count ."
  busybox usleep 200000
done
"#;

/// Why there can be no such guest here, for the line `skipped: why`.
pub fn missing() -> Option<String> {
    let found = |program: &str| Path::new("/usr/bin").join(program).exists();
    let program = ["apt-get", "apt-cache", "dpkg-deb"].into_iter().find(|p| !found(p))?;
    Some(format!("{program} is not installed"))
}

/// The disk: made at first use.
///
/// # Errors
/// When a package can't be downloaded or unpacked.
pub fn disk() -> Result<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/lab-linux");
    fs::create_dir_all(&dir).context("the directory of the guest")?;
    let image = dir.join("guest-7.raw");
    if image.exists() {
        return Ok(image);
    }
    // Several tests may begin at once: each makes its own, the last name stays.
    let work = tempfile::tempdir_in(&dir)?;
    let made = make(work.path())?;
    let part = work.path().join("guest.raw");
    fs::write(&part, made)?;
    fs::rename(&part, &image)?;
    Ok(image)
}

fn make(work: &Path) -> Result<Vec<u8>> {
    let depends = said(Command::new("apt-cache").args(["depends", "linux-image-cloud-amd64"]))?;
    let kernel = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    let kernel = kernel.context("no kernel for clouds among the packages")?;
    let packages = ["busybox-static", "grub-common", "grub-pc-bin", kernel];
    said(Command::new("apt-get").args(["-q", "download"]).args(packages).current_dir(work))?;
    let root = work.join("root");
    for entry in fs::read_dir(work)? {
        let file = entry?.path();
        if file.extension().is_some_and(|e| e == "deb") {
            said(Command::new("dpkg-deb").arg("-x").arg(&file).arg(&root))?;
        }
    }
    let release = kernel.trim_start_matches("linux-image-");
    let kernel = padded(fs::read(root.join("boot").join(format!("vmlinuz-{release}")))?);
    let initrd = padded(initrd(&root, release)?);
    let core = loader(work, &root, kernel.len() / SECTOR, initrd.len() / SECTOR)?;
    let mut disk = fs::read(root.join("usr/lib/grub/i386-pc/boot.img"))?;
    disk.resize(SECTOR, 0);
    disk.extend(core);
    ensure!(disk.len() <= KERNEL_AT * SECTOR, "the boot loader is too long");
    disk.resize(KERNEL_AT * SECTOR, 0);
    disk.extend(kernel);
    disk.extend(initrd);
    Ok(disk)
}

/// GRUB's second part, which names kernel and initial file system by their sectors.
fn loader(work: &Path, root: &Path, kernel: usize, initrd: usize) -> Result<Vec<u8>> {
    let after = KERNEL_AT + kernel;
    let config = format!(
        "linux (hd0){KERNEL_AT}+{kernel} console=ttyS0 quiet panic=-1\ninitrd (hd0){after}+{initrd}\nboot\n"
    );
    core_image(work, root, &config, &["biosdisk", "linux", "boot"])
}

/// GRUB's second part with `config` and `modules` in it, made by the GRUB that is unpacked in `tools`.
pub(crate) fn core_image(work: &Path, tools: &Path, config: &str, modules: &[&str]) -> Result<Vec<u8>> {
    let (file, made) = (work.join("grub.cfg"), work.join("core.img"));
    fs::write(&file, config)?;
    let mut mkimage = Command::new(tools.join("usr/bin/grub-mkimage"));
    mkimage
        .arg("-d")
        .arg(tools.join("usr/lib/grub/i386-pc"))
        .args(["-O", "i386-pc", "-p", "/"])
        .arg("-c")
        .arg(file);
    said(mkimage.arg("-o").arg(&made).args(modules))?;
    Ok(fs::read(made)?)
}

fn initrd(root: &Path, release: &str) -> Result<Vec<u8>> {
    let mut files = vec![
        ("bin".to_owned(), 0o40755, Vec::new()),
        ("m".to_owned(), 0o40755, Vec::new()),
        ("dev".to_owned(), 0o40755, Vec::new()),
        ("init".to_owned(), 0o100755, INIT.replace("MODULES", &MODULES.join(" ")).into_bytes()),
        ("bin/busybox".to_owned(), 0o100755, fs::read(root.join("bin/busybox"))?),
    ];
    let modules = root.join("lib/modules").join(release).join("kernel");
    let found = said(Command::new("find").arg(&modules).args(["-name", "*.ko"]))?;
    for path in found.lines().map(Path::new) {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if MODULES.contains(&name.as_str()) {
            files.push((format!("m/{name}.ko"), 0o100644, fs::read(path)?));
        }
    }
    let mut archive = Vec::new();
    for (number, (name, mode, content)) in files.iter().enumerate() {
        entry(&mut archive, number + 1, name, *mode, content)?;
    }
    entry(&mut archive, 0, "TRAILER!!!", 0, &[])?;
    Ok(archive)
}

/// One entry of the kernel's own archive format (cpio `newc`).
fn entry(archive: &mut Vec<u8>, number: usize, name: &str, mode: u32, content: &[u8]) -> Result<()> {
    let links = if mode & 0o40000 != 0 { 2 } else { 1 };
    write!(archive, "070701{number:08x}{mode:08x}{:08x}{:08x}{links:08x}{:08x}", 0, 0, 0)?;
    write!(archive, "{:08x}{:08x}{:08x}{:08x}{:08x}", content.len(), 0, 0, 0, 0)?;
    write!(archive, "{:08x}{:08x}{name}\0", name.len() + 1, 0)?;
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend(content);
    archive.resize(archive.len().next_multiple_of(4), 0);
    Ok(())
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(SECTOR), 0);
    bytes
}

/// Runs a program; answers what it printed.
pub(crate) fn said(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
