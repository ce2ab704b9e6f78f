//! Bytes that are almost right, for as long as a test wants to look at them. What happens follows from a seed that a
//! failing test names.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Sets the first case's seed.
const SEED: &str = "QUANTIX_GARBLE_SEED";
/// Numbers that lengths and counts are read wrongly at.
const EDGES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xc6, 0xdd, 0xdf, 0xff];

/// Spoils bytes, in a way that follows from its seed.
#[derive(Debug)]
pub struct Garbler {
    seed: u64,
    state: u64,
}

/// Calls `look` with a garbler of another seed each time, for `seconds`. A panic names the seed, with which
/// `QUANTIX_GARBLE_SEED` begins there.
pub fn for_a_while(seconds: u64, mut look: impl FnMut(&mut Garbler)) {
    let given = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let first = given.unwrap_or_else(|| u64::try_from(now.as_micros()).unwrap_or(0));
    let begun = Instant::now();
    for seed in first.. {
        look(&mut Garbler::new(seed));
        if begun.elapsed() > Duration::from_secs(seconds) {
            eprintln!("{} cases from {SEED}={first}", seed - first + 1);
            return;
        }
    }
}

impl Garbler {
    /// One that does the same whenever it has this seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, state: seed ^ 0x9e37_79b9_7f4a_7c15 }
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % (end.max(1) as u64)).unwrap_or(0)
    }

    /// One of several, spoilt.
    ///
    /// # Panics
    /// When there is none.
    pub fn garble_one<T: AsRef<[u8]>>(&mut self, all: &[T]) -> Vec<u8> {
        let which = self.below(all.len());
        self.garble(all[which].as_ref())
    }

    /// These bytes with up to four places spoilt: changed, cut out, put in, doubled, or cut off.
    pub fn garble(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(4) {
            if bytes.is_empty() {
                break;
            }
            let at = self.below(bytes.len());
            let end = (at + 1 + self.below(12)).min(bytes.len());
            match self.below(7) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = EDGES[self.below(EDGES.len())],
                2 => bytes[at..end].fill(0xff),
                3 => drop(bytes.drain(at..end)),
                4 => {
                    let doubled = bytes[at..end].to_vec();
                    let to = self.below(bytes.len());
                    drop(bytes.splice(to..to, doubled));
                }
                5 => {
                    let byte = u8::try_from(self.below(256)).unwrap_or(0);
                    bytes.insert(at, byte);
                }
                _ => bytes.truncate(at),
            }
        }
        bytes
    }
}

impl Drop for Garbler {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{SEED}={}", self.seed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_spoils_the_same_and_another_one_otherwise() {
        let right = b"almost right".as_slice();
        let spoilt: Vec<Vec<u8>> = (0..200).map(|seed| Garbler::new(seed).garble(right)).collect();
        assert_eq!(spoilt[7], Garbler::new(7).garble(right));
        assert!(spoilt.iter().filter(|bytes| *bytes != right).count() > 190);
        assert!(spoilt.iter().any(|bytes| bytes.len() > right.len()));
        assert!(spoilt.iter().any(|bytes| bytes.len() < right.len()));
    }
}
