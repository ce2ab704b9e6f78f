//! The wall clock: a jump backwards is noticed and told, and breaks nothing.

use crate::error::internal;
use hostd_cluster::Local;
use hostd_types::{Problem, Timestamp};
use std::sync::atomic::{AtomicU64, Ordering};

/// Key in the host's own store: the wall clock when it was last noted, Unix seconds.
const KEY: &str = "clock";
/// Smaller jumps are time synchronization at work.
const JUMP_S: i64 = 60;

/// What is known about the wall clock.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    back_s: AtomicU64,
}

impl Clock {
    /// Compares the clock with what was last noted and notes it.
    ///
    /// # Errors
    /// When the host's own store can't be used.
    pub async fn note(&self, local: &Local) -> Result<(), Problem> {
        let now = Timestamp::now().unix();
        if let Some(text) = local.get(KEY).await? {
            let before: i64 = text.parse().map_err(|e| internal("The noted time can't be read", e))?;
            if let Some(back) = jump(before, now) {
                tracing::warn!(seconds = back, "the clock was set back");
                self.back_s.store(back, Ordering::Relaxed);
            }
        }
        local.put(KEY, &now.to_string()).await
    }
    /// Seconds the clock jumped back since the state was last written, when it did.
    pub fn back_s(&self) -> Option<u64> {
        Some(self.back_s.load(Ordering::Relaxed)).filter(|seconds| *seconds > 0)
    }
}

fn jump(before: i64, now: i64) -> Option<u64> {
    let back = before.saturating_sub(now);
    if back > JUMP_S { u64::try_from(back).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_real_jumps_count() {
        assert_eq!(jump(1000, 1001), None);
        assert_eq!(jump(1000, 990), None);
        assert_eq!(jump(100_000, 13_600), Some(86_400));
        assert_eq!(jump(i64::MAX, i64::MIN), Some(i64::MAX as u64));
    }
}
