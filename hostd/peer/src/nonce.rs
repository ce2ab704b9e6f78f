//! Proof that a request is made now: a text that this host gave out a moment ago and takes back once.

use crate::PeerError;
use crate::secret::random;
use ring::hmac;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a nonce is good.
const GOOD: Duration = Duration::from_secs(60);
/// Those taken back in that time, at most; more are refused.
const TAKEN_MAX: usize = 1000;
/// Bytes of a nonce that are random.
const RANDOM: usize = 16;
/// Bytes before the seal: seconds since the start, and the random ones.
const SEALED: usize = 8 + RANDOM;

/// Gives nonces out and takes them back. What was given out is not remembered, for anybody may ask; a seal proves it.
pub struct Nonces {
    key: hmac::Key,
    start: Instant,
    /// Those taken back, with the moment they were given out, in seconds since the start.
    taken: Mutex<HashMap<[u8; RANDOM], u64>>,
}

impl Nonces {
    /// None are out yet.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn new() -> Result<Self, PeerError> {
        let key: [u8; 32] = random()?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        Ok(Self { key, start: Instant::now(), taken: Mutex::default() })
    }

    /// Another one, in hexadecimal digits.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn give(&self) -> Result<String, PeerError> {
        self.give_at(self.start.elapsed())
    }

    /// Takes one back; `false` when this host did not give it out in the last minute, or took it back already.
    pub fn take(&self, text: &str) -> bool {
        self.take_at(text, self.start.elapsed())
    }

    fn give_at(&self, now: Duration) -> Result<String, PeerError> {
        let once: [u8; RANDOM] = random()?;
        let body = [now.as_secs().to_be_bytes().as_slice(), &once].concat();
        let seal = hmac::sign(&self.key, &body);
        Ok(hex::encode([&body, seal.as_ref()].concat()))
    }

    fn take_at(&self, text: &str, now: Duration) -> bool {
        let Ok(bytes) = hex::decode(text) else { return false };
        let Some((body, seal)) = bytes.split_first_chunk::<SEALED>() else { return false };
        if hmac::verify(&self.key, body, seal).is_err() {
            return false;
        }
        let (Some((at, _)), Some((_, once))) =
            (body.split_first_chunk::<8>(), body.split_last_chunk::<RANDOM>())
        else {
            return false;
        };
        let good = |at: u64| now.saturating_sub(Duration::from_secs(at)) <= GOOD;
        let at = u64::from_be_bytes(*at);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|_, at| good(*at));
        if !good(at) || taken.len() >= TAKEN_MAX {
            return false;
        }
        taken.insert(*once, at).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_taken_back_once_and_soon_by_who_gave_it_out() {
        let (own, other) = (Nonces::new().expect("random"), Nonces::new().expect("random"));
        let at = |s| Duration::from_secs(s);
        let (first, second) = (own.give_at(at(5)).expect("random"), own.give_at(at(5)).expect("random"));
        assert!(!other.take_at(&first, at(5)), "another host's");
        assert!(own.take_at(&first, at(5)));
        assert!(!own.take_at(&first, at(6)), "twice");
        assert!(!own.take_at(&second, at(70)), "late");
        assert!(!own.take_at(&first, at(70)), "forgotten, and late");
        let third = own.give_at(at(70)).expect("random");
        assert!(!own.take_at(&third.replacen('0', "1", 1), at(70)), "changed");
        for bad in ["", "00", "x", &third[..60]] {
            assert!(!own.take_at(bad, at(70)), "{bad:?}");
        }
        assert!(own.take_at(&third, at(71)));
    }
}
