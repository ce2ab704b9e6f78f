//! A simulated host: a directory, and while it is on a runtime of its own whose clock the world moves.

use super::Flaw;
use super::air::{Air, Clock, Moment, Radio};
use super::dice::Dice;
use super::platter::{Platter, Wreck};
use hostd_cluster::simulation::{Glance, Sight};
use hostd_cluster::{Cluster, Pace, Settings, Terms};
use hostd_types::{HostId, NodeId};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

/// One host.
pub struct Host {
    pub number: usize,
    pub id: HostId,
    pub name: String,
    pub dir: PathBuf,
    pub node: Arc<Mutex<NodeId>>,
    pub platter: Platter,
    rate: u64,
    terms: Terms,
    /// How far its wall clock is off, seconds.
    pub wrong: i64,
    still: Option<Still>,
    running: Option<Running>,
    wreck: Option<Wreck>,
    /// When it is switched on again.
    pub returns: Option<Moment>,
}

/// A host that does nothing for a while.
struct Still {
    since: Moment,
    until: Moment,
    /// The whole machine sleeps and its clock with it; otherwise the process is stopped and finds that time has passed.
    sleeps: bool,
}

/// What a host is while it is on.
struct Running {
    cluster: Arc<Mutex<Option<Cluster>>>,
    failed: Arc<Mutex<Option<String>>>,
    /// It is busy moving from one group into another.
    moving: Arc<AtomicBool>,
    runtime: Runtime,
    clock: Clock,
    /// The last entry that it was seen to have applied, and to have.
    seen: (u64, u64),
    glance: Glance,
}

impl Drop for Running {
    fn drop(&mut self) {
        // The radio has it, and it has the radio; whoever holds the cluster keeps its files open.
        drop(self.cluster.lock().unwrap().take());
    }
}

fn settings(terms: Terms) -> Settings {
    let pace = Pace {
        candidate_after: Duration::from_millis(500),
        replace_after: Duration::from_secs(4),
        look_every: Duration::from_millis(300),
        ..Pace::default()
    };
    Settings {
        snapshot_entries: 50,
        keep_entries: 20,
        reserve_bytes: 4096,
        pace,
        terms,
        ..Settings::default()
    }
}

impl Host {
    pub fn new(number: usize, root: &Path, dice: &Dice, flaw: Flaw) -> Self {
        let (id, name) = (HostId::from_uuid(dice.uuid()), format!("h{number}"));
        let dir = root.join(&name);
        std::fs::create_dir(&dir).unwrap();
        know_itself(&dir, id);
        Self {
            number,
            id,
            name,
            node: Arc::new(Mutex::new(NodeId(0))),
            platter: Platter::new(&dir, dice.clone(), flaw),
            dir,
            // A clock is wrong by a hundredth at most.
            rate: 1_000_000 - 10_000 + dice.number(0..20_001),
            terms: super::leases::terms(flaw),
            wrong: 0,
            still: None,
            running: None,
            wreck: None,
            returns: None,
        }
    }

    pub fn is_on(&self) -> bool {
        self.running.is_some()
    }

    /// Its cluster, once it is open.
    pub fn cluster(&self) -> Option<Cluster> {
        self.running.as_ref()?.cluster.lock().unwrap().clone()
    }

    /// Why it could not open its state.
    pub fn failed(&self) -> Option<String> {
        self.running.as_ref()?.failed.lock().unwrap().clone()
    }

    /// The identity it has in the log.
    pub fn node(&self) -> NodeId {
        *self.node.lock().unwrap()
    }

