//! Journals: small files beside the databases that say what was begun, so that a start can go on with it. Readable by
//! root alone. All of this blocks.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Result, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes a journal; on the disk when this returns. One that was there is replaced whole or not at all.
pub(crate) fn write(dir: &Path, name: &str, content: &[u8]) -> Result<()> {
    let part = dir.join(format!("{name}.part"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(content)?;
    file.sync_all()?;
    rename(dir, &format!("{name}.part"), name)
}

/// What a journal says, if there is one.
pub(crate) fn read(dir: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    match fs::read(dir.join(name)) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Gives a journal another name.
pub(crate) fn rename(dir: &Path, from: &str, to: &str) -> Result<()> {
    fs::rename(dir.join(from), dir.join(to))?;
    sync(dir)
}

/// Removes a journal; one that is not there is removed.
pub(crate) fn remove(dir: &Path, name: &str) -> Result<()> {
    match fs::remove_file(dir.join(name)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => sync(dir),
    }
}

/// Brings what happened in a directory to the disk.
pub(crate) fn sync(dir: &Path) -> Result<()> {
    File::open(dir)?.sync_all()
}
