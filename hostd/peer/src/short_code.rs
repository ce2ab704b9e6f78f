//! A short code, shown on one host and typed on another, from which both make a key that nobody else has (SPAKE2). Each try
//! to guess the code needs an exchange of its own, so whoever shows it counts exchanges and lets the code die after a few.
//!
//! ```text
//! asks (types the code)                      shows the code
//! Asking::begin ───────────── opening ─────► Answering::answer
//! Asking::check ◄── opening and proof ────── (the asker learns whether the code is right)
//!               ────────────── proof ──────► Answering::check ─► Secret ─► what it hands over, sealed
//! ```

use crate::{PeerError, Secret};
use hostd_types::{ClusterId, HostId};
use spake2::{Ed25519Group, Identity, Password, Spake2};
use zeroize::Zeroizing;

/// Digits of a code, and how many codes there are.
const DIGITS: usize = 8;
const CODES: u64 = 100_000_000;
/// Keep the uses of the shared key apart.
const ASKER: &str = "quantix 2026 short code, proof of who asks";
const SHOWER: &str = "quantix 2026 short code, proof of who shows";
const KEY: &str = "quantix 2026 short code, the key of both";

/// A code: eight digits.
#[derive(Clone, PartialEq, Eq)]
pub struct ShortCode(Zeroizing<String>);

impl ShortCode {
    /// A fresh one.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn generate() -> Result<Self, PeerError> {
        let bytes: [u8; 8] = crate::secret::random()?;
        // The remainder favours no code by more than one in 10^11.
        let number = u64::from_be_bytes(bytes) % CODES;
        Ok(Self(Zeroizing::new(format!("{number:0DIGITS$}"))))
    }

    /// What somebody typed; spaces and dashes between digits don't count. `None` when it is no code.
    pub fn typed(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        let whole = digits.len() == DIGITS && digits.chars().all(|c| c.is_ascii_digit());
        whole.then(|| Self(Zeroizing::new(digits)))
    }

    /// For people: `1234 5678`.
    pub fn shown(&self) -> String {
        let (first, second) = self.0.split_at(DIGITS / 2);
        format!("{first} {second}")
    }
}

impl std::fmt::Debug for ShortCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ShortCode(…)")
    }
}

/// What the host that shows a code answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeAnswer {
    /// Its part of the exchange, in hexadecimal.
    pub opening: String,
    /// Its proof that it knows the code, in hexadecimal.
    pub proof: String,
}

/// The asking side, waiting for the answer.
pub struct Asking(Spake2<Ed25519Group>);

impl Asking {
    /// Begins: `asker` is this host, `cluster` the one of the host that shows the code. Answers this host's part of the
    /// exchange, in hexadecimal.
    pub fn begin(code: &ShortCode, asker: HostId, cluster: ClusterId) -> (Self, String) {
        let (password, asker, cluster) = named(code, asker, cluster);
        let (state, opening) = Spake2::start_a(&password, &asker, &cluster);
        (Self(state), hex::encode(opening))
    }

    /// Checks the answer. What comes out is the proof for the other side, in hexadecimal, and the key.
    ///
    /// # Errors
    /// The code is wrong, or somebody stands between the two.
    pub fn check(self, answer: &CodeAnswer) -> Result<(String, Secret), PeerError> {
        let key = finish(self.0, &answer.opening)?;
        if !same(&key, SHOWER, &answer.proof) {
            return Err(PeerError::WrongCode);
        }
        Ok((proof(&key, ASKER), Secret::derived(KEY, &key)))
    }
}

/// The side that shows the code, waiting for the asker's proof.
pub struct Answering(Zeroizing<Vec<u8>>);

impl Answering {
    /// Answers what [`Asking::begin`] sent.
    ///
    /// # Errors
    /// It is not a part of an exchange.
    pub fn answer(
        code: &ShortCode,
        asker: HostId,
        cluster: ClusterId,
        opening: &str,
    ) -> Result<(Self, CodeAnswer), PeerError> {
        let (password, asker, cluster) = named(code, asker, cluster);
        let (state, own) = Spake2::start_b(&password, &asker, &cluster);
        let key = finish(state, opening)?;
        let answer = CodeAnswer { opening: hex::encode(own), proof: proof(&key, SHOWER) };
        Ok((Self(key), answer))
    }

