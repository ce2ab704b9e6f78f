//! What tells why a machine is as it is: libvirt's definitions of it, and the logs of its QEMU and its serial port.

use crate::Hypervisor;
use crate::call::QUICK;
use crate::error::VirtError;
use hostd_types::VmId;
use nix::libc::{O_CLOEXEC, O_NOFOLLOW, O_NONBLOCK};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use virt::connect::Connect;
use virt::domain::Domain;
use virt_sys as sys;

/// Where libvirt keeps the logs of QEMU, each named like its domain.
const LOGS: &str = "/var/log/libvirt/qemu";
/// Bytes at the end of a log that are looked at.
const LOOKED_AT: u64 = 512 << 10;

/// A domain's definitions, as libvirt tells them to whoever may not see secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainXml {
    /// Its name inside libvirt.
    pub name: String,
    /// What runs; none while it is off.
    pub live: Option<String>,
    /// What its next start uses.
    pub persistent: String,
}

impl Hypervisor {
    /// The definitions of a machine's domain. libvirt leaves passwords out.
    ///
    /// # Errors
    /// When there is no such domain.
    pub async fn domain_xml(&self, vm: VmId) -> Result<DomainXml, VirtError> {
        let read = |_: &Connect, domain: &Domain| {
            Ok(DomainXml {
                name: domain.name()?,
                live: if domain.is_active()? { Some(domain.xml_desc(0)?) } else { None },
                persistent: domain.xml_desc(sys::VIR_DOMAIN_XML_INACTIVE)?,
            })
        };
        self.shared.on_domain("read its definition", vm, QUICK, read).await
    }

    /// The last `lines` lines of the log of the QEMU of the machine `vm`, whose domain is called `name`. libvirt names logs so
    /// and keeps them: what a machine of that name left before is not shown.
    ///
    /// # Errors
    /// Why it can't be read.
    pub async fn qemu_log(&self, vm: VmId, name: &str, lines: usize) -> io::Result<Vec<String>> {
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no log has such a name"));
        }
        let all = last(Path::new(LOGS).join(format!("{name}.log")), usize::MAX).await?;
        let own = of_machine(all, &vm.to_string());
        Ok(own[own.len().saturating_sub(lines)..].to_vec())
    }

    /// The last `lines` lines a machine printed on its serial port.
    ///
    /// # Errors
    /// Why they can't be read.
    pub async fn serial_log(&self, vm: VmId, lines: usize) -> io::Result<Vec<String>> {
        last(self.shared.settings.run_dir.join(vm.to_string()).join("serial.log"), lines).await
    }
}

/// Opens a file in a directory that is QEMU's for reading: nothing but a plain file, whatever was put in its place.
///
/// # Errors
/// When it is not there or something else.
pub(crate) fn open_plain(path: &Path) -> io::Result<File> {
    let flags = O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file"))
}

/// The runs of one machine in a log that several may have written to: each begins with a line of libvirt's, and QEMU's command
/// line after it has the machine's id.
fn of_machine(lines: Vec<String>, id: &str) -> Vec<String> {
    let mut runs: Vec<Vec<String>> = vec![Vec::new()];
    for line in lines {
        if line.contains(": starting up libvirt version") {
            runs.push(Vec::new());
        }
        if let Some(run) = runs.last_mut() {
            run.push(line);
        }
    }
    let begun = runs.len() > 1;
    let own = |(n, run): &(usize, Vec<String>)| {
        // What stands before the first beginning is the end of a long run: nobody's when others follow.
        if *n == 0 { !begun } else { run.iter().any(|line| line.contains(id)) }
    };
    runs.into_iter().enumerate().filter(own).flat_map(|(_, run)| run).collect()
}

async fn last(file: PathBuf, lines: usize) -> io::Result<Vec<String>> {
    tokio::task::spawn_blocking(move || tail(&file, lines)).await?
}

/// The last `most` bytes of a file in a directory that is QEMU's; a link, a pipe or a device in its place is not read.
///
/// # Errors
/// Why it can't be read.
pub async fn log_end(path: PathBuf, most: u64) -> io::Result<Vec<u8>> {
    tokio::task::spawn_blocking(move || end_of(&path, most).map(|(bytes, _)| bytes)).await?
}

/// The last `most` bytes of a plain file, and whether there are more before them.
fn end_of(path: &Path, most: u64) -> io::Result<(Vec<u8>, bool)> {
    let mut file = open_plain(path)?;
    let from = file.metadata()?.len().saturating_sub(most);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok((bytes, from > 0))
}

/// The last lines of a plain file; a link, a pipe or a device in its place is not read.
fn tail(path: &Path, lines: usize) -> io::Result<Vec<String>> {
    let (bytes, cut) = end_of(path, LOOKED_AT)?;
    // What was given back to the file system reads as zeros.
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_start_matches('\0');
    let whole = if cut { text.split_once('\n').map_or(text, |(_, rest)| rest) } else { text };
    let shown = |line: &str| line.chars().filter(|c| !c.is_control() || *c == '\t').collect();
    let all: Vec<String> = whole.lines().map(shown).collect();
    Ok(all[all.len().saturating_sub(lines)..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_of_two_machines_shows_the_runs_of_one() {
        let log = [
            "old end",
            "t: starting up libvirt version: 9",
            "-uuid a1",
            "mine",
            "t: starting up libvirt version: 9",
            "-uuid b2",
            "other",
        ];
        let lines = log.map(String::from).to_vec();
        assert_eq!(of_machine(lines.clone(), "a1"), lines[1..4]);
        assert_eq!(of_machine(lines.clone(), "c3"), Vec::<String>::new());
        assert_eq!(of_machine(lines[..1].to_vec(), "a1"), ["old end"]);
    }

    #[test]
    fn the_last_whole_lines_of_a_plain_file_are_read() {
        let dir = tempfile::tempdir().expect("directory");
        let (log, link) = (dir.path().join("log"), dir.path().join("link"));
        std::fs::write(&log, "one\ntwo\u{1b}[31m\r\nthree\n").expect("a log");
        assert_eq!(tail(&log, 2).expect("lines"), ["two[31m", "three"]);
        assert_eq!(tail(&log, 9).expect("lines").len(), 3);
        std::fs::write(&log, "x".repeat(100) + "\n" + &"0123456789\n".repeat(60_000)).expect("a long log");
        let all = tail(&log, usize::MAX).expect("lines");
        assert!(all.len() > 40_000 && all.iter().all(|line| line == "0123456789"), "only whole ones");
        std::os::unix::fs::symlink(&log, &link).expect("a link");
        tail(&link, 2).expect_err("a link is not followed");
        tail(dir.path(), 2).expect_err("nor a directory read");
        assert_eq!(tail(&dir.path().join("none"), 2).expect_err("nothing").kind(), io::ErrorKind::NotFound);
    }
}
