//! Standing for election again. A candidate's timeout is drawn once for each run of the daemon, so two candidates can tie
//! for ever (openraft#1838); one that is still a candidate after a random while stands again.

use crate::engine::Engine;
use crate::runtime::Chance;
use openraft::ServerState;
use rand08::Rng;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Shortest and longest wait of a candidate.
const WAIT_MS: std::ops::Range<u64> = 100..1000;

/// Watches over this host's candidacies until `stop`.
pub(crate) async fn kick(engine: Engine, stop: CancellationToken) {
    let mut starts = engine.starts();
    loop {
        let raft = engine.raft();
        let mut metrics = raft.server_metrics();
        let following = async {
            loop {
                let candidate = metrics.borrow_and_update().state == ServerState::Candidate;
                if !candidate {
                    if metrics.changed().await.is_err() {
                        return;
                    }
                    continue;
                }
                let wait = Duration::from_millis(Chance.gen_range(WAIT_MS));
                let decided = async {
                    // What the wait answers borrows the metrics; only that it ended matters.
                    metrics.wait_for(|m| m.state != ServerState::Candidate).await.is_ok()
                };
                match tokio::time::timeout(wait, decided).await {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(_) if raft.trigger().elect().await.is_err() => return,
                    Err(_) => {}
                }
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = following => {}
            _ = starts.changed() => continue,
        }
        // Consensus ended; the next start is followed again.
        if stop.run_until_cancelled(starts.changed()).await.is_none() {
            return;
        }
    }
}
