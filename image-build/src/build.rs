//! The order of the stages, and what each depends on.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::alpine::{self, Apk};
use crate::boot::Boot;
use crate::cmdline::IsoArgs;
use crate::debian;
use crate::digest::{self, Fingerprint};
use crate::inputs::Inputs;
use crate::iso::{self, Medium};
use crate::kernel::Kernel;
use crate::packing::Packing;
use crate::product::{self, Product};
use crate::stage::Cache;
use crate::{elf, firmware, glibc, initramfs, kernel, licences, linked, rootfs, sbom, squashfs};

/// One build: its inputs and where its stages work.
struct Build<'a> {
    args: &'a IsoArgs,
    cache: Cache,
    os: PathBuf,
    inputs: Inputs,
    apk: Apk,
    boot: Boot,
    kernel: Kernel,
}

/// Builds the ISO and its list of contents.
pub fn iso(args: &IsoArgs) -> Result<()> {
    let begun = Instant::now();
    let cache = Cache::open(&args.place.cache)?;
    let os = args.place.source.join("os").canonicalize().context("no `os` directory in the checkout")?;
    let inputs = Inputs::obtain(&cache, &os, args)?;
    let base = cache.path("alpine");
    let print = Fingerprint::new().add("wheel", &inputs.lock.wheel.sha256);
    cache.stage("alpine-base", print, &[&base], || {
        alpine::unpack(&inputs.wheel, &cache.path("alpine-image"), &base, inputs.epoch)
    })?;
    let apk = Apk::new(&base, &cache.path("keys"), inputs.epoch)?;
    let boot = Boot::at(&cache.path("boot"));
    let kernel = Kernel { vmlinuz: cache.path("boot/vmlinuz"), modules: cache.path("modules") };
    let build = Build { args, cache, os, inputs, apk, boot, kernel };
    build.packages()?;
    build.boot_files()?;
    build.root_and_medium()?;
    let size = args.output.metadata()?.len();
    println!("{}: {size} bytes, {:.1} s", args.output.display(), begun.elapsed().as_secs_f64());
    Ok(())
}

