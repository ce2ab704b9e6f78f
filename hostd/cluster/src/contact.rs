//! When members last answered this host as their leader, and how fast they are served.

use hostd_types::NodeId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A member that was silent for so long begins anew when it answers again.
const SILENCE: Duration = Duration::from_secs(5);

/// Members as the leader meets them; cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Contacts(Arc<Inner>);

struct Inner {
    members: Mutex<BTreeMap<NodeId, Contact>>,
    pacing: Mutex<Pacing>,
    hurry: Notify,
    /// When this host last knew that a leader is followed by a majority; when it started, before the first time.
    held: Mutex<Instant>,
    /// When a leader was last heard here.
    led: Mutex<Option<Instant>>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            members: Mutex::default(),
            pacing: Mutex::default(),
            hurry: Notify::new(),
            held: Mutex::new(Instant::now()),
            led: Mutex::default(),
        }
    }
}

/// Members that get entries in batches: many learners would take all of the leader's time one entry at a time.
#[derive(Default)]
struct Pacing {
    pause: Duration,
    slow: std::collections::BTreeSet<NodeId>,
    /// Members that wait for something of theirs, and how often.
    waiting: BTreeMap<NodeId, usize>,
}

/// How a member was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Contact {
    /// Since when it answers without a long silence.
    pub(crate) since: Instant,
    /// When it last answered.
    pub(crate) last: Instant,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Contacts {
    /// A member answered.
    pub(crate) fn answered(&self, node: NodeId) {
        let now = Instant::now();
        let mut members = lock(&self.0.members);
        let contact = members.entry(node).or_insert(Contact { since: now, last: now });
        if now - contact.last > SILENCE {
            contact.since = now;
        }
        contact.last = now;
    }

    /// A majority follows a leader that this host reaches, or is.
    pub(crate) fn hold(&self) {
        *lock(&self.0.held) = Instant::now();
    }

    /// How long ago [`Contacts::hold`] was last so; since the start, before the first time.
    pub(crate) fn lost_for(&self) -> Duration {
        lock(&self.0.held).elapsed()
    }

    /// A leader sent entries or a sign of life.
    pub(crate) fn led(&self) {
        *lock(&self.0.led) = Some(Instant::now());
    }

    /// How long no leader was heard; nothing when none ever was.
    pub(crate) fn unled_for(&self) -> Option<Duration> {
        lock(&self.0.led).map(|at| at.elapsed())
    }

    /// How each member was met.
    pub(crate) fn all(&self) -> BTreeMap<NodeId, Contact> {
        lock(&self.0.members).clone()
    }

    /// Forgets members that are none any more.
    pub(crate) fn keep(&self, wanted: impl Fn(NodeId) -> bool) {
        lock(&self.0.members).retain(|node, _| wanted(*node));
    }

    /// Sets who is served in batches, one batch every `pause`.
    pub(crate) fn slow_down(&self, pause: Duration, slow: std::collections::BTreeSet<NodeId>) {
        let mut pacing = lock(&self.0.pacing);
        (pacing.pause, pacing.slow) = (pause, slow);
    }

    /// Waits before the next batch for `node`, unless it waits for something itself.
    pub(crate) async fn pace(&self, node: NodeId) {
        let pause = {
            let pacing = lock(&self.0.pacing);
            if !pacing.slow.contains(&node) || pacing.waiting.contains_key(&node) {
                return;
            }
            pacing.pause
        };
        let end = Instant::now() + pause;
        loop {
            let hurried = self.0.hurry.notified();
            if lock(&self.0.pacing).waiting.contains_key(&node) {
                return;
            }
            if tokio::time::timeout_at(end, hurried).await.is_err() {
                return;
            }
        }
    }

    /// Serves `node` at once for as long as the answer lives: it waits for the outcome of something it asked.
    pub(crate) fn hurry(&self, node: NodeId) -> Hurry {
        *lock(&self.0.pacing).waiting.entry(node).or_default() += 1;
        self.0.hurry.notify_waiters();
        Hurry { contacts: self.clone(), node }
    }
}

/// See [`Contacts::hurry`].
pub(crate) struct Hurry {
    contacts: Contacts,
    node: NodeId,
}

impl Drop for Hurry {
    fn drop(&mut self) {
        let mut pacing = lock(&self.contacts.0.pacing);
        if let Some(count) = pacing.waiting.get_mut(&self.node) {
            *count -= 1;
            if *count == 0 {
                pacing.waiting.remove(&self.node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_majority_that_never_was_is_missed_since_the_start() {
        let contacts = Contacts::default();
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(contacts.lost_for(), Duration::from_secs(9));
        contacts.hold();
        assert_eq!(contacts.lost_for(), Duration::ZERO);
    }
}
