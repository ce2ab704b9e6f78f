//! Waiting for a condition, always with a deadline and never for a fixed time.

use anyhow::{Result, bail};
use std::future::Future;
use std::time::{Duration, Instant};

/// Time between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(60);

/// Looks at a condition until it holds: `probe` answers `Ok(Some(value))` when it does, `Ok(None)` when not yet, and an
/// error when it could not even look (a refused connection during a boot), which is remembered and tried again.
///
/// # Errors
/// When the deadline passes; the message says what was waited for and the last error seen.
pub async fn until<T, F, Fut>(what: &str, deadline: Duration, mut probe: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    let start = Instant::now();
    loop {
        let last = match probe().await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if start.elapsed() >= deadline {
            let seconds = deadline.as_secs_f64();
            match last {
                Some(error) => return Err(error.context(format!("{what}: not within {seconds} s"))),
                None => bail!("{what}: not within {seconds} s"),
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_that_comes_true_is_returned_and_a_late_one_is_named() {
        let mut looks = 0;
        let found = until("third look", Duration::from_secs(5), || {
            looks += 1;
            let seen = (looks == 3).then_some(looks);
            async move { Ok(seen) }
        });
        assert_eq!(found.await.expect("comes true"), 3);
        let late = until("never", Duration::from_millis(1), || async { Ok(None::<()>) }).await;
        assert!(late.expect_err("late").to_string().contains("never"));
    }
}
