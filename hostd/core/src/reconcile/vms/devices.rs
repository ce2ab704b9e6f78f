//! Devices that come, change and go, and CPUs and memory given while a machine runs.
//!
//! One step at a time for one device: what is kept for the next start is written first, the running machine follows, and when
//! it shows what was asked for the change is done. A crash in between finds the request again and looks.

use super::Waits;
use super::act::Work;
use super::gather::Wanted;
use super::plan::{Disk, Sight, Step, Wait};
use crate::Core;
use crate::error::{disk, virt};
use hostd_types::command::VmCommand;
use hostd_types::*;
use hostd_virt::{DiskSource, DomainPlan, HostSource, NicSource, SeenDomain, VirtError};
use std::time::{Duration, Instant};

/// Time a guest has to let go of a device before the task fails.
const RELEASE: Duration = Duration::from_secs(20);
/// Time before a guest is asked again.
const AGAIN: Duration = Duration::from_secs(60);

/// A change under way, and what is seen of it.
#[derive(Debug, Clone)]
pub(super) struct Change<'a> {
    /// What was asked for.
    pub request: &'a DeviceRequest,
    /// The definition in force has the device.
    pub there: bool,
    /// It has it as wanted.
    pub right: bool,
    /// Such a device comes and goes while the machine runs.
    pub hot: bool,
    /// How far a disk is that is made for it.
    pub disk: Disk,
    /// The wait for what the machine was asked.
    pub wait: Wait,
}

/// Something to give a running machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Live {
    /// So many CPUs.
    Cpus(u32),
    /// So much memory, MiB.
    Memory(u64),
    /// This share of processor time.
    Share(CpuShare),
}

impl Live {
    fn key(self) -> String {
        format!("{self:?}")
    }
}

/// What is seen of the changes of `vm`.
pub(super) fn changes<'a>(
    core: &Core,
    vm: &'a Vm,
    domain: Option<&SeenDomain>,
    plan: Option<&DomainPlan>,
    wanted: &Wanted,
    waits: &Waits,
) -> Vec<Change<'a>> {
    let (Some(domain), Some(plan)) = (domain, plan) else { return Vec::new() };
    let seen = &domain.shape;
    let see = |request: &'a DeviceRequest| {
        let mut change = Change {
            request,
            there: false,
            right: false,
            hot: true,
            disk: Disk::Ready,
            wait: waits.asked(vm.id, &request.task.to_string()),
        };
        let disks = plan.disks.iter().chain(&plan.leaving_disks);
        if let Some(disk) = disks.clone().find(|disk| request.work.is_about_disk(disk.volume)) {
            // Any layer of it: which one is active may have changed since the rows were read.
            let file = format!("{}.", disk.volume);
            let is_of = |path: &std::path::Path| {
                path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&file))
            };
            change.there = seen.disks.iter().any(|there| there.path == disk.path || is_of(&there.path));
            change.hot = disk.bus.hot_plugs();
            change.right = hostd_virt::disk_is_limited(plan, domain, disk);
        }
        let cards = plan.nics.iter().chain(&plan.leaving_nics);
        if let Some(nic) = cards.clone().find(|nic| request.work.is_about_nic(&nic.mac)) {
            let card = seen.nics.iter().find(|card| card.mac.eq_ignore_ascii_case(&nic.mac));
            change.there = card.is_some();
            let limited = hostd_virt::nic_is_limited(plan, domain, &nic.mac);
            change.right =
                limited && card.is_some_and(|c| c.bridge == nic.bridge && c.plugged == nic.plugged);
            change.hot = nic.model.hot_plugs();
        }
        let host_devices = plan.host.devices.iter().chain(&plan.host.leaving);
        if let Some(source) = host_devices.clone().find(|s| request.work.is_about_host_device(&s.device.id)) {
            change.there = seen.host_devices.contains(&source.device.alias());
            change.hot = source.device.hot_plugs();
        }
        if let DeviceWork::AttachDisk { volume, .. } | DeviceWork::GrowDisk { volume, .. } = &request.work {
            change.disk = wanted.disk(core, *volume);
        }
        change
    };
    vm.spec.hardware.changes.iter().map(see).collect()
}

