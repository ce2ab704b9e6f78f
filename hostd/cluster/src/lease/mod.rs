//! Leases: the permission, for some seconds at a time, to run what another host would take over if this one were lost.
//!
//! ```text
//!  member                                  leader
//!  renew, every 3 s ──────────────────────> waits for a round of the majority that began after it came
//!  its lease counts from SENDING <───────── grants: the member is active and names its epoch; keeps when
//!  nothing for 15 s: it has none            nothing granted for 30 s: grants no more, then `Fence` in the log
//! ```
//!
//! Why no two hosts hold one for the same thing: what needs a lease ends on a member at most `lease + watchdog` after it
//! sent its last renew that was granted. A leader grants only what came before a round in which the majority still
//! followed it, so a later leader was elected after the renew was sent, and waits `fence` from its election. Under one
//! leader `fence` counts from the last grant, and `Fence` acts only when the leader that waited wrote it. After it no
//! leader grants that epoch.
//!
//! Times are rates of each host's own clock, never the wall's. What is decided is pure ([`Grants`], [`Held`]); nothing
//! of it is in the log but the end of an epoch.

mod answer;
mod clock;
mod grants;
mod held;
mod renew;

pub(crate) use answer::answer;
pub(crate) use clock::Moment;
pub(crate) use renew::renew;

use crate::Cluster;
use crate::engine::{self, Engine};
use crate::error::{StateError, read_failed};
use crate::frame::{Renew, Renewed};
use crate::ground::Ground;
use crate::membership;
use crate::schema;
use answer::Asked;
use clock::Clock;
use grants::Grants;
use held::Held;
use hostd_types::*;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Renews that may wait for a round; more are refused.
const WAITING: usize = 1024;
/// How much faster or slower than true time a clock may go.
const DRIFT: f64 = 0.01;

/// How long leases and what hangs on them take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Time between two renews of a member.
    pub renew: Duration,
    /// How long a lease lasts, from sending the renew.
    pub lease: Duration,
    /// How long after its end the watchdog has reset a host on which something that needs it still runs.
    pub watchdog: Duration,
    /// How long after the last grant a leader fences a member; a new leader counts from its election.
    pub fence: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self { renew: s(3), lease: s(15), watchdog: s(10), fence: s(30) }
    }
}

impl Terms {
    /// Whether a fenced host has surely stopped, with clocks that are wrong by a hundredth, one too fast and one too slow.
    pub fn hold(&self) -> bool {
        let ends = (self.lease + self.watchdog).mul_f64((1.0 + DRIFT) / (1.0 - DRIFT));
        self.renew * 3 < self.lease && ends < self.fence
    }
}

/// The lease of this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The epoch it was granted in.
    pub epoch: u64,
    /// How long it lasts from now.
    pub left: Duration,
    /// When it ends by the clock that counts since the machine was started, suspended or not.
    pub until: Duration,
    /// This host has applied everything that was decided before the first grant of the epoch: it may start what it knows
    /// to be placed on it.
    pub caught_up: bool,
}

/// A host to be fenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToFence {
    /// The host.
    pub host: HostId,
    /// The epoch that ends.
    pub epoch: u64,
    /// The leader that waited: this host.
    pub leader: NodeId,
    /// The term in which it leads.
    pub term: u64,
}

/// A host as leases see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    host: HostId,
    node: NodeId,
    epoch: u64,
    /// It may get leases.
    active: bool,
}

/// Leases on this host, as a member and as a leader; cheap to clone.
#[derive(Clone)]
pub(crate) struct Leases(Arc<Inner>);

struct Inner {
    clock: Clock,
    terms: Terms,
    grants: Mutex<Grants>,
    held: Mutex<Option<Held>>,
    asked: mpsc::Sender<Asked>,
    /// Whoever asks gets a lease: a rule that a simulation breaks.
    #[cfg(feature = "simulation")]
    anybody: std::sync::atomic::AtomicBool,
}

impl Leases {
    /// Leases, and the renews that come in, for [`answer`].
    pub(crate) fn new(ground: &Ground, terms: Terms) -> (Self, mpsc::Receiver<Asked>) {
        let (asked, waiting) = mpsc::channel(WAITING);
        let (grants, held) = (Mutex::new(Grants::new(terms)), Mutex::default());
        let inner = Inner {
            clock: Clock::of(ground),
            terms,
            grants,
            held,
            asked,
            #[cfg(feature = "simulation")]
            anybody: false.into(),
        };
        (Self(Arc::new(inner)), waiting)
    }

