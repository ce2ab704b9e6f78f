//! The first administrator: made at first start, with a generated password that the local console shows until it is
//! changed. What is shown is kept in memory alone: after a boot another one takes its place when nobody has logged in
//! yet; else the password somebody has stays, and is shown no more.

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

/// Local fact: somebody logged in, so the generated password is known outside this host.
const USED: &str = "initial_password_used";

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
    /// Makes the administrator when there is no user yet. One whose generated password was never changed gets another
    /// when nothing shows it any more (their sessions end), so that nobody is locked out by a boot.
    ///
    /// # Errors
    /// When the state can't be written or the password can't be kept.
    pub(crate) async fn ensure_administrator(&self) -> Result<(), Problem> {
        let users = self.store().users().await?;
        let unchanged = users.iter().find(|user| user.initial_password);
        let id = match unchanged {
            // Whoever logged in with it has it: it stays good over boots, though nothing shows it any more.
            Some(_) if self.local().get(USED).await?.is_some() => return Ok(()),
            Some(user) if self.shown_password_opens(user).await? => return Ok(()),
            Some(user) => Some(user.id),
            None if users.is_empty() => None,
            None => return Ok(()),
        };
        let secret = password::generate();
        let password = self.0.hasher.hash(secret.reveal()).await?;
        // Kept first: a password that is set and nowhere to be read would lock everybody out.
        let keep = self.0.initial_password.keep(&secret);
        keep.map_err(|e| internal("The initial password can't be kept", e))?;
        let command = match id {
            Some(id) => AccessCommand::SetPassword { id, password, keep: None, initial: true },
            None => {
                let (id, name) = (UserId::new(), ADMINISTRATOR.into());
                AccessCommand::CreateUser { id, name, password, initial: true }
            }
        };
        let by = Actor::Host { id: self.host() };
        self.propose(by, RequestId::new(), Command::Access(command)).await?;
        Ok(())
    }

    /// Somebody outside this host has the generated password: it stays good over boots, and is shown no more.
    ///
    /// # Errors
    /// When that can't be noted.
    pub(crate) async fn password_is_known(&self) -> Result<(), Problem> {
        self.local().put(USED, "yes").await
    }

    /// The console's password is the one set; it is another one when the daemon died between keeping and setting it.
    async fn shown_password_opens(&self, user: &User) -> Result<bool, Problem> {
        let Some(secret) = self.0.initial_password.read() else { return Ok(false) };
        let hash = self.store().user_with_password(&user.name).await?.map(|(_, hash)| hash);
        self.0.hasher.verify(secret.reveal(), hash).await
    }

    /// Name and generated password of the administrator, while it is unchanged.
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
