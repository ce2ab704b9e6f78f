//! Debian's signed kernel as a package: modules pruned and stored plain, so that they keep their signature
//! and compress well inside the images; `vmlinuz` goes to the medium, not into the root.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::alpine::Package;
use crate::command::Command;
use crate::packing::{self, Packing};
use crate::{debian, licences, prune, tree};

/// What the kernel stage leaves behind.
pub struct Kernel {
    /// The signed kernel image.
    pub vmlinuz: PathBuf,
    /// A tree with `lib/modules/RELEASE`.
    pub modules: PathBuf,
}

/// Unpacks, prunes and packs. `kernel` says where its results belong.
pub fn pack(packing: &Packing<'_>, kernel: &Kernel) -> Result<()> {
    let Packing { apk, debs, os, scratch, texts, into, epoch } = *packing;
    tree::fresh(into)?;
    debian::unpack(debs, scratch, epoch)?;
    licences::collect(debs, scratch, texts)?;
    let from = scratch.join("usr/lib/modules");
    let from = if from.is_dir() { from } else { scratch.join("lib/modules") };
    let release = release(&from)?;
    tree::write(&kernel.vmlinuz, &fs::read(scratch.join(format!("boot/vmlinuz-{release}")))?)?;
    tree::fresh(&kernel.modules)?;
    let modules = kernel.modules.join("lib/modules").join(&release);
    fs::create_dir_all(kernel.modules.join("lib/modules"))?;
    fs::rename(from.join(&release), &modules)?;
    prune::apply(
        &modules.join("kernel"),
        &prune::parse(&fs::read_to_string(os.join("kernel/modules.prune"))?)?,
    )?;
    decompress(&modules, epoch)?;
    depmod(&kernel.modules, &release, epoch)?;
    tree::own_by_root(&kernel.modules)?;
    let version = debs.iter().find(|d| d.entry.name.starts_with("linux-image-6"));
    let version = version.or(debs.first()).context("no kernel package")?;
    let package = Package {
        name: "linux".into(),
        version: packing::apk_version(&version.entry.version),
        arch: "x86_64".into(),
        ..Package::default()
    }
    .with("description", "Debian's signed kernel: modules for servers")
    .with("license", "GPL-2.0-only");
    apk.pack(&package, &kernel.modules, into)?;
    fs::remove_dir_all(scratch)?;
    Ok(())
}

/// The one kernel release below a `lib/modules` directory.
pub fn release(modules: &Path) -> Result<String> {
    let mut names =
        fs::read_dir(modules)?.map(|e| e.map(|e| e.file_name())).collect::<Result<Vec<_>, _>>()?;
    match names.pop() {
        Some(name) if names.is_empty() => Ok(name.to_string_lossy().into_owned()),
        Some(_) | None => bail!("expected one kernel in {}", modules.display()),
    }
}

/// Writes the module indexes of a tree.
pub fn depmod(tree: &Path, release: &str, epoch: u64) -> Result<()> {
    Command::new("depmod", epoch).arg("-b").arg(tree).arg(release).run()?;
    Ok(())
}

fn decompress(modules: &Path, epoch: u64) -> Result<()> {
    let packed: Vec<PathBuf> = tree::walk(modules)?
        .into_iter()
        .filter(|p| p.extension().is_some_and(|e| e == "xz"))
        .map(|p| modules.join(p))
        .collect();
    for some in packed.chunks(200) {
        Command::new("xz", epoch).arg("-dq").args(some).run().context("cannot decompress modules")?;
    }
    Ok(())
}
