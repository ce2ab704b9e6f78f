//! What is going on, on one screen.

use super::Answer;
use crate::chart::{Chart, Meter};
use crate::deep::Deep;
use crate::filters;
use crate::page::{answer, page};
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use hostd_core::{ClusterView, Condition, HostView, Liveness};
use hostd_types::{Event, ListParams, Task, Vm};
use std::collections::BTreeMap;

/// The overview.
#[derive(Template)]
#[template(path = "overview.html")]
pub(crate) struct OverviewPage {
    pub(crate) layout: Layout,
    pub(crate) host: HostView,
    pub(crate) counts: BTreeMap<String, u64>,
    pub(crate) vms: Vec<Vm>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) events: Vec<Event>,
    pub(crate) charts: Vec<Chart>,
    pub(crate) images: u64,
    /// Of the cluster, when there are several hosts.
    pub(crate) totals: Option<Totals>,
}
page!(OverviewPage);

/// What the hosts of a cluster have together, of those that told.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Totals {
    pub(crate) name: String,
    pub(crate) hosts: u64,
    pub(crate) up: u64,
    pub(crate) threads: u64,
    pub(crate) cpu: f64,
    pub(crate) memory_used: u64,
    pub(crate) memory: u64,
    pub(crate) pool_free: u64,
    pub(crate) pool: u64,
}

impl Totals {
    /// Those of `view`; none for a lone host, or one that was removed: nobody tells it anything. What a host that does not answer told last does not count.
    pub(crate) fn of(view: &ClusterView) -> Option<Self> {
        if view.members.len() < 2 || view.condition == Condition::Removed {
            return None;
        }
        let mut sum = Self {
            name: view.cluster.as_ref().map(|c| c.spec.name.clone()).unwrap_or_default(),
            hosts: view.members.len() as u64,
            ..Self::default()
        };
        for member in view.members.iter().filter(|m| m.liveness == Liveness::Up) {
            sum.up += 1;
            let Some(pulse) = &member.pulse else { continue };
            let sample = pulse.sample.unwrap_or_default();
            sum.threads += u64::from(pulse.threads);
            sum.cpu += sample.cpu * f64::from(pulse.threads);
            sum.memory_used += sample.memory_used;
            sum.memory += pulse.memory_bytes;
            if let Some(pool) = &pulse.pool {
                sum.pool_free += pool.free_bytes;
                sum.pool += pool.total_bytes;
            }
        }
        sum.cpu /= (sum.threads as f64).max(1.0);
        Some(sum)
    }
    /// Hosts that do not answer.
    fn silent(&self) -> u64 {
        self.hosts - self.up
    }
}

impl OverviewPage {
    /// Machines in all.
    fn machines(&self) -> u64 {
        self.counts.values().sum()
    }
    /// Machines in a state.
    fn counted(&self, state: &str) -> u64 {
        self.counts.get(state).copied().unwrap_or(0)
    }
    /// Share of the processors' time in use.
    fn cpu(&self) -> Option<f64> {
        self.host.latest.map(|s| s.cpu)
    }
    /// Memory in use, bytes.
    fn memory_used(&self) -> Option<u64> {
        self.host.latest.map(|s| s.memory_used)
    }
    /// A bar of `part` in `whole`.
    fn bar(&self, label: &str, part: impl Deep<u64>, whole: impl Deep<u64>) -> Meter {
        Meter::new(label, crate::units::share(part, whole))
    }
}

/// `GET /`
pub(crate) async fn show(visit: Visit) -> Answer {
    let core = &visit.core;
    let few = |limit| ListParams { limit: Some(limit), ..ListParams::default() };
    let running = ListParams { state: Some("running".into()), ..few(6) };
    let host = core.host_view(core.host()).await.or_page(&visit)?;
    let samples = core.own_samples();
    let charts = vec![
        Chart::host_cpu(&samples),
        Chart::host_memory(&samples, host.facts.memory_bytes),
        Chart::host_network(&samples),
    ];
    Ok(answer(&OverviewPage {
        layout: visit.layout("overview", Section::Overview, "Overview").watching("vm task host image event"),
        counts: core.vm_counts().await.or_page(&visit)?,
        vms: core.vms(&running).await.or_page(&visit)?.items,
        tasks: core.tasks(&few(5)).await.or_page(&visit)?.items,
        events: core.events(&few(6), None).await.or_page(&visit)?.items,
        images: core.images(&few(1)).await.or_page(&visit)?.total,
        totals: Totals::of(visit.cluster()?),
        host,
        charts,
    }))
}