/// What a running machine can be given now.
pub(super) fn live(
    vm: VmId,
    domain: Option<&SeenDomain>,
    plan: Option<&DomainPlan>,
    waits: &Waits,
) -> Option<Live> {
    let (domain, plan) = (domain?, plan?);
    let seen = &domain.shape;
    let asked = |live: &Live| waits.asked(vm, &live.key()) == Wait::Running;
    let cpus = (seen.cpus < plan.cpus && plan.cpus <= seen.cpus_max).then_some(Live::Cpus(plan.cpus));
    let memory = plan.memory_mib.min(seen.memory_max_mib);
    let can_change = memory != seen.memory_mib && !hostd_virt::has_huge_pages(domain);
    let memory = can_change.then_some(Live::Memory(memory));
    let share = plan.options.cpu_share;
    let share = hostd_virt::shares_differ(plan, domain).then_some(Live::Share(share));
    [cpus, memory, share].into_iter().flatten().find(|live| !asked(live))
}

/// The next step about a device; pure.
pub(super) fn plan(sight: &Sight<'_>, state: VmState) -> Option<Step> {
    let on = match state {
        VmState::Off | VmState::Crashed => false,
        VmState::Running | VmState::Paused => true,
        VmState::Starting | VmState::Stopping | VmState::Unknown => return None,
    };
    let name = &sight.vm.spec.name;
    let step = sight.changes.iter().find_map(|change| step(change, on, name));
    step.or_else(|| sight.live.filter(|_| state == VmState::Running).map(Step::Give))
}

fn step(change: &Change<'_>, on: bool, name: &str) -> Option<Step> {
    let Change { request, there, right, hot, disk, wait } = change;
    let end = |end| Some(Step::EndChange(request.task, end));
    let later = |problem| if request.late { None } else { end(ChangeEnd::Later { problem }) };
    let act = || match wait {
        Wait::None => Some(Step::Device { task: request.task, on }),
        Wait::Running => None,
        Wait::Over if request.late => Some(Step::Device { task: request.task, on }),
        Wait::Over => later(Some(refused(&request.work, name))),
    };
    match &request.work {
        DeviceWork::AttachDisk { .. }
        | DeviceWork::AttachNic { .. }
        | DeviceWork::AttachHostDevice { .. } => match disk {
            Disk::Making | Disk::Missing => None,
            Disk::Failed(problem) => end(ChangeEnd::Failed { problem: problem.clone() }),
            Disk::Ready if *there || (on && !hot) => end(ChangeEnd::Done),
            Disk::Ready if on => act(),
            Disk::Ready => None,
        },
        DeviceWork::DetachDisk { .. }
        | DeviceWork::DetachNic { .. }
        | DeviceWork::DetachHostDevice { .. } => match (there, on) {
            (false, _) => end(ChangeEnd::Done),
            (true, true) if *hot => act(),
            (true, true) => later(None),
            (true, false) => None,
        },
        DeviceWork::GrowDisk { .. } => act(),
        DeviceWork::EditDisk { .. } if !on || *right || !there => end(ChangeEnd::Done),
        DeviceWork::EditDisk { .. } => act(),
        DeviceWork::EditNic { .. } if !on || *right => end(ChangeEnd::Done),
        // It waits for its slot until the machine is off.
        DeviceWork::EditNic { .. } if !there => end(ChangeEnd::Done),
        DeviceWork::EditNic { .. } => act(),
    }
}

/// The guest did not do what it was asked in time.
fn refused(work: &DeviceWork, name: &str) -> Problem {
    let seconds = RELEASE.as_secs();
    let detail = match work {
        DeviceWork::DetachDisk { .. }
        | DeviceWork::DetachNic { .. }
        | DeviceWork::DetachHostDevice { .. } => format!(
            "The guest of {name} did not let go of the device within {seconds} s. It goes when the guest lets go of it, at the \
             latest at the next power-off."
        ),
        DeviceWork::AttachDisk { .. }
        | DeviceWork::GrowDisk { .. }
        | DeviceWork::EditDisk { .. }
        | DeviceWork::AttachNic { .. }
        | DeviceWork::EditNic { .. }
        | DeviceWork::AttachHostDevice { .. } => format!(
            "The QEMU of {name} does not answer. The change is tried again, and applies at the latest at the next power-off."
        ),
    };
    Problem::new(ProblemKind::Unavailable, detail)
}

