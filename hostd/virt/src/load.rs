//! What running machines use. A stuck QEMU must not hold up the numbers of the others: CPU time and memory come from
//! the kernel, network counters from libvirt without asking QEMU, and only the disk counters ask QEMU, each machine in
//! a call of its own that nobody waits for long.

use crate::Hypervisor;
use crate::call::QUICK;
use crate::connection::{Shared, locked};
use crate::error::VirtError;
use crate::process::{self, Process, Usage};
use crate::{observe, stats};
use hostd_types::VmId;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;
use virt::connect::Connect;
use virt::error::Error;
use virt_sys as sys;

/// How long the disk counters of all machines together may take; late ones keep their last value.
const DISKS_WITHIN: Duration = Duration::from_millis(1500);

/// What one running machine has used since it started; counters only grow until the machine stops.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenLoad {
    /// The machine.
    pub vm: VmId,
    /// CPU time of its virtual CPUs, ns.
    pub cpu_ns: u64,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Memory of its QEMU process, bytes.
    pub memory_rss: u64,
    /// Bytes read from disks.
    pub read_bytes: u64,
    /// Bytes written to disks.
    pub write_bytes: u64,
    /// Bytes received by its network cards.
    pub rx_bytes: u64,
    /// Bytes sent by its network cards.
    pub tx_bytes: u64,
}

/// What is remembered between two looks.
#[derive(Debug, Default)]
pub(crate) struct Known {
    processes: HashMap<VmId, Process>,
    /// Last bytes read and written.
    disks: HashMap<VmId, (u64, u64)>,
    /// Machines whose disk counters were asked for and have not come yet.
    asked: HashSet<VmId>,
}

impl Known {
    /// Forgets all machines but `vms`.
    fn keep(&mut self, vms: &HashSet<VmId>) {
        self.processes.retain(|vm, _| vms.contains(vm));
        self.disks.retain(|vm, _| vms.contains(vm));
    }
}

/// Network counters of one machine.
struct Traffic {
    vm: VmId,
    cpus: u32,
    rx: u64,
    tx: u64,
}

impl Hypervisor {
    /// The load of every active machine.
    ///
    /// # Errors
    /// When libvirt does not answer.
    pub async fn loads(&self) -> Result<Vec<SeenLoad>, VirtError> {
        let active = self.traffic().await?;
        locked(&self.shared.loads).keep(&active.iter().map(|t| t.vm).collect());
        self.loads_with(active).await
    }

    /// The load of those of `wanted` that are active.
    ///
    /// # Errors
    /// When libvirt does not answer.
    pub async fn loads_of(&self, wanted: HashSet<VmId>) -> Result<Vec<SeenLoad>, VirtError> {
        let mut active = self.traffic().await?;
        active.retain(|traffic| wanted.contains(&traffic.vm));
        self.loads_with(active).await
    }

    async fn traffic(&self) -> Result<Vec<Traffic>, VirtError> {
        let shared = Arc::clone(&self.shared);
        let work = move |connect: &Connect| traffic(&shared, connect);
        self.shared.call(&self.shared.observe, "read the statistics", QUICK, work).await
    }

    async fn loads_with(&self, active: Vec<Traffic>) -> Result<Vec<SeenLoad>, VirtError> {
        let vms: Vec<VmId> = active.iter().map(|t| t.vm).collect();
        ask_disks(&self.shared, &vms).await;
        let shared = Arc::clone(&self.shared);
        let gather = move || put_together(&shared, active);
        tokio::task::spawn_blocking(gather).await.map_err(|e| VirtError::local("read the statistics", e))
    }
}

fn traffic(shared: &Shared, connect: &Connect) -> Result<Vec<Traffic>, Error> {
    let groups = sys::VIR_DOMAIN_STATS_STATE | sys::VIR_DOMAIN_STATS_INTERFACE;
    let records = stats::of_all(connect, groups, sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE)?;
    let mut seen = Vec::with_capacity(records.len());
    for record in records {
        let cpus = match observe::definition_of(shared, connect, record.vm, true) {
            Ok(known) => known.definition.shape.cpus,
            Err(error) if error.code().to_raw() == sys::VIR_ERR_NO_DOMAIN => continue, // gone meanwhile
            Err(error) => return Err(error),
        };
        // libvirt has turned the tap device's view round already: `rx` is what the guest received.
        let (rx, tx) = (record.sum("net", "rx.bytes"), record.sum("net", "tx.bytes"));
        seen.push(Traffic { vm: record.vm, cpus, rx, tx });
    }
    Ok(seen)
}

/// Asks for the disk counters of `vms` that are not being asked for already, and waits a little for the answers.
async fn ask_disks(shared: &Arc<Shared>, vms: &[VmId]) {
    let mut asking = JoinSet::new();
    for &vm in vms {
        if !locked(&shared.loads).asked.insert(vm) {
            continue; // its last question still waits for QEMU
        }
        let shared = Arc::clone(shared);
        asking.spawn(async move {
            let seen = disk_counters(&shared, vm).await;
            let mut known = locked(&shared.loads);
            known.asked.remove(&vm);
            known.disks.extend(seen.map(|s| (vm, s)));
        });
    }
    let all = async { while asking.join_next().await.is_some() {} };
    let in_time = timeout(DISKS_WITHIN, all).await.is_ok();
    if !in_time {
        asking.detach_all();
    }
}

async fn disk_counters(shared: &Shared, vm: VmId) -> Option<(u64, u64)> {
    let permit = Arc::clone(&shared.stats.permits).acquire_owned().await.ok()?;
    let lane = Arc::clone(&shared.stats);
    let ask = move || {
        let _permit = permit;
        lane.run(|connect| {
            let domain = connect.lookup_domain_by_uuid(vm.uuid())?;
            stats::of(&domain, sys::VIR_DOMAIN_STATS_BLOCK, sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT)
        })
    };
    let record = tokio::task::spawn_blocking(ask).await.ok()?.ok()??;
    record.get("block.count")?; // skipped, because another call works on the domain
    Some((record.sum("block", "rd.bytes"), record.sum("block", "wr.bytes")))
}

/// What the QEMU of each of `vms` used; the processes are looked for once, if one is not known.
fn usages(shared: &Shared, vms: &HashSet<VmId>) -> HashMap<VmId, Usage> {
    let mut processes = locked(&shared.loads).processes.clone();
    let used = |processes: &HashMap<VmId, Process>| -> HashMap<VmId, Usage> {
        let known = processes.iter().filter(|(vm, _)| vms.contains(*vm));
        known.filter_map(|(vm, process)| Some((*vm, process.usage()?))).collect()
    };
    let mut usages = used(&processes);
    if usages.len() < vms.len() {
        processes = process::find();
        usages = used(&processes);
    }
    locked(&shared.loads).processes = processes;
    usages
}

fn put_together(shared: &Shared, active: Vec<Traffic>) -> Vec<SeenLoad> {
    let usages = usages(shared, &active.iter().map(|t| t.vm).collect());
    let known = locked(&shared.loads);
    let one = |traffic: Traffic| {
        let usage = usages.get(&traffic.vm).copied().unwrap_or_default();
        let (read_bytes, write_bytes) = known.disks.get(&traffic.vm).copied().unwrap_or_default();
        SeenLoad {
            vm: traffic.vm,
            cpu_ns: usage.cpu_ns,
            cpus: traffic.cpus,
            memory_rss: usage.rss,
            read_bytes,
            write_bytes,
            rx_bytes: traffic.rx,
            tx_bytes: traffic.tx,
        }
    };
    active.into_iter().map(one).collect()
}
