//! The gate against half-working roots: each program and library must find every library it needs inside its
//! own world, glibc's or musl's, and its loader must exist. Reads ELF headers; runs nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use object::Endianness;
use object::elf;
use object::read::elf::{Dyn, ElfFile64, FileHeader, ProgramHeader};

use crate::tree;

const GLIBC: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
const MUSL: [&str; 3] = ["lib", "usr/lib", "usr/local/lib"];
/// Data that happens to be in ELF form: modules (the kernel links them) and firmware (other processors).
const DATA: [&str; 4] = ["lib/modules", "lib/firmware", "usr/lib/firmware", "usr/share/qemu"];

/// What one ELF file asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The loader, for programs.
    pub interpreter: Option<String>,
    /// Names of libraries.
    pub libraries: Vec<String>,
    /// Directories to look in first; may contain `$ORIGIN`.
    pub run_path: Vec<String>,
}

/// How many files of each kind were looked at.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Files that belong to glibc's world.
    pub glibc: usize,
    /// Files that belong to musl's world.
    pub musl: usize,
    /// Files that need nothing.
    pub standalone: usize,
}

/// Checks every x86-64 ELF file below `root`; lists all that is missing in one error.
pub fn check(root: &Path) -> Result<Census> {
    let mut census = Census::default();
    let mut missing: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for path in tree::walk(root)? {
        let full = root.join(&path);
        if DATA.iter().any(|d| path.starts_with(d)) || !full.symlink_metadata()?.is_file() {
            continue;
        }
        let Some(needs) = read(&full)? else { continue };
        let lacking = lacking(root, &path, &needs);
        if !lacking.is_empty() {
            missing.insert(path, lacking);
        }
        match (is_musl(&needs), needs.libraries.is_empty()) {
            (_, true) => census.standalone += 1,
            (true, false) => census.musl += 1,
            (false, false) => census.glibc += 1,
        }
    }
    if missing.is_empty() {
        return Ok(census);
    }
    let lines: Vec<String> =
        missing.iter().map(|(p, names)| format!("  /{}: {}", p.display(), names.join(" "))).collect();
    bail!("programs that would not run, and what they miss:\n{}", lines.join("\n"))
}

/// Reads one file; `None` when it is not a dynamic x86-64 ELF file or not ELF at all.
pub fn read(path: &Path) -> Result<Option<Needs>> {
    let mut magic = [0u8; 20];
    let Ok(()) = std::io::Read::read_exact(&mut fs::File::open(path)?, &mut magic) else { return Ok(None) };
    // 64-bit, and machine 62: anything else is data for somebody else's processor
    if &magic[..5] != b"\x7fELF\x02" || u16::from_le_bytes([magic[18], magic[19]]) != elf::EM_X86_64 {
        return Ok(None);
    }
    let bytes = fs::read(path)?;
    parse(&bytes).with_context(|| format!("cannot read the ELF headers of {}", path.display())).map(Some)
}

fn parse(bytes: &[u8]) -> Result<Needs> {
    let file = ElfFile64::<Endianness>::parse(bytes)?;
    let endian = file.endian();
    let mut needs = Needs::default();
    let headers = file.elf_header().program_headers(endian, bytes)?;
    for header in headers {
        if let Some(path) = header.interpreter(endian, bytes)? {
            needs.interpreter = Some(String::from_utf8_lossy(path).into_owned());
        }
    }
    let entries = headers.iter().find_map(|h| h.dynamic(endian, bytes).transpose());
    let Some(entries) = entries.transpose()? else { return Ok(needs) };
    let value = |tag: u32| entries.iter().find(|e| e.tag32(endian) == Some(tag)).map(|e| e.d_val(endian));
    let (Some(address), Some(size)) = (value(elf::DT_STRTAB), value(elf::DT_STRSZ)) else { return Ok(needs) };
    let table = headers
        .iter()
        .find_map(|h| h.data_range(endian, bytes, address, size).transpose())
        .transpose()
        .ok()
        .flatten()
        .context("no string table")?;
    let text = |offset: u64| -> Result<String> {
        let from = table.get(usize::try_from(offset)?..).context("name outside the string table")?;
        let end = from.iter().position(|b| *b == 0).unwrap_or(from.len());
        Ok(String::from_utf8_lossy(&from[..end]).into_owned())
    };
    for entry in entries {
        match entry.tag32(endian) {
            Some(elf::DT_NEEDED) => needs.libraries.push(text(entry.d_val(endian))?),
            Some(elf::DT_RPATH | elf::DT_RUNPATH) => {
                needs.run_path.extend(text(entry.d_val(endian))?.split(':').map(str::to_owned));
            }
            Some(_) | None => {}
        }
    }
    Ok(needs)
}

