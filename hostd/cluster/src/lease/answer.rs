//! The leader's side: renews wait for one round of the majority together.

use super::{Leases, members};
use crate::engine::{self, Engine};
use crate::frame::Renewed;
use hostd_types::NodeId;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Shortest time between the beginnings of two rounds.
const EVERY: Duration = Duration::from_millis(500);
/// Time for a round.
const WITHIN: Duration = Duration::from_secs(2);
/// How often it is looked whether this host leads.
const LOOK: Duration = Duration::from_secs(1);

/// A renew that waits.
pub(crate) struct Asked {
    pub(super) from: NodeId,
    pub(super) epoch: u64,
    pub(super) answer: oneshot::Sender<Renewed>,
}

/// Answers renews until `stop`.
pub(crate) async fn answer(
    engine: Engine,
    leases: Leases,
    mut waiting: mpsc::Receiver<Asked>,
    stop: CancellationToken,
) {
    let mut next = Instant::now();
    loop {
        note_reign(&engine, &leases);
        let first = tokio::time::timeout(LOOK, waiting.recv());
        let Some(first) = stop.run_until_cancelled(first).await else { return };
        let Ok(first) = first else { continue };
        let Some(first) = first else { return };
        if stop.run_until_cancelled(tokio::time::sleep_until(next)).await.is_none() {
            return;
        }
        next = Instant::now() + EVERY;
        // Everything that came before the round begins is answered by it.
        let mut asked = vec![first];
        while let Ok(more) = waiting.try_recv() {
            asked.push(more);
        }
        let round = stop.run_until_cancelled(round(&engine, &leases)).await;
        let confirmed = round.unwrap_or(Err("this host stops"));
        for Asked { from, epoch, answer } in asked {
            let renewed = match &confirmed {
                Ok(round) => round.answer(&leases, from, epoch),
                Err(why) => Renewed::refused(why),
            };
            // The member may have stopped waiting; the grant only makes this host wait longer.
            let _ = answer.send(renewed);
        }
    }
}

/// Notes whether this host leads, for how long members have had no lease under it.
fn note_reign(engine: &Engine, leases: &Leases) {
    let metrics = engine.metrics();
    match engine::leads(&metrics) {
        true => leases.grants().lead(metrics.current_term, leases.now()),
        false => leases.grants().interrupt(),
    }
}

/// What is known after a round of the majority.
struct Round {
    term: u64,
    /// Index of the last entry decided before the round; it is applied here.
    decided: u64,
    /// Epochs of the members that may get leases.
    active: BTreeMap<NodeId, u64>,
}

impl Round {
    fn answer(&self, leases: &Leases, from: NodeId, epoch: u64) -> Renewed {
        #[cfg(feature = "simulation")]
        if leases.0.anybody.load(std::sync::atomic::Ordering::Relaxed) {
            leases.grants().grant(self.term, from, epoch, leases.now());
            return Renewed { granted: true, decided: self.decided, why: String::new() };
        }
        match self.active.get(&from) {
            None => Renewed::refused("the host is not an active member"),
            Some(now) if *now != epoch => Renewed::refused("the host was fenced"),
            // The grant is noted before the member knows of it.
            Some(_) if leases.grants().grant(self.term, from, epoch, leases.now()) => {
                Renewed { granted: true, decided: self.decided, why: String::new() }
            }
            Some(_) => Renewed::refused("the host is about to be fenced, or this one leads anew"),
        }
    }
}

/// One round: the majority still followed this host after it began.
async fn round(engine: &Engine, leases: &Leases) -> Result<Round, &'static str> {
    let term = engine.metrics().current_term;
    if !engine.leads() {
        return Err("this host does not lead");
    }
    let confirmed = async {
        let (decided, _) = engine.raft().get_read_log_id().await.map_err(|error| {
            tracing::debug!(%error, "no majority confirms that this host leads");
            "no majority confirms that this host leads"
        })?;
        let decided = decided.map_or(0, |id| id.index);
        engine.state().revision.reaches(decided).await;
        Ok(decided)
    };
    let confirmed = tokio::time::timeout(WITHIN, confirmed).await;
    let decided = confirmed.unwrap_or(Err("no majority answered in time"))?;
    // The rows are at least as new as everything that was decided before the round.
    let members = members(engine).await.map_err(|error| {
        tracing::warn!(%error, "the hosts can't be read, so nobody gets a lease");
        "the hosts can't be read"
    })?;
    note_reign(engine, leases);
    let metrics = engine.metrics();
    if metrics.current_term != term || !engine::leads(&metrics) {
        return Err("this host led no more when the round was over");
    }
    let members = members.ok_or("the cluster does not know leases yet")?;
    let active = members.into_iter().filter(|member| member.active);
    Ok(Round { term, decided, active: active.map(|member| (member.node, member.epoch)).collect() })
}
