//! Reading sysfs and procfs: small reads with limits, because what devices say of themselves is theirs to choose.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Most bytes of an attribute; the kernel's own are a page at most.
const TEXT_MAX: u64 = 4096;
/// Most entries of a directory that are looked at.
const ENTRIES_MAX: usize = 4096;
/// Most characters of a name that a device gives itself.
const NAME_MAX: usize = 128;
/// Stands for every block device among those that are mounted.
const ANYTHING: &str = "*";
/// Most bytes of the list of mounts.
const MOUNTS_MAX: u64 = 4 << 20;

/// Where the kernel shows the machine; a directory of its own in tests.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    /// `/sys`.
    pub sys: PathBuf,
    /// `/proc`.
    pub proc: PathBuf,
}

impl Default for Tree {
    fn default() -> Self {
        Self { sys: "/sys".into(), proc: "/proc".into() }
    }
}

impl Tree {
    /// An attribute's first line without white space around it and without what is not to be printed; `None` when it is
    /// not there, can't be read or is empty.
    pub fn text(&self, path: &str) -> Option<String> {
        let text = read(&self.sys.join(path), TEXT_MAX)?;
        let line: String = text.lines().next()?.chars().filter(|c| !c.is_control()).take(NAME_MAX).collect();
        let line = line.trim();
        if line.is_empty() { None } else { Some(line.to_owned()) }
    }
    /// The digits of an attribute such as `0x8086`, `len` of them at least.
    pub fn hex(&self, path: &str, len: usize) -> Option<String> {
        let text = self.text(path)?;
        let digits = text.trim_start_matches("0x").to_ascii_lowercase();
        let good = digits.len() == len && digits.bytes().all(|b| b.is_ascii_hexdigit());
        good.then_some(digits)
    }
    /// An attribute that is a number.
    pub fn number(&self, path: &str) -> Option<u32> {
        self.text(path)?.parse().ok()
    }
    /// The names in a directory, in order; none when it is not there.
    pub fn names(&self, path: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.sys.join(path)) else { return Vec::new() };
        let names = entries.take(ENTRIES_MAX).filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
    /// The last part of what a symbolic link points to.
    pub fn link(&self, path: &str) -> Option<String> {
        let target = std::fs::read_link(self.sys.join(path)).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    }
    /// The parts of where something really is: the devices it hangs on are among them.
    fn chain(&self, path: &str) -> Vec<String> {
        let Ok(real) = std::fs::canonicalize(self.sys.join(path)) else { return Vec::new() };
        real.iter().filter_map(|part| part.to_str().map(str::to_owned)).collect()
    }

    /// What is mounted or swapped to: numbers (`254:1`) and paths (`/dev/vda1`) of block devices.
    fn mounted(&self) -> BTreeSet<String> {
        let mounts = read(&self.proc.join("self/mountinfo"), MOUNTS_MAX).unwrap_or_default();
        let mut found = BTreeSet::new();
        if mounts.is_empty() || mounts.len() as u64 >= MOUNTS_MAX {
            found.insert(ANYTHING.to_owned()); // better none given away than one that is mounted
        }
        // A file system over several disks names one of them when it is mounted.
        for name in self.names("fs/btrfs") {
            found.extend(
                self.names(&format!("fs/btrfs/{name}/devices")).iter().map(|disk| format!("/dev/{disk}")),
            );
        }
        for line in mounts.lines() {
            found.extend(line.split(' ').nth(2).map(str::to_owned));
            // Some file systems have a number of their own, and name the device behind the dash.
            found.extend(line.split(" - ").nth(1).and_then(|rest| rest.split(' ').nth(1)).map(str::to_owned));
        }
        let swaps = read(&self.proc.join("swaps"), TEXT_MAX).unwrap_or_default();
        found.extend(
            swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next().map(str::to_owned)),
        );
        found
    }
}

/// At most `limit` bytes of a file, as text.
fn read(path: &Path, limit: u64) -> Option<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(limit).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// A link or block device of the host.
struct Use {
    /// The devices it hangs on.
    chain: Vec<String>,
    name: String,
    disk: bool,
    busy: bool,
}

/// What the host has through its devices.
pub(super) struct Uses(Vec<Use>);

impl Uses {
    /// Looks; `addressed`: links that carry an address of the host.
    pub fn read(tree: &Tree, addressed: &BTreeSet<String>) -> Self {
        let links = tree.names("class/net").into_iter().map(|name| {
            let at = format!("class/net/{name}");
            let over = tree.names(&at).iter().any(|n| n == "master" || n.starts_with("upper_"));
            Use { chain: tree.chain(&at), busy: over || addressed.contains(&name), name, disk: false }
        });
        let mounted = tree.mounted();
        let disks = tree.names("block").into_iter().map(|name| {
            let at = format!("block/{name}");
            let busy = is_busy(tree, &at, &name, &mounted);
            Use { chain: tree.chain(&at), name, disk: true, busy }
        });
        Self(links.chain(disks).collect())
    }

    /// What hangs on the device that sysfs calls `part`.
    pub fn of(&self, part: &str) -> hostd_types::DeviceUsage {
        let mut usage = hostd_types::DeviceUsage::default();
        for there in self.0.iter().filter(|there| there.chain.iter().any(|p| p == part)) {
            let (all, busy) = match there.disk {
                true => (&mut usage.disks, &mut usage.disks_in_use),
                false => (&mut usage.links, &mut usage.links_in_use),
            };
            all.push(there.name.clone());
            if there.busy {
                busy.push(there.name.clone());
            }
        }
        usage
    }
}

/// A disk, or a part of it, is mounted, swapped to or part of something else.
fn is_busy(tree: &Tree, at: &str, name: &str, mounted: &BTreeSet<String>) -> bool {
    let parts = tree.names(at).into_iter().filter(|part| part.starts_with(name));
    let mut all = parts.map(|part| (format!("{at}/{part}"), part)).chain([(at.to_owned(), name.to_owned())]);
    all.any(|(at, name)| {
        let number = tree.text(&format!("{at}/dev"));
        mounted.contains(ANYTHING)
            || number.is_some_and(|number| mounted.contains(&number))
            || mounted.contains(&format!("/dev/{name}"))
            || !tree.names(&format!("{at}/holders")).is_empty()
    })
}
