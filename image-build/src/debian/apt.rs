//! apt with a directory of its own: resolves a set to a closed list of files and downloads it. apt checks
//! the archive's signatures with Debian's keyring.

use std::cell::Cell;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::set::Set;
use super::sources::Mirrors;
use crate::command::Command;
use crate::lock::Locked;
use crate::tree;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A private apt.
pub struct Apt {
    dir: PathBuf,
    updated: Cell<bool>,
}

/// A file apt fetched.
#[derive(Debug, PartialEq, Eq)]
pub struct Archive {
    /// Package name.
    pub name: String,
    /// Full version.
    pub version: String,
    /// The .deb.
    pub path: PathBuf,
}

impl Apt {
    /// Names the directory; nothing is read or written before it is needed.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, updated: Cell::new(false) }
    }

    /// Fetches the package lists, once a run.
    pub fn update(&self) -> Result<()> {
        if self.updated.get() {
            return Ok(());
        }
        self.configure()?;
        println!("  reading Debian's package lists");
        self.command("apt-get").args(["-q", "update"]).run().context("cannot read the package lists")?;
        self.updated.set(true);
        Ok(())
    }

    /// Resolves `set` to its closed list and downloads it, preferring the versions in `pins`.
    pub fn download(&self, set: &Set, pins: &[Locked]) -> Result<Vec<Archive>> {
        tree::write(&self.dir.join("status"), status(&set.provided).as_bytes())?;
        tree::write(&self.dir.join("etc/preferences"), preferences(pins).as_bytes())?;
        let install = ["-y", "-q", "--no-install-recommends"];
        let plan = self
            .command("apt-get")
            .args(install)
            .args(["--simulate", "install"])
            .args(&set.want)
            .text()
            .with_context(|| format!("cannot resolve the set {}", set.name))?;
        self.command("apt-get").args(install).args(["--download-only", "install"]).args(&set.want).run()?;
        let archives = self.dir.join("cache/archives");
        let mut found = Vec::new();
        for (name, version) in parse_plan(&plan) {
            let file = |arch| archives.join(format!("{name}_{}_{arch}.deb", version.replace(':', "%3a")));
            let path = ["amd64", "all"].map(file).into_iter().find(|p| p.exists());
            let path = path.with_context(|| format!("apt did not leave {name} {version}"))?;
            found.push(Archive { name, version, path });
        }
        if found.is_empty() {
            bail!("the set {} resolved to nothing", set.name);
        }
        Ok(found)
    }

    fn command(&self, program: &str) -> Command {
        Command::new(program, 0).env("APT_CONFIG", self.dir.join("apt.conf"))
    }

    fn configure(&self) -> Result<()> {
        let d = self.dir.display();
        for sub in ["etc/apt.conf.d", "etc/preferences.d", "state/lists/partial", "cache/archives/partial"] {
            std::fs::create_dir_all(self.dir.join(sub))?;
        }
        let mut conf = format!(
            "Dir \"{d}\";\nDir::Etc \"{d}/etc\";\nDir::Etc::sourcelist \"sources.list\";\n\
             Dir::Etc::sourceparts \"/dev/null\";\nDir::Etc::netrc \"/etc/apt/auth.conf\";\n\
             Dir::State \"{d}/state\";\nDir::State::status \"{d}/status\";\nDir::Cache \"{d}/cache\";\n\
             APT::Architecture \"amd64\";\nAPT::Architectures {{\"amd64\";}};\n\
             APT::Install-Recommends \"false\";\nAPT::Sandbox::User \"root\";\nAcquire::Languages \"none\";\n"
        );
        // proxies and certificates this machine needs to reach its mirror
        let own = Command::new("apt-config", 0).arg("dump").text()?;
        for line in own.lines().filter(|l| {
            ["Acquire::http::", "Acquire::https::"].iter().any(|p| l.starts_with(p)) && !l.ends_with(" \"\";")
        }) {
            writeln!(conf, "{line}")?;
        }
        tree::write(&self.dir.join("apt.conf"), conf.as_bytes())?;
        if !self.dir.join("status").exists() {
            tree::write(&self.dir.join("status"), b"")?;
        }
        let mirrors = Mirrors::read(Path::new("/etc/apt"))?;
        tree::write(&self.dir.join("etc/sources.list"), sources_list(&mirrors).as_bytes())
    }
}

fn sources_list(mirrors: &Mirrors) -> String {
    let mut text = String::new();
    let suite = super::SUITE;
    let lines = [
        (&mirrors.main, suite.to_owned()),
        (&mirrors.main, format!("{suite}-updates")),
        (&mirrors.security, format!("{suite}-security")),
    ];
    for (uri, suite) in lines {
        if let Some(uri) = uri {
            text += &format!("deb [signed-by={KEYRING}] {uri} {suite} main non-free-firmware\n");
        }
    }
    text
}

/// A dpkg status that declares packages as installed, in a version that satisfies everybody.
fn status(provided: &[String]) -> String {
    let mut text = String::new();
    for name in provided {
        text += &format!(
            "Package: {name}\nStatus: install ok installed\nPriority: optional\nSection: misc\n\
             Maintainer: none <none@invalid>\nArchitecture: amd64\nMulti-Arch: foreign\nVersion: 9999:1\n\
             Description: provided by the base\n\n"
        );
    }
    text
}

fn preferences(pins: &[Locked]) -> String {
    pins.iter()
        .map(|p| format!("Package: {}\nPin: version {}\nPin-Priority: 1001\n\n", p.name, p.version))
        .collect()
}

/// Names and versions out of a simulated installation: `Inst NAME (VERSION ORIGIN…)`. Unlike the list of
/// addresses, it also names what is downloaded already.
fn parse_plan(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter_map(|l| l.strip_prefix("Inst "));
    let pairs = lines.filter_map(|l| {
        let (name, rest) = l.split_once(' ')?;
        let (_, version) = rest.split_once('(')?;
        Some((name.to_owned(), version.split_whitespace().next()?.to_owned()))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plan_of_apt() {
        let text = "Reading package lists...\nThe following NEW packages will be installed:\n  libc6\n\
                    Inst libdevmapper1.02.1 (2:1.02.205-2 Debian:13.3/stable [amd64])\n\
                    Inst firmware-bnx2 (20250410-2 Debian:13.3/stable [all]) []\n\
                    Conf libdevmapper1.02.1 (2:1.02.205-2 Debian:13.3/stable [amd64])\n";
        let plan = parse_plan(text);
        assert_eq!(plan.len(), 2);
        assert_eq!(plan[0], ("libdevmapper1.02.1".to_owned(), "2:1.02.205-2".to_owned()));
        assert_eq!(plan[1].1, "20250410-2");
    }

    #[test]
    fn suites_of_the_sources() {
        let mirrors = Mirrors { main: Some("http://m".into()), security: Some("http://s".into()) };
        let text = sources_list(&mirrors);
        assert_eq!(text.lines().count(), 3);
        assert!(text.contains("http://s trixie-security main"));
    }

    #[test]
    fn pins_name_exact_versions() {
        let pin = Locked { set: "s".into(), name: "a".into(), version: "1:2".into(), sha256: "0".repeat(64) };
        assert!(preferences(&[pin]).contains("Package: a\nPin: version 1:2\nPin-Priority: 1001"));
    }
}
