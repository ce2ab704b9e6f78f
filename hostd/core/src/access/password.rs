//! Passwords: rules, generation, argon2id.

use crate::Secret;
use crate::error::internal;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use hostd_types::*;
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;

/// Characters of generated passwords: none that look alike.
const READABLE: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
/// Characters of a generated password: 99 bits.
const GENERATED_LEN: usize = 20;
/// Hashes computed at the same time; each takes 19 MiB.
const AT_ONCE: usize = 2;

/// Checks a new password.
///
/// # Errors
/// A sentence that says what is wrong.
pub(super) fn check(password: &str) -> Result<(), String> {
    let length = password.chars().count();
    if length < PASSWORD_MIN {
        return Err(format!("A password needs at least {PASSWORD_MIN} characters."));
    }
    if password.len() > PASSWORD_MAX {
        return Err(format!("A password has at most {PASSWORD_MAX} bytes."));
    }
    Ok(())
}

/// A random password that people can read off a screen.
pub(super) fn generate() -> Secret {
    let pick = |_| char::from(READABLE[rand::random_range(0..READABLE.len())]);
    Secret((0..GENERATED_LEN).map(pick).collect())
}

/// Computes and checks argon2id hashes, a few at a time, off the async threads.
#[derive(Debug, Clone)]
pub(crate) struct Hasher {
    room: Arc<Semaphore>,
    /// A hash nobody knows a password of, compared with when the user is unknown, so that both take the same time.
    dummy: Arc<OnceLock<String>>,
}

impl Default for Hasher {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(AT_ONCE)), dummy: Arc::default() }
    }
}

impl Hasher {
    /// Hashes a password with a fresh salt.
    ///
    /// # Errors
    /// `Internal` when the hash can't be computed.
    pub async fn hash(&self, password: &str) -> Result<PasswordHash, Problem> {
        let password = password.to_owned();
        self.compute(move |_| hash(&password)).await?.map(PasswordHash)
    }

    /// Compares a password with a stored hash; `None` (an unknown user) takes as long and is false.
    ///
    /// # Errors
    /// `Internal` when the comparison can't be made.
    pub async fn verify(&self, password: &str, stored: Option<PasswordHash>) -> Result<bool, Problem> {
        if password.len() > PASSWORD_MAX {
            return Ok(false);
        }
        let password = password.to_owned();
        self.compute(move |dummy| {
            let text = match &stored {
                Some(stored) => stored.0.clone(),
                None => match dummy.get() {
                    Some(text) => text.clone(),
                    None => {
                        let made = hash(super::random_secret().reveal())?;
                        dummy.get_or_init(|| made).clone()
                    }
                },
            };
            let parsed = Phc::new(&text).map_err(|e| internal("A stored password can't be read", e))?;
            let matches = Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok();
            Ok(matches && stored.is_some())
        })
        .await?
    }

    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce(&OnceLock<String>) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = Arc::clone(&self.room).acquire_owned().await;
        let permit = permit.map_err(|e| internal("Passwords can't be checked", e))?;
        let dummy = Arc::clone(&self.dummy);
        let computed = tokio::task::spawn_blocking(move || {
            let result = work(&dummy);
            drop(permit);
            result
        });
        computed.await.map_err(|e| internal("Passwords can't be checked", e))
    }
}

fn hash(password: &str) -> Result<String, Problem> {
    let hashed: Result<Phc, _> = Argon2::default().hash_password(password.as_bytes());
    hashed.map(|phc| phc.to_string()).map_err(|e| internal("The password can't be hashed", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_passwords_are_readable_and_good() {
        let password = generate();
        check(password.reveal()).expect("a good password");
        assert_eq!(password.reveal().len(), GENERATED_LEN);
        assert!(!password.reveal().contains(['l', 'i', 'o', '0', '1']));
        assert_ne!(password.reveal(), generate().reveal());
        assert!(check("short").is_err() && check(&"x".repeat(300)).is_err());
    }

    #[tokio::test]
    async fn only_the_right_password_matches() {
        let hasher = Hasher::default();
        let stored = hasher.hash("correct horse").await.expect("hash");
        assert!(stored.0.starts_with("$argon2id$"));
        assert!(hasher.verify("correct horse", Some(stored.clone())).await.expect("verify"));
        assert!(!hasher.verify("correct horsf", Some(stored.clone())).await.expect("verify"));
        assert!(!hasher.verify(&"x".repeat(100_000), Some(stored)).await.expect("verify"));
        assert!(!hasher.verify("anything", None).await.expect("verify"));
    }
}
