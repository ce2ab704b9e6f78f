//! Passwords of guests' users: hashed before a command that carries one goes anywhere.

use crate::Core;
use crate::error::internal;
use hostd_types::command::*;
use hostd_types::*;
use sha_crypt::{Algorithm, Params, PasswordHasher, ShaCrypt};

/// Shortest password, bytes.
const LEAST: usize = 8;
/// Rounds of SHA-512: a tenth of a second for whoever logs in, and for each guess at a stolen hash.
const ROUNDS: u32 = 100_000;
/// Bytes of salt: what its 16 characters carry.
const SALT: usize = 12;

/// What is said to a password that is said to be sealed.
pub(super) const NOT_SEALED: &str = "Passwords are sealed here; give the password itself.";

/// The customization that `command` carries, with the place it has in the request's body.
fn carried(command: &mut Command) -> Option<(&'static str, &mut Customization)> {
    match command {
        Command::Vm(VmCommand::Create { vm, .. }) => Some(("/customization", vm.customization.as_mut()?)),
        Command::Vm(VmCommand::Clone { copy, .. }) => Some(("/customization", copy.customization.as_mut()?)),
        Command::Vm(VmCommand::Edit { edit, .. }) => match edit.customization.as_mut()? {
            CustomizationChange::Set { to, .. } => Some(("/customization/to", to)),
            CustomizationChange::RunAgain | CustomizationChange::Remove => None,
        },
        Command::Specification(SpecificationCommand::Create { specification, .. }) => {
            Some(("/customization", &mut specification.customization))
        }
        Command::Specification(SpecificationCommand::Edit { edit, .. }) => {
            Some(("/customization", edit.customization.as_mut()?))
        }
        Command::Specification(SpecificationCommand::Copy { .. } | SpecificationCommand::Delete { .. })
        | Command::Vm(_)
        | Command::Volume(_)
        | Command::Image(_)
        | Command::Network(_)
        | Command::Host(_)
        | Command::Task(_)
        | Command::Access(_)
        | Command::Cluster(_)
        | Command::Snapshot(_)
        | Command::Organize(_)
        | Command::Audit(_) => None,
    }
}

impl Core {
    /// The password of a Windows administrator that the customization has; nothing when another cluster sealed it.
    pub(crate) fn administrator_password(
        &self,
        custom: &Customization,
    ) -> Option<zeroize::Zeroizing<String>> {
        let Some(GuestPassword::Sealed(sealed)) = &custom.windows.as_ref()?.administrator_password else {
            return None;
        };
        self.identity().ok()?.secret().open_guest(sealed).ok()
    }

