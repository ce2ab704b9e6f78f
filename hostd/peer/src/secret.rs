//! The cluster's secret: what every member keeps outside the replicated state, and what it seals.

use crate::PeerError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// How a sealed text begins; another way of sealing would begin otherwise.
const SEALED: &str = "c1.";
/// Keep the uses of the secret apart.
const AUTHORITY: &str = "quantix 2026 sealing of the authority's key";
const GUEST: &str = "quantix 2026 password that a guest needs to read";
const GUEST_NONCE: &str = "quantix 2026 nonce for a password that a guest needs to read";
const HANDOVER: &str = "quantix 2026 what is handed over for a short code";
const NONCE: &str = "quantix 2026 nonce for a member that renews";
const RENEWAL: &str = "quantix 2026 answer to a member that renews";

/// 32 random bytes that every member has. Whoever reads the replicated state without them can't sign certificates.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Secret {
    /// A fresh one.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn generate() -> Result<Self, PeerError> {
        random().map(Self)
    }

    /// One that two hosts share who have the same key.
    pub(crate) fn derived(purpose: &str, key: &[u8]) -> Self {
        Self(blake3::derive_key(purpose, key))
    }

    /// Encrypts what is handed over for a short code.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn seal_handover(&self, text: &str) -> Result<String, PeerError> {
        self.seal_for(HANDOVER, text, &[])
    }

    /// Decrypts what [`Self::seal_handover`] made.
    ///
    /// # Errors
    /// It was made with another secret, or changed since.
    pub fn open_handover(&self, sealed: &str) -> Result<Zeroizing<String>, PeerError> {
        self.open_for(HANDOVER, sealed, &[])
    }

    /// Encrypts a password that a guest needs to read. The same text comes to the same for the same `occasion`, and to
    /// something else each time otherwise: the nonce is a keyed hash of both, so no nonce seals two texts.
    ///
    /// # Errors
    /// It can't be sealed.
    pub fn seal_guest(&self, text: &str, occasion: &[u8]) -> Result<String, PeerError> {
        let key = Zeroizing::new(blake3::derive_key(GUEST_NONCE, &self.0));
        let mut hasher = blake3::Hasher::new_keyed(&key);
        hasher.update(&(occasion.len() as u64).to_le_bytes()).update(occasion).update(text.as_bytes());
        let mut nonce = [0; NONCE_LEN];
        hasher.finalize_xof().fill(&mut nonce);
        self.seal_with(nonce, GUEST, text, &[])
    }

    /// Decrypts what [`Self::seal_guest`] made.
    ///
    /// # Errors
    /// It was made with another secret, or changed since.
    pub fn open_guest(&self, sealed: &str) -> Result<Zeroizing<String>, PeerError> {
        self.open_for(GUEST, sealed, &[])
    }

    /// Encrypts a text so that only who has this secret reads it, and only beside the same `context`.
    pub(crate) fn seal(&self, text: &str, context: &[u8]) -> Result<String, PeerError> {
        self.seal_for(AUTHORITY, text, context)
    }

    /// [`Self::seal`] for an answer to a member that renews its certificate.
    pub(crate) fn seal_renewal(&self, text: &str, context: &[u8]) -> Result<String, PeerError> {
        self.seal_for(RENEWAL, text, context)
    }

    /// [`Self::seal`] for a nonce.
    pub(crate) fn seal_nonce(&self, text: &str, context: &[u8]) -> Result<String, PeerError> {
        self.seal_for(NONCE, text, context)
    }

    /// Decrypts what [`Self::seal_nonce`] made.
    pub(crate) fn open_nonce(&self, sealed: &str, context: &[u8]) -> Result<Zeroizing<String>, PeerError> {
        self.open_for(NONCE, sealed, context)
    }

    fn seal_for(&self, purpose: &str, text: &str, context: &[u8]) -> Result<String, PeerError> {
        self.seal_with(random()?, purpose, text, context)
    }

    fn seal_with(
        &self,
        nonce: [u8; NONCE_LEN],
        purpose: &str,
        text: &str,
        context: &[u8],
    ) -> Result<String, PeerError> {
        let mut sealed = Zeroizing::new(text.as_bytes().to_vec());
        self.key(purpose)
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut *sealed)
            .map_err(|_| PeerError::Sealed)?;
        Ok(format!("{SEALED}{}", BASE64.encode([nonce.as_slice(), &sealed].concat())))
    }

    /// Decrypts what [`Self::seal`] made.
    pub(crate) fn open(&self, sealed: &str, context: &[u8]) -> Result<Zeroizing<String>, PeerError> {
        self.open_for(AUTHORITY, sealed, context)
    }

    /// Decrypts what [`Self::seal_renewal`] made.
    pub(crate) fn open_renewal(&self, sealed: &str, context: &[u8]) -> Result<Zeroizing<String>, PeerError> {
        self.open_for(RENEWAL, sealed, context)
    }

    fn open_for(&self, purpose: &str, sealed: &str, context: &[u8]) -> Result<Zeroizing<String>, PeerError> {
        let text = sealed.strip_prefix(SEALED).ok_or(PeerError::Sealed)?;
        let bytes = BASE64.decode(text).map_err(|_| PeerError::Sealed)?;
        let (nonce, rest) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(PeerError::Sealed)?;
        let mut rest = Zeroizing::new(rest.to_vec());
        let opened = self
            .key(purpose)
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(context), &mut rest)
            .map_err(|_| PeerError::Sealed)?;
        std::str::from_utf8(opened).map(|text| Zeroizing::new(text.to_owned())).map_err(|_| PeerError::Sealed)
    }

    fn key(&self, purpose: &str) -> LessSafeKey {
        let key = Zeroizing::new(blake3::derive_key(purpose, &self.0));
        let key =
            UnboundKey::new(&CHACHA20_POLY1305, key.as_slice()).expect("the key has the cipher's length");
        LessSafeKey::new(key)
    }
}

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], PeerError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| PeerError::Random)?;
    Ok(bytes)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// As text in base64: members hand it to a host that joins, over a connection that proved itself.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = Zeroizing::new(BASE64.encode(self.0));
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || serde::de::Error::custom("not a cluster's secret (32 bytes in base64)");
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = Zeroizing::new(BASE64.decode(text.as_bytes()).map_err(|_| wrong())?);
        bytes.as_slice().try_into().map(Self).map_err(|_| wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_secret_and_context_alone() {
        let (secret, other) = (Secret::generate().expect("random"), Secret::generate().expect("random"));
        let sealed = secret.seal("a key", b"certificate").expect("sealed");
        assert_eq!(secret.open(&sealed, b"certificate").expect("opened").as_str(), "a key");
        assert!(matches!(other.open(&sealed, b"certificate"), Err(PeerError::Sealed)));
        assert!(matches!(secret.open(&sealed, b"another"), Err(PeerError::Sealed)));
        for cut in 0..sealed.len() {
            assert!(secret.open(&sealed[..cut], b"certificate").is_err());
        }
        assert_ne!(sealed, secret.seal("a key", b"certificate").expect("sealed"), "a nonce is used once");
    }

    #[test]
    fn a_guest_s_password_is_sealed_alike_on_one_occasion_alone() {
        let secret = Secret::generate().expect("random");
        let seal = |text, occasion: &[u8]| secret.seal_guest(text, occasion).expect("sealed");
        let sealed = seal("correct horse", b"one");
        assert_eq!(secret.open_guest(&sealed).expect("opened").as_str(), "correct horse");
        assert_eq!(seal("correct horse", b"one"), sealed);
        let nonce = |sealed: &str| sealed[..SEALED.len() + 16].to_owned();
        for other in [seal("correct horse", b"two"), seal("correct horsf", b"one")] {
            assert_ne!(nonce(&other), nonce(&sealed), "a nonce seals one text");
        }
    }

    #[test]
    fn it_travels_as_text_and_shows_nothing() {
        let secret = Secret::generate().expect("random");
        let text = serde_json::to_string(&secret).expect("text");
        assert_eq!(serde_json::from_str::<Secret>(&text).expect("read"), secret);
        assert!(serde_json::from_str::<Secret>("\"c2hvcnQ\"").is_err());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
