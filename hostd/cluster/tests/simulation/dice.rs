//! Chance of a history: one stream of numbers that its seed decides.

use rand08::rngs::StdRng;
use rand08::{Rng, SeedableRng};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Cheap to clone; all clones draw from the same stream.
#[derive(Clone)]
pub struct Dice(Arc<Mutex<StdRng>>);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    pub fn number(&self, among: Range<u64>) -> u64 {
        self.0.lock().unwrap().gen_range(among)
    }

    /// True once in `of` times.
    pub fn once_in(&self, of: u64) -> bool {
        self.number(0..of) == 0
    }

    pub fn index(&self, len: usize) -> usize {
        self.0.lock().unwrap().gen_range(0..len)
    }

    pub fn pick<'a, T>(&self, from: &'a [T]) -> Option<&'a T> {
        (!from.is_empty()).then(|| &from[self.index(from.len())])
    }

    pub fn millis(&self, among: Range<u64>) -> Duration {
        Duration::from_millis(self.number(among))
    }

    pub fn uuid(&self) -> uuid::Uuid {
        uuid::Builder::from_random_bytes(self.0.lock().unwrap().r#gen()).into_uuid()
    }

    pub fn bits(&self) -> u64 {
        self.0.lock().unwrap().r#gen()
    }
}
