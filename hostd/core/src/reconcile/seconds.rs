//! Load of machines that somebody looks at, every second; of others nobody asks for more than a point every five.

use super::samples::vm_rates;
use super::{Reconcile, Summary};
use crate::Core;
use hostd_types::*;
use hostd_virt::SeenLoad;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time between two points.
const EVERY: Duration = Duration::from_secs(1);
/// Points kept of a machine: two minutes.
const KEPT: usize = 120;
/// A machine nobody asked about for so long is not measured any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);
/// Statistics that take longer than this are left out.
const WITHIN: Duration = Duration::from_secs(4);

#[derive(Debug)]
struct Watched {
    asked: Instant,
    before: Option<(Instant, SeenLoad)>,
    points: VecDeque<VmSample>,
}

/// The machines somebody looks at, and their last two minutes.
#[derive(Debug, Default)]
pub(crate) struct Seconds(Mutex<HashMap<VmId, Watched>>);

impl Seconds {
    fn watched(&self) -> MutexGuard<'_, HashMap<VmId, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was measured of a machine, newest last; from now on it is measured, until nobody asks any more.
    pub fn look(&self, vm: VmId, now: Instant) -> Vec<VmSample> {
        let mut watched = self.watched();
        let fresh = || Watched { asked: now, before: None, points: VecDeque::new() };
        let one = watched.entry(vm).or_insert_with(fresh);
        one.asked = now;
        one.points.iter().copied().collect()
    }

    /// Whom somebody still looks at.
    fn wanted(&self, now: Instant) -> HashSet<VmId> {
        let mut watched = self.watched();
        watched.retain(|_, one| now.saturating_duration_since(one.asked) < FORGOTTEN_AFTER);
        watched.keys().copied().collect()
    }

    fn add(&self, load: SeenLoad, now: Instant, unix: i64) {
        let mut watched = self.watched();
        let Some(one) = watched.get_mut(&load.vm) else { return };
        if let Some((at, before)) = &one.before {
            if one.points.len() == KEPT {
                one.points.pop_front();
            }
            one.points.push_back(vm_rates(before, &load, now.saturating_duration_since(*at), unix));
        }
        one.before = Some((now, load));
    }
}

/// Takes the points.
pub(super) struct LiveLoads {
    core: Core,
}

impl LiveLoads {
    pub fn new(core: &Core) -> Self {
        Self { core: core.clone() }
    }
}

impl Reconcile for LiveLoads {
    fn name(&self) -> &'static str {
        "live loads"
    }
    fn period(&self) -> Duration {
        EVERY
    }
    async fn run(&mut self) -> Result<Summary, Problem> {
        let seconds = &self.core.0.seconds;
        let wanted = seconds.wanted(Instant::now());
        if wanted.is_empty() {
            return Ok(Summary::default());
        }
        // The link's own state is shown elsewhere; here there is just no point.
        let Ok(Ok(loads)) = tokio::time::timeout(WITHIN, self.core.0.hypervisor.loads_of(wanted)).await
        else {
            return Ok(Summary::default());
        };
        let (now, unix) = (Instant::now(), Timestamp::now().unix());
        for load in loads {
            seconds.add(load, now, unix);
        }
        // `checked` stays 0: a rest after it would make seconds longer.
        Ok(Summary::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(vm: VmId, cpu_ns: u64) -> SeenLoad {
        let (read_bytes, write_bytes, rx_bytes, tx_bytes) = (0, 0, 0, 0);
        SeenLoad { vm, cpu_ns, cpus: 1, memory_rss: 1, read_bytes, write_bytes, rx_bytes, tx_bytes }
    }

    #[test]
    fn who_is_looked_at_is_measured_for_two_minutes_and_then_forgotten() {
        let (seconds, begun) = (Seconds::default(), Instant::now());
        let (seen, unseen) = (VmId::new(), VmId::new());
        assert!(seconds.look(seen, begun).is_empty() && seconds.wanted(begun).contains(&seen));
        for s in 0..=2 * KEPT as u64 {
            let now = begun + Duration::from_secs(s);
            seconds.add(load(seen, s * 500_000_000), now, s as i64);
            seconds.add(load(unseen, s), now, s as i64);
        }
        let points = seconds.look(seen, begun);
        assert_eq!((points.len(), points[KEPT - 1].at), (KEPT, 2 * KEPT as i64));
        assert!((points[0].cpu - 0.5).abs() < 1e-9, "half of its one CPU");
        assert!(seconds.look(unseen, begun).is_empty(), "nobody had looked");
        assert!(seconds.wanted(begun + FORGOTTEN_AFTER).is_empty());
        assert!(seconds.look(seen, begun).is_empty(), "its points went with the interest in them");
    }
}
