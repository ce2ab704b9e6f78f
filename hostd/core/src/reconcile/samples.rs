//! Load of the host and its machines, every five seconds, kept for half an hour in memory; of machines a mean a minute
//! for a day on the disk.

use super::minutes::Gathered;
use super::{Reconcile, Summary};
use crate::Core;
use crate::error::internal;
use crate::facts::{Counters, rates};
use hostd_types::*;
use hostd_virt::SeenLoad;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time between two samples.
const EVERY: Duration = Duration::from_secs(5);
/// Samples kept: half an hour.
const KEPT: usize = 360;
/// Statistics that take longer than this are left out.
const LOADS_WITHIN: Duration = Duration::from_secs(4);

#[derive(Debug, Default)]
struct Series {
    host: VecDeque<HostSample>,
    vms: HashMap<VmId, VecDeque<VmSample>>,
}

/// The samples kept.
#[derive(Debug, Default)]
pub(crate) struct History(Mutex<Series>);

impl History {
    fn series(&self) -> MutexGuard<'_, Series> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Of the host, newest last.
    pub fn host(&self) -> Vec<HostSample> {
        self.series().host.iter().copied().collect()
    }
    /// The newest of the host.
    pub fn latest(&self) -> Option<HostSample> {
        self.series().host.back().copied()
    }
    /// Of a machine, newest last.
    pub fn vm(&self, vm: VmId) -> Vec<VmSample> {
        self.series().vms.get(&vm).map(|points| points.iter().copied().collect()).unwrap_or_default()
    }
    fn add_host(&self, sample: HostSample) {
        push(&mut self.series().host, sample);
    }
    fn add_vm(&self, vm: VmId, sample: VmSample) {
        push(self.series().vms.entry(vm).or_default(), sample);
    }
    /// Forgets machines whose newest point is older than the series is long.
    fn forget_old(&self, now: i64) {
        let oldest = now - (KEPT as i64) * (EVERY.as_secs() as i64);
        self.series().vms.retain(|_, points| points.back().is_some_and(|point| point.at > oldest));
    }
}

fn push<T>(points: &mut VecDeque<T>, point: T) {
    if points.len() == KEPT {
        points.pop_front();
    }
    points.push_back(point);
}

/// Takes the samples.
pub(super) struct Samples {
    core: Core,
    counters: Counters,
    loads: HashMap<VmId, (Instant, SeenLoad)>,
    gathered: Gathered,
}

impl Samples {
    pub fn new(core: &Core) -> Self {
        Self {
            core: core.clone(),
            counters: Counters::read(),
            loads: HashMap::new(),
            gathered: Gathered::default(),
        }
    }

    /// Writes what a minute came to, and forgets machines that are gone.
    async fn keep(&self, means: Vec<(VmId, VmSample)>) -> Result<(), Problem> {
        let vms = self.core.store().vms_on(self.core.host()).await?.into_iter().map(|vm| vm.id).collect();
        let minutes = self.core.0.minutes.clone();
        let written =
            tokio::task::spawn_blocking(move || minutes.write(&means).and_then(|()| minutes.keep(&vms)));
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(internal("The history of machines can't be written", error)),
            Err(error) => Err(internal("The history of machines can't be written", error)),
        }
    }

    async fn sample_vms(&mut self, unix: i64) -> usize {
        let seen = match tokio::time::timeout(LOADS_WITHIN, self.core.0.hypervisor.loads()).await {
            Ok(Ok(seen)) => seen,
            // The link's own state is shown elsewhere; here there is just no sample.
            Ok(Err(_)) | Err(_) => return 0,
        };
        let now = Instant::now();
        let mut next = HashMap::with_capacity(seen.len());
        for load in seen {
            let vm = load.vm;
            if let Some((at, before)) = self.loads.get(&vm) {
                let sample = vm_rates(before, &load, now.saturating_duration_since(*at), unix);
                self.gathered.add(vm, &sample);
                self.core.0.history.add_vm(vm, sample);
                self.core.0.live.tell(Kind::Vm, vm);
            }
            next.insert(vm, (now, load));
        }
        self.loads = next;
        self.loads.len()
    }
}

pub(super) fn vm_rates(before: &SeenLoad, now: &SeenLoad, passed: Duration, unix: i64) -> VmSample {
    let seconds = passed.as_secs_f64().max(0.001);
    let per_second = |a: u64, b: u64| b.saturating_sub(a) as f64 / seconds;
    let cpu = per_second(before.cpu_ns, now.cpu_ns) / 1e9 / f64::from(now.cpus.max(1));
    VmSample {
        at: unix,
        cpu: cpu.clamp(0.0, 1.0),
        memory_rss: now.memory_rss,
        read_bps: per_second(before.read_bytes, now.read_bytes),
        write_bps: per_second(before.write_bytes, now.write_bytes),
        rx_bps: per_second(before.rx_bytes, now.rx_bytes),
        tx_bps: per_second(before.tx_bytes, now.tx_bytes),
    }
}

impl Reconcile for Samples {
    fn name(&self) -> &'static str {
        "samples"
    }
    fn period(&self) -> Duration {
        EVERY
    }
    async fn run(&mut self) -> Result<Summary, Problem> {
        let (now, unix) = (Counters::read(), Timestamp::now().unix());
        self.core.0.history.add_host(rates(&self.counters, &now, unix));
        self.counters = now;
        self.core.0.live.tell(Kind::Host, self.core.host());
        if let Some(means) = self.gathered.begin(unix) {
            self.keep(means).await?;
        }
        let vms = self.sample_vms(unix).await;
        self.core.0.history.forget_old(unix);
        if !self.core.is_witness()
            && let Err(error) = self.core.0.hypervisor.trim_serial_logs().await
        {
            tracing::warn!(%error, "serial logs grow");
        }
        Ok(Summary { checked: vms + 1, ..Summary::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_an_hour_is_kept_and_old_machines_are_forgotten() {
        let history = History::default();
        let vm = VmId::new();
        for at in 0..2 * KEPT as i64 {
            history.add_host(HostSample { at, ..HostSample::default() });
            history.add_vm(vm, VmSample { at, ..VmSample::default() });
        }
        assert_eq!(history.host().len(), KEPT);
        assert_eq!(history.latest().map(|s| s.at), Some(2 * KEPT as i64 - 1));
        history.forget_old(2 * KEPT as i64);
        assert_eq!(history.vm(vm).len(), KEPT);
        history.forget_old(100_000);
        assert!(history.vm(vm).is_empty());
    }
}
