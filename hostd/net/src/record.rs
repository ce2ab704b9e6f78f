//! Small files in the run directory that outlive a restart of the daemon but not a reboot, as the kernel's own state
//! does. Written aside, then renamed.

use crate::error::NetError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{ErrorKind, Write};
use std::path::Path;

fn failed(verb: &str, path: &Path, e: &std::io::Error) -> NetError {
    NetError::call(format!("{verb} {}", path.display()), e)
}

/// Writes `bytes` to `path`: a reader sees all of it or none.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), NetError> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let save = || {
        let mut file = std::fs::File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&aside, path)
    };
    save().map_err(|e| failed("writing", path, &e))
}

/// The bytes of `path`; none when there is no such file.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, NetError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed("reading", path, &e)),
    }
}

/// Writes `value` as JSON unless `path` holds it already.
pub fn save<T: Serialize>(path: &Path, value: &T) -> Result<(), NetError> {
    let bytes = serde_json::to_vec(value).map_err(|e| NetError::call("encoding a record", &e))?;
    if read(path)?.as_deref() == Some(&bytes) {
        return Ok(());
    }
    write(path, &bytes)
}

/// The value [`save`] wrote; none when there is none.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, NetError> {
    let Some(bytes) = read(path)? else { return Ok(None) };
    let value = serde_json::from_slice(&bytes);
    value.map(Some).map_err(|e| NetError::call(format!("reading {}", path.display()), &e))
}

/// Removes `path`; fine when it is not there.
pub fn remove(path: &Path) -> Result<(), NetError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(failed("removing", path, &e)),
        _removed => Ok(()),
    }
}
