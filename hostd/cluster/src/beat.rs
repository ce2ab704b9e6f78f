//! Signs of life. Every member beats to the leader every two seconds and learns in the answer what the leader knows of
//! all; nothing of it enters the log.

use crate::carrier::Lane;
use crate::contact::Contacts;
use crate::engine::{Engine, Metrics};
use crate::frame::{Beat, Frame, Pulse, Reply, Told};
use crate::lease::Leases;
use crate::runtime::Chance;
use hostd_types::NodeId;
use rand08::seq::IteratorRandom;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Time between two beats.
pub(crate) const EVERY: Duration = Duration::from_secs(2);
/// Time for one beat.
const WITHIN: Duration = Duration::from_secs(2);

/// What is known of a member, however old it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Since when it has not been heard of: by the leader, and from there to here.
    pub silent: Option<Duration>,
    /// The last entry it is known to have.
    pub matched: Option<u64>,
    /// What it last told of itself, and how long ago.
    pub digest: Option<(String, Duration)>,
    /// How long its lease lasts at most, when the leader granted it one.
    pub lease: Option<Duration>,
}

/// A member as this host last learned of it.
#[derive(Debug, Clone, Default)]
struct Heard {
    answered: Option<Instant>,
    matched: Option<u64>,
    digest: Option<(String, Instant)>,
    /// When its lease ends at the latest.
    leased: Option<Instant>,
}

/// What this host knows of all members; cheap to clone.
#[derive(Clone)]
pub(crate) struct Pulses(Arc<Inner>);

struct Inner {
    own: watch::Sender<String>,
    members: Mutex<BTreeMap<NodeId, Heard>>,
    contacts: Contacts,
    leases: Leases,
}

impl Pulses {
    pub(crate) fn new(contacts: Contacts, leases: Leases) -> Self {
        let (own, _) = watch::channel(String::new());
        Self(Arc::new(Inner { own, members: Mutex::default(), contacts, leases }))
    }

    fn members(&self) -> MutexGuard<'_, BTreeMap<NodeId, Heard>> {
        self.0.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets what this host tells of itself with its next beat.
    pub(crate) fn set_digest(&self, digest: String) {
        self.0.own.send_replace(digest);
    }

    /// What is known of every member.
    pub(crate) fn known(&self) -> BTreeMap<NodeId, Known> {
        let now = Instant::now();
        let age = |heard: &Heard| Known {
            silent: heard.answered.map(|at| now.saturating_duration_since(at)),
            matched: heard.matched,
            digest: heard
                .digest
                .as_ref()
                .map(|(text, at)| (text.clone(), now.saturating_duration_since(*at))),
            lease: heard
                .leased
                .and_then(|end| end.checked_duration_since(now))
                .filter(|left| !left.is_zero()),
        };
        self.members().iter().map(|(node, heard)| (*node, age(heard))).collect()
    }

    /// Forgets members that are none any more.
    pub(crate) fn keep(&self, wanted: impl Fn(NodeId) -> bool) {
        self.members().retain(|node, _| wanted(*node));
    }

    /// A member beat to this host, the leader.
    pub(crate) fn heard(&self, from: NodeId, beat: Beat) {
        let now = Instant::now();
        let mut members = self.members();
        let leased = members.get(&from).and_then(|heard| heard.leased);
        let digest = Some((beat.digest, now));
        members.insert(from, Heard { answered: Some(now), matched: Some(beat.applied), digest, leased });
    }

    /// What this host, the leader, knows of all; `brief`: without what they tell of themselves.
    pub(crate) fn tell(&self, brief: bool) -> Pulse {
        let millis = |of: Duration| u64::try_from(of.as_millis()).unwrap_or(u64::MAX);
        let told = |(node, known): (NodeId, Known)| Told {
            node,
            answered_ms: known.silent.map(millis),
            matched: known.matched,
            digest: known.digest.filter(|_| !brief).map(|(text, age)| (text, millis(age))),
            lease_ms: known.lease.map(millis),
        };
        Pulse { members: self.known().into_iter().map(told).collect() }
    }

    /// The leader told what it knows. Something older than what is known already is left out.
    fn learn(&self, pulse: Pulse) {
        let now = Instant::now();
        let at = |ms: u64| now.checked_sub(Duration::from_millis(ms)).unwrap_or(now);
        let mut members = self.members();
        for told in pulse.members {
            let leased = told.lease_ms.map(|ms| now + Duration::from_millis(ms));
            let answered = told.answered_ms.map(at);
            let digest = told.digest.map(|(text, age)| (text, at(age)));
            match members.get_mut(&told.node) {
                Some(known) => {
                    known.answered = known.answered.max(answered);
                    known.matched = known.matched.max(told.matched);
                    if digest.as_ref().map(|d| d.1) > known.digest.as_ref().map(|d| d.1) {
                        known.digest = digest;
                    }
                    known.leased = leased;
                }
                None => {
                    members.insert(told.node, Heard { answered, matched: told.matched, digest, leased });
                }
            }
        }
    }

