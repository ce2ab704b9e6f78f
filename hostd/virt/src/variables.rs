//! The variables of UEFI firmware: boot entries, Secure Boot's keys. A file for each machine.

use crate::Hypervisor;
use crate::domain_xml::nvram;
use crate::error::VirtError;
use hostd_types::{Firmware, Vm, VmId};
use std::path::Path;

impl Hypervisor {
    /// Gives the new machine `to` the variables of `from` as they are now, so that it finds its boot entries. Does nothing when it
    /// has some, when `from` has none for the same firmware (it was never started), and without UEFI.
    ///
    /// # Errors
    /// When the file can't be copied; nothing is left of it then.
    pub async fn copy_variables(&self, from: VmId, to: &Vm) -> Result<(), VirtError> {
        let secure = match to.spec.firmware {
            Firmware::Bios => return Ok(()),
            Firmware::Uefi => false,
            Firmware::UefiSecure => true,
        };
        let (from, to) = (nvram(from, secure), nvram(to.id, secure));
        let copied = tokio::task::spawn_blocking(move || match copy_whole(&from, &to) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !from.exists() => Ok(()),
            other => other,
        });
        let copied = copied.await.map_err(std::io::Error::other).and_then(|done| done);
        copied.map_err(|error| VirtError::local("copy the UEFI variables", error))
    }
}

/// Copies a file so that it gets its name when it is whole; fine when that is there already.
pub(crate) fn copy_whole(from: &Path, to: &Path) -> std::io::Result<()> {
    if to.exists() || from == to {
        return Ok(());
    }
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let copy = || {
        std::fs::copy(from, &part)?;
        std::fs::File::open(&part)?.sync_all()?;
        std::fs::rename(&part, to)
    };
    copy().inspect_err(|_| {
        let _ = std::fs::remove_file(&part);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_whole_or_not_there_and_replaces_nothing() {
        let dir = tempfile::tempdir().expect("directory");
        let path = |name: &str| dir.path().join(name);
        assert!(copy_whole(&path("none"), &path("to")).is_err());
        std::fs::write(path("from"), "entries").expect("write");
        copy_whole(&path("from"), &path("to")).expect("copied");
        std::fs::write(path("from"), "others").expect("write");
        copy_whole(&path("from"), &path("to")).expect("there already");
        assert_eq!(std::fs::read_to_string(path("to")).expect("read"), "entries");
        assert_eq!(std::fs::read_dir(dir.path()).expect("list").count(), 2, "no part is left");
    }
}
