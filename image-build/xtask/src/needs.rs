//! The Debian packages the work needs, and how they get onto a fresh machine.

use crate::checkout::{Checkout, read, run, shown};
use anyhow::{Context, Result, bail};
use std::process::{Command, Stdio};

/// What something is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Compiling the workspace.
    Build,
    /// Booting the ISO.
    Boot,
    /// Tests on this machine: private libvirt hosts, networks, a browser.
    Test,
}

impl Purpose {
    fn packages(self) -> &'static [&'static str] {
        match self {
            Purpose::Build => &["git", "build-essential", "mold", "pkg-config", "libvirt-dev"],
            Purpose::Boot => &["qemu-system-x86", "qemu-utils", "ovmf", "fdisk", "e2fsprogs"],
            Purpose::Test => &[
                "libvirt-daemon-system",
                "libvirt-clients",
                "dnsmasq-base",
                "busybox",
                "nftables",
                "iproute2",
                "util-linux",
                "chromium",
                "chromium-driver",
                "libfaketime",
                "cloud-init",
                "genisoimage",
                "swtpm",
                "ovmf",
            ],
        }
    }
}

/// Installs what is missing for `purposes`, saying what.
///
/// # Errors
/// When this is no Debian, or apt-get can't install it.
pub fn install(checkout: &Checkout, purposes: &[Purpose]) -> Result<()> {
    let wanted: Vec<&str> = purposes.iter().flat_map(|p| p.packages()).copied().collect();
    install_packages(checkout, &wanted)
}

/// Installs what the ISO builder needs; it knows that itself.
///
/// # Errors
/// As [`install`], and when the builder can't be compiled.
pub fn install_for_image(checkout: &Checkout) -> Result<()> {
    let builder = crate::iso::program(checkout)?;
    let listed = read(checkout.command(&builder.to_string_lossy()).arg("needs"))?;
    install_packages(checkout, &listed.split_whitespace().collect::<Vec<_>>())
}

/// A command with root's rights: itself for root, behind sudo for others.
pub fn as_root(command: Command) -> Command {
    if nix::unistd::geteuid().is_root() {
        return command;
    }
    let mut raised = Command::new("sudo");
    raised.arg("--preserve-env=PATH,CARGO_HOME,RUSTUP_HOME,DEBIAN_FRONTEND").arg("--");
    raised.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    if let Some(dir) = command.get_current_dir() {
        raised.current_dir(dir);
    }
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            raised.env(name, value);
        }
    }
    raised
}

fn install_packages(checkout: &Checkout, wanted: &[&str]) -> Result<()> {
    let missing: Vec<&str> = wanted.iter().copied().filter(|package| !installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if which("apt-get").is_none() {
        bail!("install {} by hand: this machine has no apt-get", missing.join(", "));
    }
    println!("Installing Debian packages: {}", missing.join(" "));
    run(&mut apt(checkout, &["update", "-qq"]))?;
    let mut words = vec!["install", "-y", "-qq", "--no-install-recommends"];
    let (downgrade, pin);
    if missing.contains(&"qemu-system-x86") {
        pin = older_qemu_utils()?;
        if let Some(version) = &pin {
            println!(
                "qemu-utils here is newer than the QEMU that can be installed; taking qemu-utils {version}"
            );
            downgrade = format!("qemu-utils={version}");
            words.extend(["--allow-downgrades", &downgrade]);
        }
    }
    words.extend(
        missing
            .iter()
            .copied()
            .filter(|package| !(words.contains(&"--allow-downgrades") && *package == "qemu-utils"))
            .collect::<Vec<_>>(),
    );
    run(&mut apt(checkout, &words))
}

/// The version of qemu-utils that goes with the QEMU apt-get would install, when a newer qemu-utils is there: both need
/// the very same library package, so one of them has to give way.
fn older_qemu_utils() -> Result<Option<String>> {
    let Some(present) = version_of("qemu-utils") else { return Ok(None) };
    let policy = read(Command::new("apt-cache").args(["policy", "qemu-system-x86"]))?;
    let candidate = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "));
    let candidate = candidate.context("apt-cache names no candidate of qemu-system-x86")?;
    let newer =
        Command::new("dpkg").args(["--compare-versions", &present, "gt", candidate]).status()?.success();
    Ok(newer.then(|| candidate.to_owned()))
}

fn apt(checkout: &Checkout, words: &[&str]) -> Command {
    let mut command = checkout.command("apt-get");
    command.args(words).env("DEBIAN_FRONTEND", "noninteractive");
    let command = as_root(command);
    println!("+ {}", shown(&command));
    command
}

fn installed(package: &str) -> bool {
    version_of(package).is_some()
}

/// The version of a package that is completely installed.
fn version_of(package: &str) -> Option<String> {
    let mut query = Command::new("dpkg-query");
    query.args(["-W", "-f", "${db:Status-Status} ${Version}", package]);
    let output = query.stderr(Stdio::null()).output().ok()?;
    String::from_utf8(output.stdout).ok()?.strip_prefix("installed ").map(str::to_owned)
}

/// Where a program is, when it is in the search path.
pub fn which(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Installs cargo-nextest when it is missing.
///
/// # Errors
/// When cargo can't install it.
pub fn install_nextest(checkout: &Checkout) -> Result<()> {
    let there =
        checkout.cargo(&["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if there.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    // Pinned: a later release may want a newer compiler than the one this workspace pins.
    println!("Installing cargo-nextest from crates.io");
    run(&mut checkout.cargo(&["install", "--locked", "-q", "cargo-nextest@0.9.143"]))
}
