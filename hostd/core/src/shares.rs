//! Folders of the pool that machines share: `shares/FOLDER`.
//!
//! What guests make there may be owned by any user and have any mode, so nobody but root of the host gets into `shares`; the
//! virtiofsd that libvirt starts is root, and is shut in with the folder alone (its `namespace` sandbox). It takes the path as
//! it is, so nothing on the way may be a link.

use crate::pool::Pool;
use hostd_types::{Problem, ProblemKind, VmShare};
use hostd_virt::ShareSource;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, fchmod, mkdirat};
use nix::unistd::fsync;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Directory of the pool that holds the folders.
const SHARES: &str = "shares";

impl Pool {
    fn shares(&self) -> PathBuf {
        self.root().join(SHARES)
    }

    /// Where a shared folder is.
    pub fn share_source(&self, share: &VmShare) -> ShareSource {
        ShareSource { tag: share.tag.clone(), dir: self.shares().join(&share.folder) }
    }

    /// Makes the folders that are missing; those that are there stay as they are.
    ///
    /// # Errors
    /// When something else is in the place of one (a link, a file), or one can't be made.
    pub async fn make_shares(&self, shares: &[VmShare]) -> Result<(), Problem> {
        let root = self.root().to_owned();
        let folders: Vec<String> = shares.iter().map(|share| share.folder.clone()).collect();
        let work = move || make(&root, &folders);
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|error| Err(failed(SHARES, io::Error::other(error))))
    }
}

fn make(root: &Path, folders: &[String]) -> Result<(), Problem> {
    if folders.is_empty() {
        return Ok(());
    }
    let pool = open(root, OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(|error| failed(SHARES, error.into()))?;
    let shares = directory(&pool, SHARES, 0o700)?;
    fchmod(&shares, Mode::from_bits_truncate(0o700)).map_err(|error| failed(SHARES, error.into()))?;
    for folder in folders {
        directory(&shares, folder, 0o755)?;
    }
    Ok(())
}

/// The directory `name` in `parent`, made with `mode` when it is missing; never what a link leads to.
fn directory(parent: impl AsFd, name: &str, mode: u32) -> Result<OwnedFd, Problem> {
    let make = || match mkdirat(&parent, name, Mode::from_bits_truncate(mode)) {
        Ok(()) => fsync(&parent),
        Err(Errno::EEXIST) => Ok(()),
        Err(error) => Err(error),
    };
    let flags = OFlag::O_NOFOLLOW | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let opened = make().and_then(|()| openat(&parent, name, flags, Mode::empty()));
    opened.map_err(|error| match error {
        // With O_DIRECTORY a link is told as either.
        Errno::ELOOP | Errno::ENOTDIR => {
            let detail = format!(
                "In the place of the shared folder {name} is something else: a link or a file. Put a folder there on the host, or \
                 choose another one."
            );
            Problem::new(ProblemKind::Conflict, detail)
        }
        error => failed(name, error.into()),
    })
}

fn failed(name: &str, error: io::Error) -> Problem {
    tracing::warn!(name, %error, "a shared folder can't be made");
    crate::error::storage(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn folders_are_made_once_and_no_link_is_followed() {
        let root = tempfile::tempdir().expect("a directory");
        let (pool, outside) = (root.path().join("local"), root.path().join("outside"));
        fs::create_dir(&pool).expect("a pool");
        fs::create_dir(&outside).expect("a directory outside");
        make(&pool, &[]).expect("nothing to do");
        assert!(!pool.join(SHARES).exists());
        make(&pool, &["team".into()]).expect("made");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o7777;
        assert_eq!(mode(&pool.join(SHARES)), 0o700);
        let team = pool.join(SHARES).join("team");
        fs::set_permissions(&team, fs::Permissions::from_mode(0o775)).expect("another mode");
        fs::write(team.join("kept"), "x").expect("a file");
        make(&pool, &["team".into(), "other".into()]).expect("made again");
        assert_eq!((mode(&team), team.join("kept").exists()), (0o775, true), "it stays as it is");
        symlink(&outside, pool.join(SHARES).join("link")).expect("a link");
        symlink("nowhere", pool.join(SHARES).join("dangling")).expect("a link");
        fs::write(pool.join(SHARES).join("file"), "x").expect("a file");
        for place in ["link", "dangling", "file"] {
            let refused = make(&pool, &[place.into()]).expect_err(place);
            assert!(
                refused.detail.contains(place) && refused.detail.contains("choose another one"),
                "{refused}"
            );
        }
        fs::remove_dir_all(pool.join(SHARES)).expect("removed");
        symlink(&outside, pool.join(SHARES)).expect("a link");
        make(&pool, &["team".into()]).expect_err("not through a link either");
        assert_eq!(fs::read_dir(&outside).expect("outside").count(), 0);
    }
}