    /// Takes over what consensus knows: who answered this leader, and how far they are.
    fn note_consensus(&self, engine: &Engine) {
        let metrics = engine.metrics();
        let contacts = self.0.contacts.all();
        let (granted, now) = (self.0.leases.granted(), Instant::now());
        let mut members = self.members();
        for (node, matched) in metrics.replication.into_iter().flatten() {
            let node = NodeId(node);
            let heard = members.entry(node).or_default();
            heard.leased = granted.get(&node).map(|left| now + *left);
            heard.answered = heard.answered.max(contacts.get(&node).map(|contact| contact.last));
            heard.matched = heard.matched.max(matched.map(|id| id.index));
        }
    }
}

/// How often a host asks for what `members` members tell of themselves: what that costs grows with their square.
fn pace(members: usize) -> Duration {
    EVERY.max(Duration::from_millis(100) * u32::try_from(members).unwrap_or(u32::MAX))
}

/// Some other member.
fn any_other(metrics: &Metrics) -> Option<u64> {
    let members = metrics.membership_config.membership().nodes().map(|(node, _)| *node);
    members.filter(|node| *node != metrics.id).choose(&mut Chance)
}

/// Beats until `stop`.
pub(crate) async fn beat(engine: Engine, pulses: Pulses, stop: CancellationToken) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut own = pulses.0.own.subscribe();
    // Whoever was taken for the leader did not answer as one.
    let mut lost = false;
    // When this host was last told everything.
    let mut told: Option<Instant> = None;
    loop {
        let ticked = async {
            tokio::select! {
                biased;
                _ = tick.tick() => {}
                // News of this host is not held back, but not sent more often than twice a second either.
                Ok(()) = own.changed() => tokio::time::sleep(EVERY / 4).await,
            }
        };
        if stop.run_until_cancelled(ticked).await.is_none() {
            return;
        }
        let metrics = engine.metrics();
        let applied = metrics.last_applied.map_or(0, |id| id.index);
        tick.reset();
        let pace = pace(metrics.membership_config.membership().nodes().count());
        // The next beat may come a little early.
        let brief = told.is_some_and(|at| at.elapsed() + EVERY / 2 < pace);
        let beat = Beat { applied, digest: own.borrow_and_update().clone(), brief };
        if crate::engine::leads(&metrics) {
            engine.peers().contacts.hold();
        }
        if metrics.state == openraft::ServerState::Leader {
            pulses.note_consensus(&engine);
            pulses.heard(engine.node(), beat);
            continue;
        }
        // Who hears no leader asks around: a host that was removed while it was off learns it from anybody.
        let leader = metrics.current_leader.filter(|_| !std::mem::take(&mut lost));
        let Some(leader) = leader.or_else(|| any_other(&metrics)) else { continue };
        let Ok(frame) = Frame::Beat(beat).encode() else { continue };
        match engine.peers().ask(leader, Lane::Consensus, frame, WITHIN).await {
            Ok(Reply::Pulse(pulse)) => {
                pulses.learn(pulse);
                if !brief {
                    told = Some(Instant::now());
                }
                engine.peers().contacts.answered(NodeId(leader));
                engine.peers().contacts.hold();
            }
            Ok(_) => lost = metrics.current_leader == Some(leader),
            Err(error) => {
                lost = metrics.current_leader == Some(leader);
                tracing::debug!(leader = %NodeId(leader), %error, "a beat was not answered");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::Ground;
    use crate::lease::Terms;

    #[test]
    fn a_brief_answer_keeps_what_was_told_before() {
        let pulses = || {
            let (leases, _) = Leases::new(&Ground::Threads, Terms::default());
            Pulses::new(Contacts::default(), leases)
        };
        let (leader, member) = (pulses(), pulses());
        let node = NodeId(7);
        leader.heard(node, Beat { applied: 3, digest: "first".into(), brief: false });
        member.learn(leader.tell(false));
        leader.heard(node, Beat { applied: 9, digest: "second".into(), brief: false });
        member.learn(leader.tell(true));
        let known = member.known().remove(&node).expect("the member");
        assert_eq!((known.matched, known.digest.expect("a digest").0.as_str()), (Some(9), "first"));
        member.learn(leader.tell(false));
        assert_eq!(member.known()[&node].digest.as_ref().expect("a digest").0, "second");
    }

    #[test]
    fn few_hosts_are_told_everything_with_every_beat() {
        assert_eq!((pace(3), pace(20), pace(100)), (EVERY, EVERY, EVERY * 5));
    }
}