fn is_musl(needs: &Needs) -> bool {
    let loader = needs.interpreter.as_ref().is_some_and(|i| i.contains("ld-musl"));
    loader || needs.libraries.iter().any(|l| l.contains("musl"))
}

fn lacking(root: &Path, path: &Path, needs: &Needs) -> Vec<String> {
    let mut dirs: Vec<PathBuf> = Vec::new();
    let origin = path.parent().unwrap_or(Path::new(""));
    for dir in &needs.run_path {
        let dir = dir.replace("$ORIGIN", &format!("/{}", origin.display()));
        dirs.push(root.join(dir.trim_start_matches('/')));
    }
    let own: &[&str] = if is_musl(needs) { &MUSL } else { &GLIBC };
    dirs.extend(own.iter().map(|d| root.join(d)));
    let there = |name: &str| dirs.iter().any(|d| resolves(root, &d.join(name)));
    let mut lacking: Vec<String> = needs.libraries.iter().filter(|l| !there(l)).cloned().collect();
    if let Some(loader) = &needs.interpreter
        && !resolves(root, &root.join(loader.trim_start_matches('/')))
    {
        lacking.push(loader.clone());
    }
    lacking
}

/// Whether a path leads to a file when links are followed inside `root`, as they will be when it is `/`.
fn resolves(root: &Path, path: &Path) -> bool {
    let Ok(inside) = path.strip_prefix(root) else { return false };
    let mut at = root.to_owned();
    let mut rest: Vec<_> = inside.components().rev().map(|c| c.as_os_str().to_owned()).collect();
    let mut links = 0;
    while let Some(part) = rest.pop() {
        if part == ".." {
            if at != root {
                at.pop();
            }
            continue;
        }
        at.push(&part);
        let Ok(target) = fs::read_link(&at) else { continue };
        links += 1;
        if links > 40 {
            return false;
        }
        at.pop();
        if target.is_absolute() {
            at = root.to_owned();
        }
        let parts = target.components().filter_map(|c| match c {
            std::path::Component::Normal(name) => Some(name.to_owned()),
            std::path::Component::ParentDir => Some("..".into()),
            std::path::Component::CurDir
            | std::path::Component::RootDir
            | std::path::Component::Prefix(_) => None,
        });
        let parts: Vec<_> = parts.collect();
        rest.extend(parts.into_iter().rev());
    }
    at.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// The running test is a dynamic glibc program; its libraries stand in for a root's.
    fn root_with_test_program() -> (tempfile::TempDir, Needs) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("usr/bin")).unwrap();
        fs::create_dir_all(root.join("usr/lib/x86_64-linux-gnu")).unwrap();
        fs::create_dir_all(root.join("usr/lib64")).unwrap();
        symlink("usr/lib64", root.join("lib64")).unwrap();
        let program = std::env::current_exe().unwrap();
        fs::copy(&program, root.join("usr/bin/program")).unwrap();
        let needs = read(&program).unwrap().unwrap();
        for library in &needs.libraries {
            fs::write(root.join("usr/lib/x86_64-linux-gnu").join(library), "").unwrap();
        }
        symlink("../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", root.join("usr/lib64/ld-linux-x86-64.so.2"))
            .unwrap();
        fs::write(root.join("usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"), "").unwrap();
        (dir, needs)
    }

    #[test]
    fn complete_root_passes() {
        let (dir, needs) = root_with_test_program();
        assert!(needs.libraries.contains(&"libc.so.6".to_owned()), "{needs:?}");
        assert_eq!(check(dir.path()).unwrap().glibc, 1);
    }

    #[test]
    fn missing_library_is_named() {
        let (dir, _) = root_with_test_program();
        fs::remove_file(dir.path().join("usr/lib/x86_64-linux-gnu/libc.so.6")).unwrap();
        // musl's directory must not satisfy a glibc program
        fs::create_dir_all(dir.path().join("lib")).unwrap();
        fs::write(dir.path().join("lib/libc.so.6"), "").unwrap();
        let error = check(dir.path()).unwrap_err().to_string();
        assert!(error.contains("/usr/bin/program") && error.contains("libc.so.6"), "{error}");
    }

    #[test]
    fn missing_loader_is_named() {
        let (dir, _) = root_with_test_program();
        fs::remove_file(dir.path().join("lib64")).unwrap();
        assert!(check(dir.path()).unwrap_err().to_string().contains("/lib64/ld-linux"));
    }

    #[test]
    fn other_files_are_none_of_its_business() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        fs::write(&path, "#!/bin/sh\necho a script that is longer than a header\n").unwrap();
        assert_eq!(read(&path).unwrap(), None);
        assert_eq!(check(dir.path()).unwrap(), Census::default());
    }
}