    /// Grants leases to whoever asks from here on.
    #[cfg(feature = "simulation")]
    pub(crate) fn grant_anybody(&self) {
        self.0.anybody.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    fn now(&self) -> Moment {
        self.0.clock.now()
    }

    fn grants(&self) -> MutexGuard<'_, Grants> {
        self.0.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A member asks this host, the leader, for a lease.
    pub(crate) async fn ask(&self, from: NodeId, renew: Renew) -> Renewed {
        let (answer, answered) = oneshot::channel();
        let asked = Asked { from, epoch: renew.epoch, answer };
        if self.0.asked.try_send(asked).is_err() {
            return Renewed::refused("too many renews wait");
        }
        answered.await.unwrap_or_else(|_| Renewed::refused("this host stops"))
    }

    /// How long the leases last that this host, the leader, granted, at most.
    pub(crate) fn granted(&self) -> BTreeMap<NodeId, Duration> {
        self.grants().left(self.now())
    }

    /// This host's lease.
    fn own(&self, engine: &Engine) -> Option<Lease> {
        let (now, applied) = (self.now(), engine.state().revision.now());
        self.held().as_ref()?.lease(engine.node(), now, applied, &self.0.terms)
    }
}

impl Cluster {
    /// This host's lease, while it has one.
    pub fn lease(&self) -> Option<Lease> {
        self.0.leases.own(&self.0.engine)
    }

    /// Hosts that have had no lease for so long that they are to be fenced, when this host leads. From here on none of
    /// them gets one in its present epoch.
    ///
    /// # Errors
    /// `internal` when the state can't be read.
    pub async fn to_fence(&self) -> Result<Vec<ToFence>, Problem> {
        let (leases, metrics) = (&self.0.leases, self.0.engine.metrics());
        if !engine::leads(&metrics) {
            return Ok(Vec::new());
        }
        let Some(members) = members(&self.0.engine).await.map_err(read_failed)? else {
            return Ok(Vec::new());
        };
        let (term, now) = (metrics.current_term, leases.now());
        let leader = self.node();
        let others = members.into_iter().filter(|member| member.active && member.node != leader);
        let due = leases.grants().stop(term, others, now);
        Ok(due.into_iter().map(|Member { host, epoch, .. }| ToFence { host, epoch, leader, term }).collect())
    }
}

/// The hosts that run machines; `None` below the level that knows leases.
async fn members(engine: &Engine) -> Result<Option<Vec<Member>>, StateError> {
    engine.state().writer.run(|db| of_rows(db, || membership::all(db))).await
}

/// This host among them. Every host asks this often, so it reads one row.
async fn own(engine: &Engine) -> Result<Option<Member>, StateError> {
    let (host, node) = (engine.state().own.host.to_string(), engine.node());
    let members =
        engine.state().writer.run(move |db| of_rows(db, || membership::rows(db, "id = ?1", [host])));
    Ok(members.await?.into_iter().flatten().find(|member| member.node == node))
}

fn of_rows(
    db: &Connection,
    hosts: impl FnOnce() -> Result<Vec<Host>, StateError>,
) -> Result<Option<Vec<Member>>, StateError> {
    if schema::level(db)? < LEASES {
        return Ok(None);
    }
    let hosts = hosts()?;
    let member = |host: Host| {
        let active = host.spec.state == HostState::Active;
        Some(Member { host: host.id, node: host.spec.node?, epoch: host.spec.fence_epoch, active })
    };
    let runs_machines = |host: &Host| host.spec.role == HostRole::Host;
    Ok(Some(hosts.into_iter().filter(runs_machines).filter_map(member).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fenced_host_has_stopped_whatever_its_clock_does() {
        let terms = Terms::default();
        assert!(terms.hold());
        let late = Terms { watchdog: Duration::from_secs(15), ..terms };
        assert!(!late.hold(), "30 s by a slow clock are more than 30 s by a fast one");
        assert!(!Terms { renew: Duration::from_secs(5), ..terms }.hold(), "one lost renew ends a lease");
    }
}