impl Build<'_> {
    /// Inputs every stage shares, and the packages of one set.
    fn print(&self, set: &str) -> Fingerprint {
        let start = Fingerprint::new().add("epoch", &self.inputs.epoch.to_string());
        self.inputs.set(set).iter().fold(start, |print, deb| print.add(&deb.entry.name, &deb.entry.sha256))
    }

    fn os_file(&self, print: Fingerprint, name: &str) -> Result<Fingerprint> {
        print.file(name, &self.os.join(name))
    }

    fn with_firmware(&self) -> bool {
        !self.args.no_firmware
    }

    /// A directory of its own for each package or set: packages, scratch space, copyright files.
    fn packing<'b>(&'b self, set: &str, dirs: &'b [PathBuf; 3]) -> Packing<'b> {
        Packing {
            apk: &self.apk,
            debs: self.inputs.set(set),
            os: &self.os,
            scratch: &dirs[0],
            texts: &dirs[1],
            into: &dirs[2],
            epoch: self.inputs.epoch,
        }
    }

    fn dirs(&self, set: &str) -> [PathBuf; 3] {
        ["unpacked", "texts", "packages"].map(|kind| self.cache.path(kind).join(set))
    }

    /// Alpine's packages, the virtualization stack, the kernel, firmware.
    fn packages(&self) -> Result<()> {
        let [_, _, alpine] = self.dirs("alpine");
        let print = self.print("").add("wheel", &self.inputs.lock.wheel.sha256);
        let print = self.os_file(self.os_file(print, "alpine/left-out")?, "alpine/world")?;
        let print = print.add("mirror", self.args.alpine_mirror.as_deref().unwrap_or_default());
        self.cache.stage("alpine-packages", print, &[&alpine], || match &self.args.alpine_mirror {
            Some(url) => {
                let world = rootfs::words(&self.os.join("alpine/world"))?;
                alpine::fetch_from_mirror(&self.apk, url, &world, &alpine)
            }
            None => {
                let left_out = rootfs::words(&self.os.join("alpine/left-out"))?;
                let base = self.cache.path("alpine");
                let scratch = self.cache.path("repack");
                alpine::repack(&self.apk, &base, &left_out, &scratch, &alpine, self.inputs.epoch)
            }
        })?;

        let dirs = self.dirs("glibc");
        let print = self.os_file(self.print("glibc"), "debian/glibc.prune")?;
        let print = self.os_file(print, "debian/glibc.links")?;
        self.cache.stage("glibc-virt", print, &[&dirs[0], &dirs[1], &dirs[2]], || {
            glibc::pack(&self.packing("glibc", &dirs))
        })?;

        let dirs = self.dirs("kernel");
        let print = self.os_file(self.print("kernel"), "kernel/modules.prune")?;
        let outputs = [&dirs[1], &dirs[2], &self.kernel.vmlinuz, &self.kernel.modules].map(PathBuf::as_path);
        self.cache
            .stage("linux", print, &outputs, || kernel::pack(&self.packing("kernel", &dirs), &self.kernel))?;

        if self.with_firmware() {
            let dirs = self.dirs("firmware");
            let microcode = self.microcode();
            let print = self.os_file(self.print("firmware"), "debian/firmware.prune")?;
            self.cache.stage("firmware", print, &[&dirs[1], &dirs[2], &microcode], || {
                firmware::pack(&self.packing("firmware", &dirs), &microcode)
            })?;
        }
        let [scratch, texts, _] = self.dirs("licences");
        self.cache.stage("licences", self.print("licences"), &[&scratch, &texts], || {
            let debs = self.inputs.set("licences");
            debian::unpack(debs, &scratch, self.inputs.epoch)?;
            licences::collect(debs, &scratch, &texts)
        })?;
        Ok(())
    }

    fn microcode(&self) -> PathBuf {
        self.cache.path("boot/microcode.img")
    }

    fn initramfs(&self) -> [PathBuf; 2] {
        ["boot/initrd.img", "boot/initrd-net.img"].map(|p| self.cache.path(p))
    }

    /// What firmware loads, and the initramfs.
    fn boot_files(&self) -> Result<()> {
        let [scratch, texts, _] = self.dirs("boot");
        let glibc = &self.dirs("glibc")[0];
        let print = self.print("boot");
        let print = self.inputs.set("glibc").iter().fold(print, |p, d| p.add("glibc", &d.entry.sha256));
        let outputs: Vec<&Path> = self.boot.outputs().into_iter().chain([texts.as_path()]).collect();
        self.cache.stage("boot", print, &outputs, || {
            let debs = self.inputs.set("boot");
            debian::unpack(debs, &scratch, self.inputs.epoch)?;
            licences::collect(debs, &scratch, &texts)?;
            self.boot.build(&scratch, glibc, self.inputs.epoch)
        })?;

        let [base, net] = self.initramfs();
        let print = self.print("kernel").add("wheel", &self.inputs.lock.wheel.sha256);
        let print = self.os_file(print, "kernel/modules.prune")?;
        let print = print.tree("initramfs", &self.os.join("initramfs"))?;
        self.cache.stage("initramfs", print, &[&base, &net], || {
            initramfs::build(
                &self.cache.path("alpine"),
                &self.os,
                &self.kernel.modules,
                &self.cache.path("initramfs"),
                [&base, &net],
                self.inputs.epoch,
            )
        })?;
        Ok(())
    }

    /// A hash over everything that decides what the image holds.
    fn content(&self) -> Result<String> {
        let mut print = Fingerprint::new()
            .add("version", env!("CARGO_PKG_VERSION"))
            .add("epoch", &self.inputs.epoch.to_string())
            .add("wheel", &self.inputs.lock.wheel.sha256)
            .file("hostd", &self.args.hostd)?
            .tree("os", &self.os)?;
        if self.args.alpine_mirror.is_some() {
            print = print.tree("alpine", &self.dirs("alpine")[2])?;
        }
        for deb in self.inputs.debs.iter().flat_map(|(_, debs)| debs) {
            print = print.add(&deb.entry.name, &deb.entry.sha256);
        }
        Ok(print.finish())
    }

    fn root_and_medium(&self) -> Result<()> {
        let content = self.content()?;
        let build = &content[..12];
        let root = self.cache.path("root");
        let mirror = self.args.alpine_mirror.as_deref().unwrap_or_default();
        let print = || Fingerprint::new().add("content", &content).add("mirror", mirror);
        self.cache.stage("root", print(), &[&root], || self.root(build, &root))?;

        let image = self.cache.path("root.squashfs");
        let squashed = print().add("compression", self.args.squashfs.name());
        self.cache.stage("squashfs", squashed, &[&image], || {
            squashfs::pack(&root, &image, self.args.squashfs, self.inputs.epoch)
        })?;

        let title = format!("Quantix {} {build}", env!("CARGO_PKG_VERSION"));
        let [base, net] = self.initramfs();
        let microcode = self.microcode();
        let grub_cfg = self.os.join("boot/grub.cfg");
        let mut files = vec![
            (self.kernel.vmlinuz.as_path(), "boot/vmlinuz"),
            (base.as_path(), "boot/initrd.img"),
            (net.as_path(), "boot/initrd-net.img"),
            (image.as_path(), "live/root.squashfs"),
        ];
        if self.with_firmware() {
            files.push((microcode.as_path(), "boot/microcode.img"));
        }
        let medium = Medium { boot: &self.boot, grub_cfg: &grub_cfg, files: &files, title: &title };
        let begun = Instant::now();
        iso::write(&medium, &self.cache.path("medium"), &self.args.output, self.inputs.epoch)?;
        println!("  iso: {:.1} s", begun.elapsed().as_secs_f64());
        self.list(&title, &root)
    }

    fn root(&self, build: &str, root: &Path) -> Result<()> {
        let mut sets = vec!["glibc", "kernel", "boot", "licences"];
        if self.with_firmware() {
            sets.push("firmware");
        }
        let texts: Vec<PathBuf> = sets.iter().map(|s| self.dirs(s)[1].clone()).collect();
        let [scratch, _, ours] = self.dirs("hostd");
        let product = Product {
            hostd: &self.args.hostd,
            os: &self.os,
            texts: &texts,
            common: &self.dirs("licences")[0].join("usr/share/common-licenses"),
            build,
            version: env!("CARGO_PKG_VERSION"),
        };
        product::pack(&self.apk, &product, &scratch, &ours)?;
        let mut packages = vec![ours];
        packages.extend(["alpine", "glibc", "kernel"].map(|s| self.dirs(s)[2].clone()));
        let mut names = rootfs::words(&self.os.join("alpine/world"))?;
        names.extend(["hostd", glibc::NAME, "linux"].map(str::to_owned));
        if self.with_firmware() {
            packages.push(self.dirs("firmware")[2].clone());
            names.push("firmware".into());
        }
        let repository = self.cache.path("repository");
        rootfs::repository(&self.apk, &packages, &repository)?;
        let base_keys = self.cache.path("alpine/etc/apk/keys");
        let extra = self.args.alpine_mirror.as_ref().map(|_| base_keys.as_path());
        rootfs::install(&self.apk, &repository, extra, &names, &self.os, root, self.inputs.epoch)?;
        let census = elf::check(root)?;
        println!(
            "  libraries: {} glibc, {} musl, {} standalone programs, all resolved",
            census.glibc, census.musl, census.standalone
        );
        Ok(())
    }

    fn list(&self, title: &str, root: &Path) -> Result<()> {
        let texts: Vec<PathBuf> = self.inputs.debs.iter().map(|(set, _)| self.dirs(set)[1].clone()).collect();
        let linked = linked::read(&self.args.crates, &self.args.place.source)?;
        let list = sbom::Contents {
            title,
            iso: &digest::file(&self.args.output)?,
            hostd: &digest::file(&self.args.hostd)?,
            linked: &linked,
            root,
            texts: &texts,
            inputs: &self.inputs,
        };
        let mut out = self.args.output.as_os_str().to_owned();
        out.push(".spdx.json");
        sbom::write(&list, Path::new(&out))
    }
}
