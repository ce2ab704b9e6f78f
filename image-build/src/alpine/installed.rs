//! The text format of `lib/apk/db/installed`: one block a package, one letter a field.

use anyhow::{Context, Result};

/// One installed package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installed {
    /// Package name (`P`).
    pub name: String,
    /// Version with release (`V`).
    pub version: String,
    /// Identity of the package file (`C`); triggers refer to it.
    pub checksum: String,
    /// Architecture (`A`).
    pub arch: String,
    /// One line of description (`T`).
    pub description: String,
    /// Home page (`U`).
    pub url: String,
    /// Licence expression (`L`).
    pub license: String,
    /// Source package (`o`).
    pub origin: String,
    /// Dependencies (`D`), blank-separated.
    pub depends: String,
    /// What it provides (`p`).
    pub provides: String,
    /// What makes it install itself (`i`).
    pub install_if: String,
    /// Packages whose files it may take over (`r`).
    pub replaces: String,
    /// Rank among providers (`k`).
    pub provider_priority: String,
    /// Directories (`F`), without a leading slash; the root is an empty string.
    pub dirs: Vec<String>,
    /// Files (`R`) with their directory, joined.
    pub files: Vec<String>,
}

/// Reads the whole database.
pub fn parse(text: &str) -> Result<Vec<Installed>> {
    text.split("\n\n").filter(|b| !b.trim().is_empty()).map(block).collect()
}

fn block(text: &str) -> Result<Installed> {
    let mut package = Installed::default();
    for line in text.lines() {
        let (key, value) = line.split_once(':').with_context(|| format!("not a field: {line}"))?;
        let value = value.to_owned();
        match key {
            "P" => package.name = value,
            "V" => package.version = value,
            "C" => package.checksum = value,
            "A" => package.arch = value,
            "T" => package.description = value,
            "U" => package.url = value,
            "L" => package.license = value,
            "o" => package.origin = value,
            "D" => package.depends = value,
            "p" => package.provides = value,
            "i" => package.install_if = value,
            "r" => package.replaces = value,
            "k" => package.provider_priority = value,
            "F" => package.dirs.push(value),
            "R" => {
                let dir = package.dirs.last().with_context(|| format!("file outside a directory: {line}"))?;
                let path = if dir.is_empty() { value } else { format!("{dir}/{value}") };
                package.files.push(path);
            }
            // sizes, times, owners and checksums of files: read from the files themselves
            _ => {}
        }
    }
    if package.name.is_empty() || package.version.is_empty() {
        anyhow::bail!("a block without name or version: {}", text.lines().next().unwrap_or_default());
    }
    Ok(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "C:Q1abc=\nP:musl\nV:1.2.5-r21\nA:x86_64\nL:MIT\nT:the musl c library\n\
        p:so:libc.musl-x86_64.so.1=1\nF:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\nZ:Q1x=\nF:\nR:top\n\n\
        P:busybox\nV:1.37.0-r30\nD:so:libc.musl-x86_64.so.1\nk:100\nF:bin\nR:busybox\n\n";

    #[test]
    fn reads_packages_files_and_fields() {
        let all = parse(TEXT).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].files, ["lib/ld-musl-x86_64.so.1", "top"]);
        assert_eq!(all[0].provides, "so:libc.musl-x86_64.so.1=1");
        assert_eq!((all[1].name.as_str(), all[1].provider_priority.as_str()), ("busybox", "100"));
    }

    #[test]
    fn damage_is_refused() {
        assert!(parse("P:x\nno field\n").is_err());
        assert!(parse("P:x\nV:1\nR:file\n").is_err());
        assert!(parse("V:1\n").is_err());
    }
}
