//! How often something is done for who may have it: what costs a signature, or a line in everybody's audit trail, is not done
//! without end, not even for a member.

use hostd_types::{Problem, ProblemKind};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time that is counted over.
const WINDOW: Duration = Duration::from_secs(600);
/// Keys remembered.
const KEYS_MAX: usize = 10_000;

/// Counts by key.
#[derive(Debug)]
pub(crate) struct Allowance<K> {
    most: u32,
    /// When a key's count began, and how far it is.
    table: Mutex<HashMap<K, (Instant, u32)>>,
}

impl<K: Eq + Hash> Allowance<K> {
    /// `most` times in ten minutes.
    pub fn new(most: u32) -> Self {
        Self { most, table: Mutex::default() }
    }

    /// Takes one off.
    ///
    /// # Errors
    /// `TooMany` with the seconds to wait.
    pub fn take(&self, key: K) -> Result<(), Problem> {
        self.take_at(key, Instant::now())
    }

    fn take_at(&self, key: K, now: Instant) -> Result<(), Problem> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let age = |begun: Instant| now.saturating_duration_since(begun);
        if table.len() >= KEYS_MAX && !table.contains_key(&key) {
            table.retain(|_, (begun, _)| age(*begun) < WINDOW);
            if table.len() >= KEYS_MAX {
                table.clear();
            }
        }
        let (begun, count) = table.entry(key).or_insert((now, 0));
        if age(*begun) >= WINDOW {
            (*begun, *count) = (now, 0);
        }
        if *count >= self.most {
            let seconds =
                u32::try_from((WINDOW - age(*begun)).as_secs()).unwrap_or(u32::MAX).saturating_add(1);
            let detail = format!("This was asked for too often; try again in {seconds} s.");
            return Err(Problem::new(ProblemKind::TooMany, detail).retry_after(seconds));
        }
        *count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_so_many_in_a_time_and_memory_is_bounded() {
        let (allowance, now) = (Allowance::new(2), Instant::now());
        for _ in 0..2 {
            allowance.take_at(0, now).expect("allowed");
        }
        let refused = allowance.take_at(0, now + WINDOW / 2).expect_err("too often");
        assert_eq!((refused.kind, refused.retry_after), (ProblemKind::TooMany, Some(301)));
        allowance.take_at(1, now).expect("another key");
        allowance.take_at(0, now + WINDOW).expect("allowed again");
        for key in 0..2 * KEYS_MAX {
            allowance.take_at(key, now).expect("allowed");
        }
        assert!(allowance.table.lock().expect("whole").len() <= KEYS_MAX);
    }
}
