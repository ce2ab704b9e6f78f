//! Standing for election. openraft's own timer stands whenever it hears no leader, and draws its patience once for each run:
//! a member that was cut off comes back with a higher term and deposes a leader it could never replace, and two candidates
//! can tie for ever (openraft#1838). So its timer is off, and a member stands only after a majority has said that it would
//! vote for it (the pre-vote of Raft's author, section 9.6 of his thesis), each time after another random while.

use crate::carrier::Lane;
use crate::engine::{self, ELECTION, Engine, Metrics};
use crate::frame::{Frame, Reply};
use crate::raft::LogId;
use crate::runtime::Chance;
use futures_util::future::join_all;
use openraft::ServerState;
use rand08::Rng;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Time for the answers of one round.
const ANSWERS: Duration = Duration::from_millis(800);
/// How much longer a reluctant member waits: others have had several rounds by then.
const RELUCTANCE: Duration = Duration::from_millis(2500);
/// Shortest and longest pause between two rounds of one member.
const PAUSE: [Duration; 2] = [Duration::from_millis(150), Duration::from_millis(900)];

/// A random time between two.
fn between([shortest, longest]: [Duration; 2]) -> Duration {
    Chance.gen_range(shortest..longest)
}

/// Whether this host would vote for a member whose last entry is `last`: it hears no leader, is none, and lacks nothing
/// that member has not.
pub(crate) fn would_vote(engine: &Engine, last: Option<LogId>) -> bool {
    let metrics = engine.metrics();
    let leads = engine::leads(&metrics) && !engine.yields();
    !leads && unled(engine) && last >= engine.log().ends().1
}

/// No leader was heard for as long as a leader may be silent.
fn unled(engine: &Engine) -> bool {
    silent(engine, ELECTION[1])
}

fn silent(engine: &Engine, patience: Duration) -> bool {
    engine.peers().contacts.unled_for().is_none_or(|silence| silence >= patience)
}

/// Stands for election when there is no leader and a majority would vote for this host, until `stop`.
pub(crate) async fn stand(engine: Engine, stop: CancellationToken) {
    // A host that starts gives a leader time to show itself.
    let mut pause = between(ELECTION);
    while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        pause = between(PAUSE);
        let patience = if engine.reluctant() { ELECTION[1] + RELUCTANCE } else { ELECTION[1] };
        let metrics = engine.metrics();
        let votes = metrics.membership_config.voter_ids().any(|node| node == metrics.id);
        if !votes || engine.yields() || metrics.state == ServerState::Leader || !silent(&engine, patience) {
            continue;
        }
        if metrics.running_state.is_err() || !wanted(&engine, &metrics).await || !unled(&engine) {
            continue;
        }
        tracing::info!(term = metrics.current_term + 1, "standing for election");
        if let Err(error) = engine.raft().trigger().elect().await {
            tracing::debug!(%error, "consensus has stopped; nobody stands");
        }
        // The others' answers take a round trip and a write to the disk.
        pause = between(ELECTION);
    }
}

/// Whether a majority, of the old voters and of the new ones while they change, would vote for this host.
async fn wanted(engine: &Engine, metrics: &Metrics) -> bool {
    let Ok(frame) = Frame::Canvass(engine.log().ends().1).encode() else { return false };
    let others: Vec<u64> = metrics.membership_config.voter_ids().filter(|node| *node != metrics.id).collect();
    let asked = others.iter().map(|node| engine.peers().ask(*node, Lane::Consensus, frame.clone(), ANSWERS));
    let answers = join_all(asked).await;
    let given = others.iter().zip(answers).filter(|(_, reply)| matches!(reply, Ok(Reply::Canvass(true))));
    let given: BTreeSet<u64> = given.map(|(node, _)| *node).chain([metrics.id]).collect();
    let majority = |voters: &BTreeSet<u64>| voters.intersection(&given).count() > voters.len() / 2;
    metrics.membership_config.membership().get_joint_config().iter().all(majority)
}
