//! The network between simulated hosts: frames take their time, get lost, arrive twice, and whole ways are cut.

use super::dice::Dice;
use super::tally::Tally;
use futures_util::future::BoxFuture;
use hostd_cluster::{Carrier, CarryError, Cluster, Lane};
use hostd_types::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// A moment of the world, in microseconds since its beginning.
pub type Moment = u64;

type Caller = oneshot::Sender<Result<Vec<u8>, CarryError>>;

/// Something under way, by the numbers of the hosts it goes between.
pub enum Packet {
    Question { from: usize, node: NodeId, to: NodeId, frame: Vec<u8>, caller: Option<Caller> },
    Answer { from: usize, to: usize, bytes: Result<Vec<u8>, CarryError>, caller: Caller },
}

/// Everything under way; cheap to clone.
#[derive(Clone)]
pub struct Air(Arc<Mutex<Inner>>);

struct Inner {
    dice: Dice,
    tally: Tally,
    packets: BTreeMap<(Moment, u64), Packet>,
    sent: u64,
    /// Ways that are cut, from and to.
    cut: BTreeSet<(usize, usize)>,
    /// Of a thousand packets so many are lost.
    loss: u64,
    /// Longest way, milliseconds.
    slowest: u64,
    /// Callers that nobody will answer: they wait until they give up.
    lost: Vec<Caller>,
}

impl Air {
    pub fn new(dice: Dice, tally: Tally) -> Self {
        let (packets, cut, lost) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        Self(Arc::new(Mutex::new(Inner { dice, tally, packets, sent: 0, cut, loss: 0, slowest: 6, lost })))
    }

    pub fn cut(&self, from: usize, to: usize) {
        self.0.lock().unwrap().cut.insert((from, to));
    }

    pub fn weather(&self, loss: u64, slowest: u64) {
        let mut air = self.0.lock().unwrap();
        (air.loss, air.slowest) = (loss, slowest);
    }

    pub fn heal(&self) {
        self.0.lock().unwrap().cut.clear();
        self.weather(0, 6);
    }

    pub fn is_cut(&self, from: usize, to: usize) -> bool {
        self.0.lock().unwrap().cut.contains(&(from, to))
    }

    /// When the next packet arrives.
    pub fn next(&self) -> Option<Moment> {
        self.0.lock().unwrap().packets.keys().next().map(|(at, _)| *at)
    }

    /// Packets that have arrived by `now`.
    pub fn arrived(&self, now: Moment) -> Vec<Packet> {
        let mut air = self.0.lock().unwrap();
        air.lost.retain(|caller| !caller.is_closed());
        let later = air.packets.split_off(&(now + 1, 0));
        std::mem::replace(&mut air.packets, later).into_values().collect()
    }

    /// Nobody will answer: the caller is told, or waits in vain.
    pub fn fail(&self, caller: Option<Caller>) {
        let mut air = self.0.lock().unwrap();
        let Some(caller) = caller else { return };
        if air.dice.once_in(2) {
            air.lost.push(caller);
        } else {
            // It may have stopped waiting.
            let _ = caller.send(Err(CarryError::Unreachable("cut".into())));
        }
    }

    pub fn send(&self, at: Moment, packet: Packet) {
        let mut air = self.0.lock().unwrap();
        if air.dice.number(0..1000) < air.loss {
            air.tally.add("frames lost");
            drop(air);
            let caller = match packet {
                Packet::Question { caller, .. } => caller,
                Packet::Answer { caller, .. } => Some(caller),
            };
            return self.fail(caller);
        }
        let air = &mut *air;
        let longest = air.slowest * 1000;
        // Now and then something arrives twice, as it does when a sender tries again too early.
        if let Packet::Question { from, node, to, frame, .. } = &packet
            && air.dice.once_in(50)
        {
            air.tally.add("frames that came twice");
            let again =
                Packet::Question { from: *from, node: *node, to: *to, frame: frame.clone(), caller: None };
            let due = at + air.dice.number(500..longest * 2);
            air.sent += 1;
            air.packets.insert((due, air.sent), again);
        }
        let due = at + air.dice.number(500..longest);
        air.sent += 1;
        air.packets.insert((due, air.sent), packet);
    }
}

/// The clock of a running host against the world's: it may be a little fast or slow, and stands still while the host
/// sleeps. Clones are the same clock.
#[derive(Clone)]
pub struct Clock {
    pub base: Instant,
    /// The world's moment at `base`, later by every sleep.
    pub since: Arc<AtomicU64>,
    /// Millionths of a second of the host in a second of the world.
    pub rate: u64,
}

impl Clock {
    /// The moment it is, asked on the host.
    pub fn now(&self) -> Moment {
        let passed = Instant::now().saturating_duration_since(self.base).as_micros();
        let passed = u64::try_from(passed * 1_000_000 / u128::from(self.rate)).expect("histories are short");
        self.since.load(Ordering::Relaxed) + passed
    }

    /// What the host's clock shows at `moment`.
    pub fn at(&self, moment: Moment) -> Instant {
        let passed = u128::from(moment.saturating_sub(self.since.load(Ordering::Relaxed)));
        let passed = passed * u128::from(self.rate) / 1_000_000;
        self.base + Duration::from_micros(u64::try_from(passed).expect("histories are short"))
    }

    /// It stood still for so long.
    pub fn stood(&self, micros: u64) {
        self.since.fetch_add(micros, Ordering::Relaxed);
    }
}

/// A running host's way into the air.
pub struct Radio {
    pub number: usize,
    pub clock: Clock,
    pub air: Air,
    /// The identity it has in the log; another one after it has moved into another group.
    pub node: Arc<Mutex<NodeId>>,
    pub cluster: Arc<Mutex<Option<Cluster>>>,
}

impl Carrier for Radio {
    fn call(
        &self,
        to: NodeId,
        _lane: Lane,
        frame: Vec<u8>,
        _within: Duration,
    ) -> BoxFuture<'_, Result<Vec<u8>, CarryError>> {
        Box::pin(async move {
            let (caller, answered) = oneshot::channel();
            let opened = self.cluster.lock().unwrap().as_ref().map(Cluster::node);
            let node = opened.unwrap_or(*self.node.lock().unwrap());
            let question = Packet::Question { from: self.number, node, to, frame, caller: Some(caller) };
            self.air.send(self.clock.now(), question);
            answered.await.unwrap_or_else(|_| Err(CarryError::Unreachable("broken off".into())))
        })
    }
}
