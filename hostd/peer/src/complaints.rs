//! Warnings about peers that are said once a minute each, however often there is reason: a hostile or broken host fills
//! neither the log nor the memory.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the same is not said again.
const QUIET: Duration = Duration::from_secs(60);
/// Most complaints remembered; above, new ones are not said.
const MOST: usize = 1024;

/// What was said when.
#[derive(Debug, Default)]
pub(crate) struct Complaints(Mutex<HashMap<(String, &'static str), Instant>>);

impl Complaints {
    /// Warns about `who`, unless the same `reason` was logged for it within the last minute. `detail` is what differs
    /// from time to time and doesn't make it another reason.
    pub fn say(&self, who: impl Display, reason: &'static str, detail: impl Display) {
        if self.is_news(who.to_string(), reason, Instant::now()) {
            tracing::warn!(peer = %who, "{reason}: {detail}");
        }
    }

    fn is_news(&self, who: String, reason: &'static str, now: Instant) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (who, reason);
        if said.get(&key).is_some_and(|at| now.duration_since(*at) < QUIET) {
            return false;
        }
        if said.len() >= MOST {
            said.retain(|_, at| now.duration_since(*at) < QUIET);
        }
        if said.len() >= MOST {
            return false;
        }
        said.insert(key, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_once_a_minute() {
        let (complaints, now) = (Complaints::default(), Instant::now());
        assert!(complaints.is_news("a".into(), "refused", now));
        assert!(!complaints.is_news("a".into(), "refused", now + Duration::from_secs(59)));
        assert!(complaints.is_news("a".into(), "expired", now));
        assert!(complaints.is_news("b".into(), "refused", now));
        assert!(complaints.is_news("a".into(), "refused", now + Duration::from_secs(61)));
    }

    #[test]
    fn a_flood_from_many_addresses_uses_bounded_memory_and_passes() {
        let (complaints, now) = (Complaints::default(), Instant::now());
        for n in 0..10 * MOST {
            complaints.is_news(n.to_string(), "refused", now);
        }
        assert_eq!(complaints.0.lock().expect("unpoisoned").len(), MOST);
        assert!(complaints.is_news("later".into(), "refused", now + QUIET));
    }
}