impl Work {
    /// The oldest change that adds something to the definition.
    pub(super) fn addition(&self) -> Option<TaskId> {
        let adds = |request: &&DeviceRequest| match &request.work {
            DeviceWork::AttachDisk { .. }
            | DeviceWork::EditDisk { .. }
            | DeviceWork::AttachNic { .. }
            | DeviceWork::EditNic { .. }
            | DeviceWork::AttachHostDevice { .. } => !request.late,
            DeviceWork::DetachDisk { .. }
            | DeviceWork::DetachNic { .. }
            | DeviceWork::GrowDisk { .. }
            | DeviceWork::DetachHostDevice { .. } => false,
        };
        self.vm.spec.hardware.changes.iter().find(adds).map(|request| request.task)
    }

    /// Reports how a change came out.
    pub(super) async fn end_change(&self, task: TaskId, end: ChangeEnd) -> Result<(), Problem> {
        let failed = matches!(end, ChangeEnd::Failed { .. });
        let changed = VmCommand::Changed { id: self.vm.id, task, end };
        self.core.report(Command::Vm(changed)).await?;
        for request in self.vm.spec.hardware.changes.iter().filter(|r| failed && r.task == task) {
            if let DeviceWork::AttachDisk { volume, .. } = &request.work {
                self.core.0.faults.forget_volume(*volume);
            }
        }
        Ok(())
    }

    fn planned_disk(&self, work: &DeviceWork) -> Result<&DiskSource, Problem> {
        let plan = self.domain_plan()?;
        let mut all = plan.disks.iter().chain(&plan.leaving_disks);
        all.find(|disk| work.is_about_disk(disk.volume)).ok_or_else(gone)
    }

    fn planned_nic(&self, work: &DeviceWork) -> Result<&NicSource, Problem> {
        let plan = self.domain_plan()?;
        let mut all = plan.nics.iter().chain(&plan.leaving_nics);
        all.find(|nic| work.is_about_nic(&nic.mac)).ok_or_else(gone)
    }

    fn planned_host_device(&self, work: &DeviceWork) -> Result<&HostSource, Problem> {
        let plan = self.domain_plan()?;
        let mut all = plan.host.devices.iter().chain(&plan.host.leaving);
        all.find(|source| work.is_about_host_device(&source.device.id)).ok_or_else(gone)
    }

    /// Does what the change `task` needs now.
    pub(super) async fn device(&self, task: TaskId, on: bool) -> Result<(), Problem> {
        let changes = &self.vm.spec.hardware.changes;
        let Some(request) = changes.iter().find(|request| request.task == task) else { return Ok(()) };
        let (hypervisor, id, work) = (&self.core.0.hypervisor, self.vm.id, &request.work);
        let _hold = match work {
            // No merge may take the layer away that is about to be used.
            DeviceWork::AttachDisk { .. } | DeviceWork::GrowDisk { .. } => Some(self.hold_for_start().await?),
            DeviceWork::DetachDisk { .. }
            | DeviceWork::EditDisk { .. }
            | DeviceWork::AttachNic { .. }
            | DeviceWork::EditNic { .. }
            | DeviceWork::DetachNic { .. }
            | DeviceWork::AttachHostDevice { .. }
            | DeviceWork::DetachHostDevice { .. } => None,
        };
        if let DeviceWork::GrowDisk { size_bytes, .. } = work {
            return self.grow(task, self.planned_disk(work)?, *size_bytes, on).await;
        }
        let done = match work {
            DeviceWork::AttachDisk { .. } => hypervisor.plug_disk(id, self.planned_disk(work)?).await,
            DeviceWork::DetachDisk { .. } => hypervisor.unplug_disk(id, self.planned_disk(work)?).await,
            DeviceWork::AttachNic { .. } => hypervisor.plug_nic(id, self.planned_nic(work)?).await,
            DeviceWork::DetachNic { .. } => hypervisor.unplug_nic(id, self.planned_nic(work)?).await,
            DeviceWork::EditNic { .. } => hypervisor.update_nic(id, self.planned_nic(work)?).await,
            DeviceWork::EditDisk { .. } => hypervisor.limit_disk(id, self.planned_disk(work)?).await,
            DeviceWork::AttachHostDevice { .. } => {
                let source = self.planned_host_device(work)?;
                if source.usb.is_none() {
                    let detail = format!("The host has no {} any more.", source.device.described());
                    let problem = Problem::new(ProblemKind::Unavailable, detail);
                    return self.end_change(task, ChangeEnd::Failed { problem }).await;
                }
                hypervisor.plug_host_device(id, source).await
            }
            DeviceWork::DetachHostDevice { .. } => {
                hypervisor.unplug_host_device(id, self.planned_host_device(work)?).await
            }
            DeviceWork::GrowDisk { .. } => Ok(()),
        };
        let patience = if request.late { AGAIN } else { RELEASE };
        self.waits.ask(id, task.to_string(), Instant::now() + patience);
        let doing = format!("The change of {}", self.vm.spec.name);
        match done {
            Ok(()) => Ok(()),
            Err(error) if error.retryable() || asked_before(&error) => Err(virt(&doing, error)),
            // Its task has ended; it is tried again later.
            Err(error) if request.late => Err(virt(&doing, error)),
            Err(error) => {
                let problem = no_slot(&error, &self.vm.spec.name).unwrap_or_else(|| virt(&doing, error));
                self.end_change(task, ChangeEnd::Failed { problem }).await
            }
        }
    }

