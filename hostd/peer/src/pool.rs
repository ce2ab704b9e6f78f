//! One connection for each node and lane, shared by all who call, made when it is first wanted.
//!
//! While the connection is being made, callers wait as long as they want to. After a failure the next attempt has to
//! wait, twice as long each time. Callers wait with it the first time, as a peer may just have been restarted; from the
//! second failure on they get the failure at once, also while another attempt is made, so that a host that is off makes
//! no page slow.

use crate::LinkError;
use crate::calls::Calls;
use crate::dial::dial;
use crate::frame::Purpose;
use crate::link::Lane;
use crate::shared::Shared;
use hostd_types::NodeId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// The wait after the first failure, and the longest.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// A connection that ended within this time counts as a failure.
const SHORT_LIFE: Duration = Duration::from_secs(2);

/// The connections.
#[derive(Default)]
pub(crate) struct Pool(Mutex<HashMap<(NodeId, Lane), Arc<Slot>>>);

/// The place of one connection.
struct Slot {
    state: watch::Sender<State>,
}

#[derive(Clone)]
struct State {
    stage: Stage,
    /// Failures since the last success.
    failures: u32,
}

#[derive(Clone)]
enum Stage {
    Idle,
    /// `last` is what callers get meanwhile; without it they wait.
    Connecting {
        last: Option<LinkError>,
    },
    Up(Arc<Calls>),
    Down {
        until: Instant,
        why: LinkError,
    },
    Removed(String),
}

impl Pool {
    /// The connection to a node; made, or waited for until `deadline`, when there is none.
    pub async fn get(
        &self,
        shared: &Arc<Shared>,
        to: NodeId,
        lane: Lane,
        deadline: Instant,
    ) -> Result<Arc<Calls>, LinkError> {
        let slot = self.slots().entry((to, lane)).or_insert_with(Slot::new).clone();
        let mut states = slot.state.subscribe();
        loop {
            let State { stage, failures } = states.borrow_and_update().clone();
            let wait = match stage {
                Stage::Up(calls) => match calls.ended() {
                    None => return Ok(calls),
                    Some(why) => {
                        slot.lose(&calls, why);
                        continue;
                    }
                },
                Stage::Removed(text) => return Err(LinkError::Removed(text)),
                Stage::Idle => {
                    slot.begin(shared, to, lane);
                    continue;
                }
                Stage::Down { until, .. } if until <= Instant::now() => {
                    slot.begin(shared, to, lane);
                    continue;
                }
                Stage::Down { until, why } if failures > 1 || until >= deadline => return Err(why),
                Stage::Down { until, .. } => until,
                Stage::Connecting { last: Some(why) } => return Err(why),
                Stage::Connecting { last: None } => deadline,
            };
            let changed = timeout_at(wait, states.changed()).await;
            if changed.is_err() && Instant::now() >= deadline {
                return Err(LinkError::Unreachable("no connection in time".into()));
            }
        }
    }

    /// Tries the node again at once when it is wanted: something about it changed for the better.
    pub fn nudge(&self, node: NodeId) {
        for slot in [Lane::Consensus, Lane::Work].map(|lane| self.slots().get(&(node, lane)).cloned()) {
            slot.inspect(|slot| slot.nudge());
        }
    }

    /// Forgets all failures and removals: this host is somebody else now.
    pub fn reset(&self) {
        for slot in self.slots().values() {
            slot.state.send_if_modified(|state| {
                let failed = match &state.stage {
                    Stage::Down { .. } | Stage::Removed(_) => true,
                    // Why it ended was said to who this host was, and may be that it was removed.
                    Stage::Up(calls) => calls.ended().is_some(),
                    Stage::Idle | Stage::Connecting { .. } => false,
                };
                if failed {
                    *state = State { stage: Stage::Idle, failures: 0 };
                }
                failed
            });
        }
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<(NodeId, Lane), Arc<Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn new() -> Arc<Self> {
        Arc::new(Self { state: watch::Sender::new(State { stage: Stage::Idle, failures: 0 }) })
    }

    /// Begins an attempt, unless another caller did.
    fn begin(self: &Arc<Self>, shared: &Arc<Shared>, to: NodeId, lane: Lane) {
        let begun = self.state.send_if_modified(|state| {
            let last = match &state.stage {
                Stage::Idle => None,
                Stage::Down { why, .. } => Some(why.clone()).filter(|_| state.failures > 1),
                Stage::Connecting { .. } | Stage::Up(_) | Stage::Removed(_) => return false,
            };
            state.stage = Stage::Connecting { last };
            true
        });
        if begun {
            let (slot, shared) = (self.clone(), shared.clone());
            shared.tasks.clone().spawn(async move { slot.connect(&shared, to, lane).await });
        }
    }

    async fn connect(&self, shared: &Arc<Shared>, to: NodeId, lane: Lane) {
        let purpose = match lane {
            Lane::Consensus => Purpose::Consensus,
            Lane::Work => Purpose::Work,
        };
        let Some(credentials) = shared.credentials() else {
            return self.fail(LinkError::Outside);
        };
        match dial(shared, &credentials, to, purpose).await {
            Ok(io) => {
                let own = shared.clone();
                let calls = Calls::start(io, &credentials.epoch, &shared.tasks, move || own.hear(to));
                self.state.send_modify(|state| state.stage = Stage::Up(calls));
            }
            // The answer to who this host was says nothing about who it is.
            Err(_) if credentials.epoch.is_cancelled() => {
                self.state.send_modify(|state| *state = State { stage: Stage::Idle, failures: 0 });
            }
            Err(why) => self.fail(why),
        }
    }

    /// The connection ended.
    fn lose(&self, calls: &Arc<Calls>, why: LinkError) {
        let current = |state: &State| matches!(&state.stage, Stage::Up(up) if Arc::ptr_eq(up, calls));
        self.state.send_if_modified(|state| {
            let current = current(state);
            if current {
                match why {
                    LinkError::Removed(_) | LinkError::Refused(_) => state.fail(why),
                    _ if calls.since.elapsed() < SHORT_LIFE => state.fail(why),
                    _ => *state = State { stage: Stage::Idle, failures: 0 },
                }
            }
            current
        });
    }

    fn fail(&self, why: LinkError) {
        self.state.send_modify(|state| state.fail(why));
    }

    fn nudge(&self) {
        self.state.send_if_modified(|state| {
            let down = matches!(state.stage, Stage::Down { .. });
            if down {
                *state = State { stage: Stage::Idle, failures: 0 };
            }
            down
        });
    }
}

impl State {
    fn fail(&mut self, why: LinkError) {
        if let LinkError::Removed(text) = why {
            self.stage = Stage::Removed(text);
            return;
        }
        let (first, longest) = BACK_OFF;
        let wait = first.saturating_mul(1 << self.failures.min(10)).min(longest);
        self.failures = self.failures.saturating_add(1);
        let why = match why {
            LinkError::Lost(why) => LinkError::Unreachable(format!("the connection broke: {why}")),
            why => why,
        };
        self.stage = Stage::Down { until: Instant::now() + wait, why };
    }
}
