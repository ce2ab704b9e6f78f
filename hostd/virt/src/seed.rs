//! The file that a machine's customization is read from. It is volatile like everything in its directory, holds password
//! hashes, and is readable by nobody but QEMU.

use crate::Hypervisor;
use crate::diagnosis::{log_end, open_plain};
use crate::domain_xml::SEED_FILE;
use crate::error::VirtError;
use hostd_types::VmId;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

/// Most bytes of a drive: the directory is QEMU's, and what lies there may be anything.
const SEED_MOST: u64 = 4 << 20;

impl Hypervisor {
    /// Makes the file hold `image`, or takes it away. One that is there with the same content stays, and a machine that runs
    /// keeps the one it was started with.
    ///
    /// # Errors
    /// When it can't be written.
    pub async fn write_seed(&self, vm: VmId, image: Option<Vec<u8>>) -> Result<(), VirtError> {
        self.shared.make_run_dir(vm).await?;
        let (user, path) = (self.shared.qemu_user().await?, self.seed_path(vm));
        let work = move || match image {
            Some(image) => write(&path, &image, user),
            None => gone(fs::remove_file(&path)),
        };
        let failed = |error: io::Error| VirtError::local("write the customization", error);
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|panic| failed(io::Error::other(panic)))?
            .map_err(failed)
    }

    /// What the file holds, if it is there.
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn seed(&self, vm: VmId) -> Result<Option<Vec<u8>>, VirtError> {
        match log_end(self.seed_path(vm), SEED_MOST).await {
            Ok(image) => Ok(Some(image)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(VirtError::local("read the customization", error)),
        }
    }

    fn seed_path(&self, vm: VmId) -> PathBuf {
        self.shared.run_dir(vm).join(SEED_FILE)
    }
}

/// Writes beside the old file, which QEMU may have open, and puts the new one in its place. The directory is QEMU's: no
/// link that stands there is followed.
fn write(path: &Path, image: &[u8], user: Option<(u32, u32)>) -> io::Result<()> {
    let own = |file: &File| user.map_or(Ok(()), |(uid, gid)| fchown(file, Some(uid), Some(gid)));
    if let Ok(there) = open_plain(path) {
        let mut content = Vec::new();
        (&there).take(SEED_MOST).read_to_end(&mut content)?;
        if content == image {
            return own(&there);
        }
    }
    let part = path.with_extension("part");
    gone(fs::remove_file(&part))?; // of a write that was cut short
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    own(&file)?;
    file.write_all(image)?;
    fs::rename(&part, path)
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn the_same_content_is_not_written_again_and_nobody_else_reads_it() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join(SEED_FILE);
        write(&path, b"one", None).expect("written");
        let seen = fs::metadata(&path).expect("file");
        assert_eq!(seen.permissions().mode() & 0o777, 0o600);
        write(&path, b"one", None).expect("the same");
        assert_eq!(fs::metadata(&path).expect("file").ino(), seen.ino());
        fs::write(path.with_extension("part"), "half").expect("of a crash");
        let open = fs::File::open(&path).expect("as QEMU has it");
        write(&path, b"two", None).expect("another");
        assert_eq!(
            (fs::read(&path).expect("read"), io::read_to_string(open).expect("read")),
            (b"two".into(), "one".into())
        );
    }
}
