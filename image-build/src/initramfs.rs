//! The initramfs: busybox, musl, our `init`, and the drivers that reach the image. A second archive adds the
//! network drivers for booting from a URL; it is loaded behind the first and brings its own module indexes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use anyhow::{Context, Result};

use crate::alpine::Apk;
use crate::command::Command;
use crate::{cpio, kernel, prune, tree};

/// Which modules go where; `os/initramfs/modules`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Selection {
    base: Vec<String>,
    net: Vec<String>,
    exclude: Vec<String>,
}

impl Selection {
    /// Reads lines of `base|net|exclude PATH…`, paths relative to the kernel's module directory. A path is a
    /// file or a directory; an excluded one may contain `*`.
    pub fn parse(text: &str) -> Result<Self> {
        let mut all = Self::default();
        for line in text.lines().map(|l| l.split('#').next().unwrap_or_default()) {
            let mut words = line.split_whitespace();
            let list = match words.next() {
                None => continue,
                Some("base") => &mut all.base,
                Some("net") => &mut all.net,
                Some("exclude") => &mut all.exclude,
                Some(other) => anyhow::bail!("unknown word `{other}`"),
            };
            list.extend(words.map(str::to_owned));
        }
        Ok(all)
    }

    fn wants(&self, list: &[String], module: &str) -> bool {
        let under = |dir: &String| module == dir || module.starts_with(&format!("{dir}/"));
        list.iter().any(under) && !self.exclude.iter().any(|p| prune::glob(p, module))
    }
}

/// Builds `base_image` and `net_image` (zstd) from the Alpine root `alpine` and the kernel's `modules` tree.
pub fn build(
    alpine: &Path,
    os: &Path,
    modules: &Path,
    scratch: &Path,
    [base_image, net_image]: [&Path; 2],
    epoch: u64,
) -> Result<()> {
    let release = kernel::release(&modules.join("lib/modules"))?;
    let from = modules.join("lib/modules").join(&release);
    let selection = Selection::parse(&fs::read_to_string(os.join("initramfs/modules"))?)?;
    let dependencies = parse_dep(&fs::read_to_string(from.join("modules.dep"))?);
    let pick = |list: &[String]| {
        let inside = |m: &&String| m.strip_prefix("kernel/").is_some_and(|m| selection.wants(list, m));
        closure(&dependencies, dependencies.keys().filter(inside).cloned())
    };
    let base = pick(&selection.base);
    let net: BTreeSet<String> = pick(&selection.net).difference(&base).cloned().collect();

    tree::fresh(scratch)?;
    let root = scratch.join("base");
    userland(alpine, os, &root, epoch)?;
    place(&from, &root, &release, &base)?;
    kernel::depmod(&root, &release, epoch)?;
    drop_binary_indexes(&root, &release)?;
    write(&root, base_image, epoch)?;

    // the indexes of the second archive cover both; its own modules are all it carries besides
    let union = scratch.join("union");
    place(&from, &union, &release, &base.union(&net).cloned().collect())?;
    kernel::depmod(&union, &release, epoch)?;
    drop_binary_indexes(&union, &release)?;
    for module in &base {
        fs::remove_file(union.join("lib/modules").join(&release).join(module))?;
    }
    write(&union, net_image, epoch)?;
    println!("  initramfs: {} modules, {} more for the network", base.len(), net.len());
    fs::remove_dir_all(scratch)?;
    Ok(())
}

