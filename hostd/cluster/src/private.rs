//! The state directory is the daemon's alone: it holds keys, hashes of passwords, and what is on every host.
//!
//! The directories keep others out. Files are closed, too, so that a copy of one doesn't open what the directory kept; SQLite
//! gives its side files the mode of their database. A directory that an earlier version left open is closed at a start.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{ErrorKind, Result};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// What others may not do.
const OTHERS: u32 = 0o077;

/// Makes `dir` when it is missing, and closes it and the files in it to everybody else; what is deeper is left alone.
pub(crate) fn directory(dir: &Path) -> Result<()> {
    if let Some(above) = dir.parent() {
        fs::create_dir_all(above)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    close(dir)?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            close(&entry.path())?;
        }
    }
    Ok(())
}

/// Makes `file`, empty, when it is missing. One that is there is not even opened: closing a second handle would take
/// SQLite's locks away.
pub(crate) fn file(file: &Path) -> Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn close(path: &Path) -> Result<()> {
    let mode = match fs::symlink_metadata(path) {
        Ok(about) => about.permissions().mode(),
        // Another thread of this daemon renames or removes it meanwhile.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    match mode & OTHERS {
        0 => Ok(()),
        _ => fs::set_permissions(path, Permissions::from_mode(mode & 0o7777 & !OTHERS)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("there").permissions().mode() & 0o777
    }

    #[test]
    fn what_was_left_open_is_closed_and_what_is_made_is_closed_from_the_start() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let dir = scratch.path().join("a/state");
        directory(&dir).expect("made");
        assert_eq!(mode(&dir), 0o700);
        let (old, new) = (dir.join("old.db"), dir.join("new.db"));
        fs::write(&old, "kept").expect("written");
        fs::set_permissions(&old, Permissions::from_mode(0o644)).expect("opened");
        fs::set_permissions(&dir, Permissions::from_mode(0o755)).expect("opened");
        file(&new).expect("made");
        directory(&dir).expect("closed");
        file(&old).expect("there");
        assert_eq!((mode(&dir), mode(&old), mode(&new)), (0o700, 0o600, 0o600));
        assert_eq!(fs::read_to_string(&old).expect("read"), "kept");
    }
}
