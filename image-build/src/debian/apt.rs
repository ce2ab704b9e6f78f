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
        let uris = self
            .command("apt-get")
            .args(install)
            .args(["--print-uris", "install"])
            .args(&set.want)
            .text()
            .with_context(|| format!("cannot resolve the set {}", set.name))?;
        self.command("apt-get").args(install).args(["--download-only", "install"]).args(&set.want).run()?;
        let archives = self.dir.join("cache/archives");
        let mut found = Vec::new();
        for file in parse_uris(&uris) {
            let (name, version) = split_name(&file)?;
            let path = archives.join(&file);
            if !path.exists() {
                bail!("apt did not leave {file}");
            }
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

/// File names out of `'URI' FILE SIZE HASH` lines; other lines are talk.
fn parse_uris(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|l| l.starts_with('\''));
    lines.filter_map(|l| l.split_whitespace().nth(1)).map(str::to_owned).collect()
}

/// `name_version_arch.deb`, in which a colon of the version is written `%3a`.
fn split_name(file: &str) -> Result<(String, String)> {
    let stem = file.strip_suffix(".deb").with_context(|| format!("{file} is no package"))?;
    let parts: Vec<&str> = stem.split('_').collect();
    match parts[..] {
        [name, version, _arch] => Ok((name.to_owned(), version.replace("%3a", ":"))),
        _ => bail!("{file} is not named as packages are"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_of_apt() {
        let text = "Reading package lists...\n'http://m.example/p/libdb5.3t64_5.3.28%2bdfsg2-9_amd64.deb' \
                    libdb5.3t64_5.3.28+dfsg2-9_amd64.deb 706280 SHA256:00\n\
                    'http://m.example/q.deb' libdevmapper1.02.1_2%3a1.02.205-2_amd64.deb 1 MD5Sum:0\n";
        let files = parse_uris(text);
        assert_eq!(files.len(), 2);
        let (name, version) = split_name(&files[1]).unwrap();
        assert_eq!((name.as_str(), version.as_str()), ("libdevmapper1.02.1", "2:1.02.205-2"));
        assert!(split_name("x.deb").is_err());
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
