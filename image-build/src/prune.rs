//! Prune lists: which parts of an unpacked package stay out of the image. A list is text beside the
//! other operating system files, one rule a line:
//!
//! ```text
//! remove usr/share/doc            a path; `*` stands for any run of characters inside one component
//! keep-only usr/share/qemu bios*  everything else directly in that directory goes
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// One line of a list.
#[derive(Debug, PartialEq, Eq)]
pub enum Rule {
    /// Remove what matches.
    Remove(String),
    /// In this directory, remove what matches none of the patterns.
    KeepOnly(String, Vec<String>),
}

/// Reads a list; `#` begins a comment.
pub fn parse(text: &str) -> Result<Vec<Rule>> {
    let mut rules = Vec::new();
    for line in text.lines().map(|l| l.split('#').next().unwrap_or_default()) {
        let mut words = line.split_whitespace();
        match words.next() {
            None => {}
            Some("remove") => rules.extend(words.map(|w| Rule::Remove(w.to_owned()))),
            Some("keep-only") => {
                let dir = words.next().context("keep-only needs a directory")?.to_owned();
                rules.push(Rule::KeepOnly(dir, words.map(str::to_owned).collect()));
            }
            Some(other) => bail!("unknown rule `{other}`"),
        }
    }
    Ok(rules)
}

/// Applies a list to a tree. A rule that matches nothing is fine: packages change.
pub fn apply(root: &Path, rules: &[Rule]) -> Result<()> {
    for rule in rules {
        match rule {
            Rule::Remove(pattern) => {
                for path in matches(root, pattern)? {
                    remove(&path)?;
                }
            }
            Rule::KeepOnly(dir, keep) => {
                let dir = root.join(dir);
                if !dir.is_dir() {
                    continue;
                }
                for entry in fs::read_dir(&dir)? {
                    let name = entry?.file_name();
                    let name = name.to_string_lossy();
                    if !keep.iter().any(|pattern| glob(pattern, &name)) {
                        remove(&dir.join(&*name))?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn matches(root: &Path, pattern: &str) -> Result<Vec<PathBuf>> {
    let mut found = vec![root.to_owned()];
    for part in pattern.split('/') {
        let mut next = Vec::new();
        for dir in found.iter().filter(|d| d.is_dir()) {
            if !part.contains('*') {
                let path = dir.join(part);
                if path.symlink_metadata().is_ok() {
                    next.push(path);
                }
                continue;
            }
            for entry in fs::read_dir(dir)? {
                let entry = entry?;
                if glob(part, &entry.file_name().to_string_lossy()) {
                    next.push(entry.path());
                }
            }
        }
        found = next;
    }
    Ok(found)
}

/// Whether `name` matches `pattern`, in which `*` stands for any run of characters.
pub fn glob(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name.strip_prefix(head).is_some_and(|tail| {
            (0..=tail.len()).filter(|i| tail.is_char_boundary(*i)).any(|i| glob(rest, &tail[i..]))
        }),
    }
}

fn remove(path: &Path) -> Result<()> {
    let meta = path.symlink_metadata()?;
    if meta.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
        .with_context(|| format!("cannot remove {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        assert!(glob("bios*", "bios-256k.bin"));
        assert!(glob("hw-*-gl.so", "hw-display-gl.so"));
        assert!(glob("*", ""));
        assert!(!glob("bios", "bios-256k.bin"));
        assert!(!glob("*.so", "x.so.1"));
    }

    #[test]
    fn removes_and_keeps() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["doc/a/x", "roms/bios.bin", "roms/mips.bin", "lib/p.so"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let rules = parse("remove doc # text\nkeep-only roms bios*\nremove no/such lib/*.so\n").unwrap();
        apply(dir.path(), &rules).unwrap();
        let left: Vec<_> =
            crate::tree::walk(dir.path()).unwrap().iter().map(|p| p.display().to_string()).collect();
        assert_eq!(left, ["lib", "roms", "roms/bios.bin"]);
    }

    #[test]
    fn unknown_rule_is_refused() {
        assert!(parse("delete x").is_err());
    }
}
