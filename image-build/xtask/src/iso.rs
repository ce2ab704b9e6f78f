//! Building what is booted: the daemon as it ships, and the ISO around it.

use crate::checkout::{Checkout, read, run};
use crate::needs;
use anyhow::Result;
use lab::accel::Accel;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The ISO that `run`, tests and measurements boot.
pub fn path(checkout: &Checkout) -> PathBuf {
    checkout.target.join("iso/quantix.iso")
}

/// How the daemon in an image is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Daemon {
    /// As it ships.
    Image,
    /// As the tests use it; large and slow, but compiled in a third of the time.
    Debug,
}

impl Daemon {
    /// Compiles the daemon, unless another one was named, and returns its binary.
    ///
    /// # Errors
    /// When it does not compile.
    pub fn build(self, checkout: &Checkout) -> Result<PathBuf> {
        if let Some(hostd) = &checkout.hostd {
            return Ok(hostd.clone());
        }
        match self {
            Daemon::Image => {
                println!("Compiling hostd (profile image)");
                let words = ["build", "-q", "--profile", "image", "-p", "hostd", "--bin", "hostd"];
                run(&mut checkout.cargo(&words))?;
                Ok(checkout.target.join("image/hostd"))
            }
            Daemon::Debug => checkout.program("hostd"),
        }
    }
}

/// Builds the ISO (what stands is kept), and returns it.
///
/// # Errors
/// When a package is missing, the daemon does not compile, or the image can't be made.
pub fn build(checkout: &Checkout, daemon: Daemon) -> Result<PathBuf> {
    let output = path(checkout);
    build_to(checkout, daemon, &output, &checkout.target.join("iso/cache"), &[])?;
    Ok(output)
}

/// Builds an ISO at `output` with its own cache folder and further words for the builder.
///
/// # Errors
/// As [`build`].
pub fn build_to(
    checkout: &Checkout,
    daemon: Daemon,
    output: &Path,
    cache: &Path,
    words: &[&str],
) -> Result<()> {
    needs::install_for_image(checkout)?;
    let hostd = daemon.build(checkout)?;
    std::fs::create_dir_all(cache)?;
    let mut builder = checkout.command(&program(checkout)?.to_string_lossy());
    builder.arg("iso").arg("--hostd").arg(hostd).arg("--crates").arg(crates(checkout, cache)?);
    builder.arg("--output").arg(output);
    builder.arg("--source").arg(&checkout.root).arg("--cache").arg(cache).args(words);
    run(&mut needs::as_root(builder))
}

/// The builder, compiled.
///
/// # Errors
/// When it does not compile.
pub fn program(checkout: &Checkout) -> Result<PathBuf> {
    if checkout.tested {
        return checkout.program("image-build");
    }
    run(&mut checkout.cargo(&["build", "-q", "-p", "image-build"]))?;
    Ok(checkout.target.join("debug/image-build"))
}

/// Lists the crates that are linked into the daemon, for the image's list of contents.
fn crates(checkout: &Checkout, cache: &Path) -> Result<PathBuf> {
    let words =
        ["tree", "-p", "hostd", "-e", "normal", "--prefix", "none", "--format", "{p}\t{l}", "--locked"];
    let told = read(&mut checkout.cargo(&words))?;
    // `name vVERSION (where)\tlicence (*)`; those with a place of their own are the workspace's.
    let line = |line: &str| {
        let (package, licence) = line.split_once('\t')?;
        let (name, version) = package.split_once(" v")?;
        let foreign = !version.contains(' ');
        foreign.then(|| format!("{name}\t{version}\t{}\n", licence.trim_end_matches("(*)").trim()))
    };
    let crates: BTreeSet<String> = told.lines().filter_map(line).collect();
    let file = cache.join("crates.tsv");
    std::fs::write(&file, crates.into_iter().collect::<String>())?;
    Ok(file)
}

/// How guests run on this machine, tried once for each of its boots.
///
/// # Errors
/// When the verdict can't be kept.
pub async fn accel(checkout: &Checkout) -> Result<Accel> {
    Accel::probe(&path(checkout), &checkout.target.join("run/accel")).await
}
