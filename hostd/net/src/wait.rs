//! Waiting for a condition of the outside world that sends no message when it becomes true.

use crate::error::NetError;
use std::time::Duration;

/// Returns as soon as `condition` holds, looking every 20 ms.
///
/// # Errors
/// [`NetError::Late`] when it does not hold within `seconds`.
pub async fn until(what: &str, seconds: u64, condition: impl Fn() -> bool) -> Result<(), NetError> {
    let watch = async {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        while !condition() {
            tick.tick().await;
        }
    };
    let late = |_| NetError::Late { what: what.into(), seconds };
    tokio::time::timeout(Duration::from_secs(seconds), watch).await.map_err(late)
}