fn userland(alpine: &Path, os: &Path, root: &Path, epoch: u64) -> Result<()> {
    for dir in ["bin", "sbin", "dev", "proc", "sys", "run", "lib", "etc", "new", "tmp", "usr/share/udhcpc"] {
        fs::create_dir_all(root.join(dir))?;
    }
    for file in ["bin/busybox", "lib/ld-musl-x86_64.so.1", "lib/libc.musl-x86_64.so.1"] {
        tree::copy_entry(&alpine.join(file), &root.join(file))?;
    }
    let applets = Apk::program(alpine, "bin/busybox", epoch).arg("--list").text()?;
    for applet in applets.lines().filter(|a| *a != "busybox") {
        symlink("busybox", root.join("bin").join(applet))?;
    }
    // the kernel itself asks for modules by this path
    symlink("../bin/busybox", root.join("sbin/modprobe"))?;
    for (from, to) in [("init", "init"), ("udhcpc.script", "usr/share/udhcpc/default.script")] {
        fs::copy(os.join("initramfs").join(from), root.join(to))?;
        fs::set_permissions(root.join(to), fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn place(from: &Path, root: &Path, release: &str, modules: &BTreeSet<String>) -> Result<()> {
    let to = root.join("lib/modules").join(release);
    fs::create_dir_all(&to)?;
    for module in modules {
        tree::link_or_copy(&from.join(module), &to.join(module))?;
    }
    for index in ["modules.order", "modules.builtin", "modules.builtin.modinfo"] {
        tree::link_or_copy(&from.join(index), &to.join(index))?;
    }
    Ok(())
}

/// busybox reads the text indexes; the binary ones, which kmod reads, would be ballast here.
fn drop_binary_indexes(root: &Path, release: &str) -> Result<()> {
    let rules = prune::parse("remove *.bin modules.builtin.modinfo modules.builtin.alias modules.devname")?;
    prune::apply(&root.join("lib/modules").join(release), &rules)
}

fn write(root: &Path, image: &Path, epoch: u64) -> Result<()> {
    // directories come from several places with several masks
    for path in tree::walk(root)? {
        if root.join(&path).symlink_metadata()?.is_dir() {
            fs::set_permissions(root.join(&path), fs::Permissions::from_mode(0o755))?;
        }
    }
    let bytes = cpio::archive(root, epoch)?;
    // a fixed number of workers: the stream depends on it
    let packed = Command::new("zstd", epoch).args(["-q", "-19", "-T2", "-c"]).input(bytes).output()?;
    tree::write(image, &packed).with_context(|| format!("cannot write {}", image.display()))
}

/// `module: its dependencies` lines.
fn parse_dep(text: &str) -> BTreeMap<String, Vec<String>> {
    let lines = text.lines().filter_map(|l| l.split_once(':'));
    lines.map(|(m, deps)| (m.to_owned(), deps.split_whitespace().map(str::to_owned).collect())).collect()
}

/// depmod already lists indirect dependencies, so one step is the whole closure.
fn closure(
    dependencies: &BTreeMap<String, Vec<String>>,
    modules: impl Iterator<Item = String>,
) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for module in modules {
        all.extend(dependencies.get(&module).into_iter().flatten().cloned());
        all.insert(module);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn script(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../os").join(name)
    }

    #[test]
    fn scripts_parse() {
        let scripts = [
            "initramfs/init",
            "initramfs/udhcpc.script",
            "overlay/etc/init.d/quantix-early",
            "overlay/etc/init.d/virtlogd",
            "overlay/etc/init.d/libvirtd",
            "overlay/etc/init.d/hostd",
            "overlay/etc/init.d/watchdog",
            "overlay/usr/libexec/quantix-dhcp",
        ];
        for name in scripts {
            Command::new("sh", 0).arg("-n").arg(script(name)).run().unwrap();
            let lines = fs::read_to_string(script(name)).unwrap().lines().count();
            assert!(lines <= 150, "{name} has {lines} lines");
        }
    }

    #[test]
    fn the_committed_selection_parses() {
        let text = fs::read_to_string(script("initramfs/modules")).unwrap();
        let selection = Selection::parse(&text).unwrap();
        assert!(selection.wants(&selection.base, "fs/squashfs/squashfs.ko"));
        assert!(!selection.wants(&selection.base, "drivers/scsi/qla2xxx/qla2xxx.ko"));
        assert!(selection.wants(&selection.net, "drivers/net/virtio_net.ko"));
    }

    #[test]
    fn dependencies_come_along() {
        let deps = parse_dep("kernel/a.ko: kernel/b.ko kernel/c.ko\nkernel/b.ko:\nkernel/c.ko:\n");
        let all = closure(&deps, ["kernel/a.ko".to_owned()].into_iter());
        assert_eq!(all.len(), 3);
    }
}
