//! The logs of serial ports, which keep what a guest printed while nobody looked. A guest prints without end, and the logs
//! are in memory on most hosts: only the newest part of each keeps its room.

use crate::Hypervisor;
use crate::error::VirtError;
use nix::fcntl::{FallocateFlags, fallocate};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Bytes at the end of a log that are kept.
const KEPT: u64 = 64 << 10;
/// Bytes a log may take before it is cut.
const MOST: u64 = 256 << 10;
/// File systems give room back in blocks of this size.
const BLOCK: u64 = 4096;

impl Hypervisor {
    /// Gives back the room of all but the newest 64 KiB of each log; answers how many were cut.
    ///
    /// # Errors
    /// When a log can't be cut; the others are.
    pub async fn trim_serial_logs(&self) -> Result<usize, VirtError> {
        let run_dir = self.shared.settings.run_dir.clone();
        let trimmed = tokio::task::spawn_blocking(move || trim_all(&run_dir)).await;
        let failed = |error: &dyn std::fmt::Display| VirtError::local("trim the serial logs", error);
        trimmed.map_err(|panic| failed(&panic))?.map_err(|error| failed(&error))
    }
}

fn trim_all(run_dir: &Path) -> io::Result<usize> {
    let (mut trimmed, mut failed) = (0, None);
    for machine in std::fs::read_dir(run_dir).into_iter().flatten().flatten() {
        match trim(&machine.path().join("serial.log")) {
            Ok(done) => trimmed += usize::from(done),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(trimmed), Err)
}

fn trim(log: &Path) -> io::Result<bool> {
    if std::fs::symlink_metadata(log)?.blocks() * 512 <= MOST {
        return Ok(false);
    }
    let file = OpenOptions::new().write(true).custom_flags(nix::libc::O_NOFOLLOW).open(log)?;
    let length = file.metadata()?.len();
    let old = length.saturating_sub(KEPT) / BLOCK * BLOCK;
    match punch(&file, old) {
        // A hole takes no room, and nothing that is written meanwhile is lost.
        Ok(()) => Ok(true),
        // Whoever writes appends: it goes on from the beginning. What was printed until now is lost.
        Err(nix::errno::Errno::EOPNOTSUPP) => file.set_len(0).map(|()| true),
        Err(error) => Err(error.into()),
    }
}

fn punch(file: &File, until: u64) -> Result<(), nix::errno::Errno> {
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    fallocate(file, flags, 0, i64::try_from(until).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, SeekFrom, Write};

    #[test]
    fn a_log_that_grew_keeps_its_end_and_gives_back_the_rest() {
        let dir = tempfile::tempdir().expect("directory");
        let machine = dir.path().join("vm");
        std::fs::create_dir(&machine).expect("a machine");
        let path = machine.join("serial.log");
        let mut log = OpenOptions::new().create(true).append(true).open(&path).expect("a log");
        log.write_all(b"short").expect("output");
        assert_eq!(trim_all(dir.path()).expect("looked at"), 0);
        for round in 0..3 {
            log.write_all(&vec![b'0' + round; 1 << 20]).expect("output");
            assert_eq!(trim_all(dir.path()).expect("cut"), 1);
            let taken = log.metadata().expect("the log").blocks() * 512;
            assert!(taken <= MOST, "{taken} bytes");
            log.write_all(b"login: ").expect("what comes later");
            let mut end = vec![0; KEPT as usize];
            let mut reader = File::open(&path).expect("the log");
            reader.seek(SeekFrom::End(-(KEPT as i64))).expect("its end");
            reader.read_exact(&mut end).expect("its end");
            assert!(end.ends_with(b"login: ") && end[..1000].iter().all(|b| *b == b'0' + round));
        }
        assert_eq!(trim_all(&dir.path().join("none")).expect("nothing there"), 0);
    }

    #[test]
    fn nothing_but_a_log_is_cut() {
        let dir = tempfile::tempdir().expect("directory");
        let (machine, disk) = (dir.path().join("vm"), dir.path().join("disk"));
        std::fs::create_dir(&machine).expect("a machine");
        std::fs::write(&disk, vec![1; 1 << 20]).expect("a disk");
        std::os::unix::fs::symlink(&disk, machine.join("serial.log")).expect("a trap");
        assert!(trim_all(dir.path()).is_ok_and(|n| n == 0), "a link is not followed");
        assert!(std::fs::read(&disk).expect("the disk").iter().all(|b| *b == 1));
    }
}