    /// Grows a disk: by QEMU while it has the file, by `qemu-img` while nobody has.
    async fn grow(
        &self,
        task: TaskId,
        source: &DiskSource,
        size_bytes: u64,
        on: bool,
    ) -> Result<(), Problem> {
        let doing = format!("Growing a disk of {}", self.vm.spec.name);
        let done = if on {
            match self.core.0.hypervisor.grow_disk(self.vm.id, source, size_bytes).await {
                Ok(()) => Ok(()),
                // A late call may still grow it: asked again, it says how it came out.
                Err(error) if error.retryable() => return Err(virt(&doing, error)),
                Err(error) => Err(virt(&doing, error)),
            }
        } else {
            let grown = hostd_virt::disk::grow(&source.path, source.format, size_bytes).await;
            grown.map_err(|error| disk(&doing, error))
        };
        let end = done.map_or_else(|problem| ChangeEnd::Failed { problem }, |()| ChangeEnd::Done);
        self.end_change(task, end).await
    }

    /// Gives the running machine CPUs or memory; what it does not take applies at its next power-off.
    pub(super) async fn give(&self, live: Live) -> Result<(), Problem> {
        let (hypervisor, id) = (&self.core.0.hypervisor, self.vm.id);
        self.waits.ask(id, live.key(), Instant::now() + AGAIN);
        let given = match live {
            Live::Cpus(cpus) => hypervisor.set_cpus(id, cpus, self.vm.meta.generation).await,
            Live::Memory(memory_mib) => hypervisor.set_memory(id, memory_mib).await,
            Live::Share(share) => hypervisor.share_cpus(id, share).await,
        };
        given.map_err(|error| virt(&format!("Changing {} while it runs", self.vm.spec.name), error))
    }
}

fn gone() -> Problem {
    Problem::new(ProblemKind::Conflict, "What the change is about is gone.")
}

/// QEMU is waiting for the guest already.
fn asked_before(error: &VirtError) -> bool {
    matches!(error, VirtError::Call { message, .. } if message.contains("already in the process of unplug"))
}

/// Every slot for devices that come while it runs is taken.
fn no_slot(error: &VirtError, name: &str) -> Option<Problem> {
    let VirtError::Call { message, .. } = error else { return None };
    if !["PCI slots", "PCI controller", "free USB ports"].iter().any(|sign| message.contains(sign)) {
        return None;
    }
    let detail = format!(
        "{name} has no free slot for one more device while it runs. Shut it down and attach it then: it gets new slots at each \
         start."
    );
    Some(Problem::new(ProblemKind::Capacity, detail))
}

#[cfg(test)]
#[path = "devices_tests.rs"]
mod tests;