    pub fn switch_on(&mut self, now: Moment, air: &Air) {
        self.platter.recover(self.wreck.take());
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let base = runtime.block_on(async { Instant::now() });
        let clock = Clock { base, since: Arc::new(AtomicU64::new(now)), rate: self.rate };
        let (cluster, failed) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(None)));
        let (number, air, node) = (self.number, air.clone(), self.node.clone());
        let radio = Arc::new(Radio {
            number,
            clock: clock.clone(),
            air,
            node: node.clone(),
            cluster: cluster.clone(),
        });
        let (dir, disk) = (self.dir.clone(), Arc::new(self.platter.clone()));
        let (slot, why, terms) = (cluster.clone(), failed.clone(), self.terms);
        runtime.spawn(async move {
            match Cluster::open_simulated(&dir, settings(terms), radio, disk).await {
                Ok(open) => {
                    *node.lock().unwrap() = open.node();
                    *slot.lock().unwrap() = Some(open);
                }
                Err(error) => *why.lock().unwrap() = Some(format!("{error:?}")),
            }
        });
        let moving = Arc::default();
        self.running = Some(Running {
            cluster,
            failed,
            moving,
            runtime,
            clock,
            seen: (0, 0),
            glance: Glance::default(),
        });
    }

    /// The power goes.
    pub fn cut_power(&mut self) {
        self.still = None;
        self.wreck = Some(self.platter.cut_power());
        self.running = None;
    }

    /// Stops as a daemon that is asked to; false when it does not.
    pub fn shut_down(&mut self) -> bool {
        self.still = None;
        let Some(running) = self.running.take() else { return true };
        let cluster = running.cluster.lock().unwrap().take();
        cluster.is_none_or(|cluster| {
            let stopped = async { tokio::time::timeout(Duration::from_secs(60), cluster.shutdown()).await };
            running.runtime.block_on(stopped).is_ok()
        })
    }

    /// Moving begins, unless it is under way.
    pub fn begin(&self) -> bool {
        self.running.as_ref().is_some_and(|running| !running.moving.swap(true, Ordering::Relaxed))
    }

    /// What ends the moving that began.
    pub fn end(&self) -> impl FnOnce() + Send + 'static {
        let moving = self.running.as_ref().map(|running| running.moving.clone()).unwrap_or_default();
        move || moving.store(false, Ordering::Relaxed)
    }

    pub fn is_moving(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.moving.load(Ordering::Relaxed))
    }

    /// How consensus stands on it, when there is anything new.
    pub fn sight(&mut self, cluster: &Cluster) -> Option<Sight> {
        cluster.sight(&mut self.running.as_mut()?.glance)
    }

    /// The last entry that it was seen to have applied, and to have, since it was switched on.
    pub fn seen(&mut self) -> Option<&mut (u64, u64)> {
        self.running.as_mut().map(|running| &mut running.seen)
    }

    /// It does nothing from `now` on until `until`; see [`Still`].
    pub fn stand_still(&mut self, since: Moment, until: Moment, sleeps: bool) {
        self.still.get_or_insert(Still { since, until, sleeps });
    }

    /// It goes on at `now` at the latest.
    pub fn go_on(&mut self, now: Moment) {
        if let Some(still) = &mut self.still {
            still.until = still.until.min(now);
        }
    }

    /// Lets it live until `moment`.
    pub fn live(&mut self, moment: Moment) {
        let Some(Running { runtime, clock, .. }) = &self.running else { return };
        if self.still.as_ref().is_some_and(|still| still.until > moment) {
            return;
        }
        if let Some(Still { since, sleeps, .. }) = self.still.take() {
            if sleeps {
                clock.stood(moment.saturating_sub(since));
            } else {
                let now = clock.at(moment);
                // All timers that are due by now fire at once, late.
                runtime.block_on(async { tokio::time::advance(now - Instant::now()).await });
            }
        }
        let until = clock.at(moment);
        runtime.block_on(async { tokio::time::sleep_until(until).await });
    }

    /// The moment by this host's own clock, for what it sends.
    pub fn clock(&self) -> Option<Clock> {
        self.running.as_ref().map(|running| running.clock.clone())
    }

    /// Asks something that looks at the host's own clock.
    pub fn by_its_clock<T>(&self, ask: impl FnOnce() -> T) -> T {
        let _here = self.running.as_ref().map(|running| running.runtime.enter());
        ask()
    }

    /// Has the host do something.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(running) = &self.running {
            running.runtime.spawn(work);
        }
    }
}

/// Gives the host the identity that the history drew for it.
fn know_itself(dir: &Path, id: HostId) {
    let db = rusqlite::Connection::open(dir.join("local.db")).unwrap();
    db.execute_batch("CREATE TABLE local (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID").unwrap();
    db.execute("INSERT INTO local (key, value) VALUES ('host.id', ?1)", [id.to_string()]).unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
}