    /// Checks the asker's proof; the key is what both share.
    ///
    /// # Errors
    /// The code was wrong.
    pub fn check(self, asker: &str) -> Result<Secret, PeerError> {
        if same(&self.0, ASKER, asker) {
            Ok(Secret::derived(KEY, &self.0))
        } else {
            Err(PeerError::WrongCode)
        }
    }
}

fn named(code: &ShortCode, asker: HostId, cluster: ClusterId) -> (Password, Identity, Identity) {
    let (asker, cluster) = (asker.to_string(), cluster.to_string());
    (Password::new(code.0.as_bytes()), Identity::new(asker.as_bytes()), Identity::new(cluster.as_bytes()))
}

fn finish(state: Spake2<Ed25519Group>, opening: &str) -> Result<Zeroizing<Vec<u8>>, PeerError> {
    let opening = hex::decode(opening).map_err(|_| PeerError::WrongCode)?;
    state.finish(&opening).map(Zeroizing::new).map_err(|_| PeerError::WrongCode)
}

fn proof(key: &[u8], whose: &str) -> String {
    hex::encode(blake3::derive_key(whose, key))
}

/// Compares in constant time.
fn same(key: &[u8], whose: &str, shown: &str) -> bool {
    let expected = blake3::Hash::from(blake3::derive_key(whose, key));
    blake3::Hash::from_hex(shown).is_ok_and(|shown| shown == expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(shown: &ShortCode, typed: &ShortCode) -> Result<(Secret, Secret), PeerError> {
        let (asker, cluster) = (HostId::new(), ClusterId::new());
        let (asking, opening) = Asking::begin(typed, asker, cluster);
        let (answering, answer) = Answering::answer(shown, asker, cluster, &opening)?;
        let (proof, here) = asking.check(&answer)?;
        Ok((here, answering.check(&proof)?))
    }

    #[test]
    fn both_have_one_key_when_the_code_is_right_and_none_when_it_is_wrong() {
        let code = ShortCode::generate().expect("random");
        let typed = ShortCode::typed(&format!(" {} ", code.shown().replace(' ', "-"))).expect("a code");
        assert_eq!(typed, code);
        let (here, there) = exchange(&code, &typed).expect("the right code");
        let sealed = there.seal_handover("a token").expect("sealed");
        assert_eq!(here.open_handover(&sealed).expect("opened").as_str(), "a token");
        let (other, _) = exchange(&code, &typed).expect("the right code");
        assert!(other.open_handover(&sealed).is_err(), "each exchange has a key of its own");
        for wrong in ["00000000", "12345678"] {
            let wrong = ShortCode::typed(wrong).expect("a code");
            assert!(wrong == code || matches!(exchange(&code, &wrong), Err(PeerError::WrongCode)));
        }
    }

    #[test]
    fn nonsense_and_an_exchange_for_somebody_else_are_refused() {
        for text in ["", "1234567", "123456789", "1234567a", "１２３４５６７８"] {
            assert_eq!(ShortCode::typed(text), None, "{text:?}");
        }
        let code = ShortCode::generate().expect("random");
        let (asker, cluster) = (HostId::new(), ClusterId::new());
        for opening in ["", "zz", "41", &"ff".repeat(33), &"41".repeat(5000)] {
            assert!(Answering::answer(&code, asker, cluster, opening).is_err(), "{opening:.20}");
        }
        let (asking, opening) = Asking::begin(&code, asker, cluster);
        let (answering, answer) =
            Answering::answer(&code, asker, ClusterId::new(), &opening).expect("answered");
        assert!(asking.check(&answer).is_err(), "another cluster's answer");
        assert!(answering.check(&"00".repeat(32)).is_err() && !format!("{code:?}").contains('1'));
    }
}
