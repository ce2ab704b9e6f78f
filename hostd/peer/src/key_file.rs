//! Files in the directory of keys: readable by their owner alone, written aside first and then renamed.

use crate::PeerError;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// Writes the file `name` of `dir`, durable when this returns.
pub(crate) fn write(dir: &Path, name: &str, text: &str) -> Result<(), PeerError> {
    let path = dir.join(name);
    write_aside(dir, &path, text).map_err(|source| PeerError::File { path, source })
}

/// What is in the file `name` of `dir`; `None` when there is none.
pub(crate) fn read(dir: &Path, name: &str) -> Result<Option<Zeroizing<String>>, PeerError> {
    let path = dir.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PeerError::File { path, source }),
    }
}

/// Removes the file `name` of `dir`, when there is one.
pub(crate) fn remove(dir: &Path, name: &str) -> Result<(), PeerError> {
    let path = dir.join(name);
    match fs::remove_file(&path).and_then(|()| File::open(dir)?.sync_all()) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result.map_err(|source| PeerError::File { path, source }),
    }
}

fn write_aside(dir: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    let aside = path.with_extension("new");
    // A rest of an earlier try may be readable by others: the mode counts only when a file is made.
    match fs::remove_file(&aside) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    File::open(dir)?.sync_all()
}
