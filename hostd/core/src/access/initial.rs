//! The first administrator: made at first start, with a generated password that the local console shows until it is
//! changed.

use super::password;
use crate::error::internal;
use crate::{Core, Secret};
use hostd_types::command::AccessCommand;
use hostd_types::*;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Name of the first administrator.
pub(super) const ADMINISTRATOR: &str = "admin";

/// The file that holds the generated password: readable by root, gone at reboot and when the password is changed.
#[derive(Debug)]
pub(crate) struct InitialPassword {
    file: PathBuf,
}

impl InitialPassword {
    /// The password file of `run_dir`.
    pub fn new(run_dir: &Path) -> Self {
        Self { file: run_dir.join("initial-password") }
    }
    fn keep(&self, secret: &Secret) -> std::io::Result<()> {
        let aside = self.file.with_extension("part");
        let _ = std::fs::remove_file(&aside);
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        file.write_all(secret.reveal().as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        std::fs::rename(&aside, &self.file)
    }
    fn read(&self) -> Option<Secret> {
        let text = std::fs::read_to_string(&self.file).ok()?;
        Some(Secret(text.trim().to_owned()))
    }
    /// Removes it; fine when it is not there.
    ///
    /// # Errors
    /// When the file can't be removed.
    pub fn forget(&self) -> Result<(), Problem> {
        crate::pool::Pool::remove(&self.file)
            .map_err(|e| internal("The initial password's file can't be removed", e))
    }
}

impl Core {
    /// Makes the administrator when there is no user yet.
    ///
    /// # Errors
    /// When the state can't be written or the password can't be kept.
    pub(crate) async fn ensure_administrator(&self) -> Result<(), Problem> {
        if !self.store().users().await?.is_empty() {
            return Ok(());
        }
        let secret = password::generate();
        let password = self.0.hasher.hash(secret.reveal()).await?;
        // Kept first: a password that is set and nowhere to be read would lock everybody out.
        let keep = self.0.initial_password.keep(&secret);
        keep.map_err(|e| internal("The initial password can't be kept", e))?;
        let command = AccessCommand::CreateUser {
            id: UserId::new(),
            name: ADMINISTRATOR.into(),
            password,
            initial: true,
        };
        let by = Actor::Host { id: self.host() };
        self.propose(by, RequestId::new(), Command::Access(command)).await?;
        Ok(())
    }

    /// Name and generated password of the administrator, while it is unchanged and known (first boot, live mode).
    pub async fn initial_password(&self) -> Option<(String, Secret)> {
        let secret = self.0.initial_password.read()?;
        let users = self.store().users().await.ok()?;
        let user = users.into_iter().find(|user| user.initial_password)?;
        Some((user.name, secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_file_is_for_root_alone_and_can_be_removed_twice() {
        let dir = tempfile::tempdir().expect("directory");
        let initial = InitialPassword::new(dir.path());
        assert!(initial.read().is_none());
        initial.keep(&Secret("abc".into())).expect("keep");
        initial.keep(&Secret("abcd".into())).expect("keep again");
        assert_eq!(initial.read().expect("read").reveal(), "abcd");
        let mode = std::fs::metadata(&initial.file).expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        initial.forget().expect("forget");
        initial.forget().expect("forget twice");
    }
}
