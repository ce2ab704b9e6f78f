//! How long the log's commits take on this disk: the last thousand, for the host page.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Samples kept.
const KEPT: usize = 1000;

/// A ring of durations; cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct CommitTimes(Arc<Mutex<Ring>>);

#[derive(Default)]
struct Ring {
    samples: Vec<Duration>,
    next: usize,
}

impl CommitTimes {
    /// Adds one, forgetting the oldest of a full ring.
    pub(crate) fn add(&self, took: Duration) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.samples.len() < KEPT {
            ring.samples.push(took);
        } else {
            let next = ring.next;
            ring.samples[next] = took;
        }
        ring.next = (ring.next + 1) % KEPT;
    }

    /// Milliseconds that the shares `shares` (0 to 1) of all samples stay within; zero without samples.
    pub(crate) fn quantiles<const N: usize>(&self, shares: [f64; N]) -> [f64; N] {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner).samples.clone();
        samples.sort_unstable();
        shares.map(|share| {
            let last = samples.len().saturating_sub(1);
            let at = (last as f64 * share).round() as usize;
            samples.get(at).map_or(0.0, |d| d.as_secs_f64() * 1e3)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_last_thousand() {
        let times = CommitTimes::default();
        assert_eq!(times.quantiles([0.5]), [0.0]);
        for _ in 0..KEPT {
            times.add(Duration::from_secs(9));
        }
        for ms in 0..KEPT as u64 {
            times.add(Duration::from_millis(ms));
        }
        let [half, most] = times.quantiles([0.5, 0.99]);
        assert!((half - 500.0).abs() < 1.5, "{half}");
        assert!((most - 989.0).abs() < 1.5, "{most}");
    }
}