    /// Puts hashes into the place of the passwords that `command` brings as they were typed, so that nothing behind this
    /// ever sees them. The same passwords come to the same with the same request: that tells whether it asks for the same again.
    ///
    /// # Errors
    /// `Invalid` at the password that can't be taken.
    pub(crate) async fn seal_passwords(
        &self,
        request: RequestId,
        command: &mut Command,
    ) -> Result<(), Problem> {
        let Some((at, custom)) = carried(command) else { return Ok(()) };
        let mut wrong = Vec::new();
        for (index, user) in custom.users.iter_mut().enumerate() {
            let Some(GuestPassword::Plain(typed)) = &user.password else { continue };
            match check(typed.reveal()) {
                Ok(()) => {
                    let salt = salt(request, &user.name);
                    user.password = Some(GuestPassword::Hash(hash(typed.clone(), salt).await?));
                }
                Err(detail) => {
                    wrong.push(FieldError { pointer: format!("{at}/users/{index}/password"), detail });
                }
            }
        }
        if let Some(windows) = &mut custom.windows {
            match &windows.administrator_password {
                Some(GuestPassword::Plain(typed)) => match check(typed.reveal()) {
                    Ok(()) => {
                        let sealed =
                            self.identity()?.secret().seal_guest(typed.reveal(), request.uuid().as_bytes());
                        let sealed = sealed.map_err(|e| internal("The password can't be sealed", e))?;
                        windows.administrator_password = Some(GuestPassword::Sealed(sealed));
                    }
                    Err(detail) => wrong
                        .push(FieldError { pointer: format!("{at}/windows/administrator_password"), detail }),
                },
                // Only what was sealed here can be opened here.
                Some(GuestPassword::Sealed(_)) => wrong.push(FieldError {
                    pointer: format!("{at}/windows/administrator_password"),
                    detail: NOT_SEALED.into(),
                }),
                Some(GuestPassword::Hash(_) | GuestPassword::Kept) | None => {}
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(Problem::invalid(wrong)) }
    }
}

fn check(typed: &str) -> Result<(), String> {
    if typed.len() < LEAST {
        return Err(format!("A password needs at least {LEAST} characters."));
    }
    if typed.len() > PASSWORD_MAX {
        return Err(format!("A password has at most {PASSWORD_MAX} bytes."));
    }
    if typed.chars().any(char::is_control) {
        return Err("A password has no line breaks and no other control characters.".into());
    }
    Ok(())
}

/// The salt of a user's password in a request. It need not be secret, only another one each time, as requests are: whoever
/// repeats one gets the same hash, by which the repetition is known, and a guess at what is remembered of it costs as much as
/// one at the hash.
fn salt(request: RequestId, user: &str) -> [u8; SALT] {
    let mut hasher = blake3::Hasher::new_derive_key("quantix 2026 salt of a guest's password");
    hasher.update(request.uuid().as_bytes()).update(user.as_bytes());
    let mut salt = [0; SALT];
    hasher.finalize_xof().fill(&mut salt);
    salt
}

/// A SHA-512 hash for crypt(3).
async fn hash(typed: PlainText, salt: [u8; SALT]) -> Result<String, Problem> {
    let work = move || {
        let hasher = ShaCrypt::new(Algorithm::Sha512Crypt, Params::new(ROUNDS).unwrap_or_default());
        hasher.hash_password_with_salt(typed.reveal().as_bytes(), &salt)
    };
    let hashed = tokio::task::spawn_blocking(work).await;
    let hashed = hashed.map_err(|e| internal("The password can't be hashed", e))?;
    hashed.map(|hash| hash.to_string()).map_err(|e| internal("The password can't be hashed", e))
}

/// Checks a hash that was given: only what is worth keeping.
pub(super) fn check_hash(hash: &str) -> Result<(), String> {
    let body = hash.strip_prefix("$6$").or_else(|| hash.strip_prefix("$y$"));
    let good = body.is_some_and(|body| {
        (40..=240).contains(&body.len())
            && body.contains('$')
            && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"./$=,".contains(&b))
    });
    if good {
        return Ok(());
    }
    Err("This is no hash by SHA-512 ($6$…) or yescrypt ($y$…). Give the password itself: it is hashed here."
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_is_one_that_guests_take() {
        let (typed, request) = (|| PlainText::from("correct horse".to_owned()), RequestId::new());
        let made = hash(typed(), salt(request, "ada")).await.expect("hash");
        assert!(made.starts_with("$6$rounds=100000$"), "{made}");
        assert_eq!(check_hash(&made), Ok(()));
        assert_eq!(hash(typed(), salt(request, "ada")).await.expect("hash"), made, "the same request again");
        for other in [salt(RequestId::new(), "ada"), salt(request, "bob")] {
            assert_ne!(hash(typed(), other).await.expect("hash"), made);
        }
        check_hash("$y$j9T$F5Jx5fExrKuPp53xLKQ..1$tnSYvahCwPBHKZUspmcxMfb0.WiB9W.zEaKlOBL35rC")
            .expect("yescrypt");
        for bad in ["", "secret", "$1$abc$def", "$6$", "$6$a b$c", "$6$x$y"] {
            assert!(check_hash(bad).is_err(), "{bad}");
        }
        assert!(check("short").is_err() && check("new\nline...").is_err() && check("good enough").is_ok());
    }
}
