//! What is wanted of this host's machines, with everything they are made of, read at once.

use super::plan::{Disk, Parts, disks};
use crate::{Core, devices};
use hostd_types::*;
use hostd_virt::{DiskSource, DomainPlan, HostParts, NicSource, SeedDrive};
use std::collections::HashMap;
use std::time::Duration;

/// The rows a run of the machines' reconciler works with.
pub(super) struct Wanted {
    /// The machines.
    pub vms: Vec<Vm>,
    volumes: HashMap<VolumeId, Volume>,
    networks: HashMap<NetworkId, Network>,
    /// Snapshots that are being taken.
    taking: HashMap<VmId, Snapshot>,
    tasks: Vec<Task>,
    kvm: bool,
    /// The processor that machines in the mode Flexible see; none: this host's own.
    cpu: Option<CpuModel>,
    /// What is on the host's buses, when a machine has something of it.
    devices: Option<HostDevices>,
    /// All members know that settings may wait for the next power-off.
    pub waits_known: bool,
}

impl Wanted {
    /// Reads them.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn load(core: &Core) -> Result<Self, Problem> {
        let (host, store) = (core.host(), core.store());
        let vms: Vec<Vm> =
            store.vms_on(host).await?.into_iter().map(|vm| core.0.isolated_vms.over(vm)).collect();
        let volumes = if vms.iter().any(|vm| !vm.spec.disks.is_empty()) {
            store.volumes_on(host).await?
        } else {
            Vec::new()
        };
        let networks = store.networks_on(host).await?;
        let unsettled = store.unsettled_snapshots_on(host).await?;
        let taking = unsettled.into_iter().filter(|snapshot| snapshot.status.phase == Phase::Creating);
        let devices = if vms.iter().any(devices::concerns) {
            // What can't be read is not there for now.
            let read = core.own_devices(None).await;
            read.inspect_err(|problem| tracing::warn!(%problem, "the host's devices can't be read")).ok()
        } else {
            None
        };
        Ok(Self {
            cpu: core.cpu_baseline().await?.model,
            devices,
            vms,
            volumes: volumes.into_iter().map(|volume| (volume.id, volume)).collect(),
            networks: networks.into_iter().map(|network| (network.id, network)).collect(),
            taking: taking.map(|snapshot| (snapshot.spec.vm, snapshot)).collect(),
            tasks: store.running_tasks_on(host).await?,
            kvm: core.acceleration().await == Acceleration::Kvm,
            waits_known: store.level().await? >= LIFE,
        })
    }

    /// What the domain of `vm` is made from; `None` when a disk or network has no row any more.
    pub fn domain_plan(&self, core: &Core, vm: &Vm) -> Option<DomainPlan> {
        let pool = &core.0.pool;
        let changes = &vm.spec.hardware.changes;
        let source = |disk: &VmDisk, slot: u32| {
            let volume = self.volumes.get(&disk.volume)?;
            let hostd_virt::disk::Layer { path, format } = pool.active(volume);
            let changing = changes.iter().any(|request| request.work.is_about_disk(volume.id));
            let (bus, options) = (disk.bus, disk.options.clone());
            Some(DiskSource { volume: volume.id, path, format, bus, slot, options, changing })
        };
        let card = |nic: &VmNic| {
            let bridge = self.networks.get(&nic.network)?.spec.bridge.clone();
            let changing = changes.iter().any(|request| request.work.is_about_nic(&nic.mac));
            Some(NicSource {
                bridge,
                mac: nic.mac.clone(),
                model: nic.model,
                plugged: !nic.unplugged,
                options: nic.options,
                changing,
            })
        };
        let slots = disk_slots(&vm.spec.disks);
        let disks = vm.spec.disks.iter().zip(slots).filter(|(disk, _)| !self.is_coming(vm, disk.volume));
        let (mut leaving_disks, mut leaving_nics) = (Vec::new(), Vec::new());
        let device = |known: &HostDevice| devices::source(known, vm, self.devices.as_ref());
        let own = vm.spec.hardware.host_devices.iter().map(device).collect();
        let shares = vm.spec.hardware.shares.iter().map(|share| pool.share_source(share)).collect();
        let mut host = HostParts { devices: own, cpu: self.cpu.clone(), shares, ..HostParts::default() };
        for request in changes {
            match &request.work {
                DeviceWork::DetachDisk { disk, .. } => {
                    leaving_disks.extend(source(disk, disk.slot.unwrap_or_default()));
                }
                DeviceWork::DetachNic { nic, .. } => leaving_nics.extend(card(nic)),
                DeviceWork::DetachHostDevice { device: known, .. } => host.leaving.push(device(known)),
                DeviceWork::AttachDisk { .. }
                | DeviceWork::GrowDisk { .. }
                | DeviceWork::EditDisk { .. }
                | DeviceWork::AttachNic { .. }
                | DeviceWork::EditNic { .. }
                | DeviceWork::AttachHostDevice { .. } => {}
            }
        }
        Some(DomainPlan {
            vm: vm.id,
            name: vm.spec.name.clone(),
            description: vm.spec.description.clone(),
            generation: vm.meta.generation,
            guest_os: vm.spec.guest_os,
            cpus: vm.spec.cpus,
            cpu_mode: vm.spec.cpu_mode,
            topology: vm.spec.topology,
            machine_type: vm.spec.machine_type.clone(),
            seed: vm.spec.customization.as_ref().map(|custom| seed_drive(vm, custom)),
            memory_mib: vm.spec.memory_mib,
            headroom: vm.spec.hardware.headroom,
            firmware: vm.spec.firmware,
            options: vm.spec.options.clone(),
            boot: vm.spec.boot.clone(),
            kvm: self.kvm,
            disks: disks.map(|(disk, slot)| source(disk, slot)).collect::<Option<_>>()?,
            cdrom: vm.spec.cdrom.map(|image| pool.image(image)),
            more_cdroms: vm
                .spec
                .more_cdroms
                .iter()
                .map(|drive| drive.map(|image| pool.image(image)))
                .collect(),
            nics: vm.spec.nics.iter().map(card).collect::<Option<_>>()?,
            leaving_disks,
            leaving_nics,
            host,
        })
    }

    /// How long until the next planned machine is to be made.
    pub fn next_planned(&self) -> Option<Duration> {
        self.vms.iter().filter_map(planned_in).min()
    }

    /// The volume is still being made for a machine that exists: it is not in the definition yet.
    fn is_coming(&self, vm: &Vm, id: VolumeId) -> bool {
        let made = self.volumes.get(&id).is_none_or(|volume| volume.status.phase != Phase::Creating);
        let attach = |work: &DeviceWork| match work {
            DeviceWork::AttachDisk { volume, .. } => *volume == id,
            DeviceWork::DetachDisk { .. }
            | DeviceWork::GrowDisk { .. }
            | DeviceWork::EditDisk { .. }
            | DeviceWork::AttachNic { .. }
            | DeviceWork::EditNic { .. }
            | DeviceWork::DetachNic { .. }
            | DeviceWork::AttachHostDevice { .. }
            | DeviceWork::DetachHostDevice { .. } => false,
        };
        !made && vm.spec.hardware.changes.iter().any(|request| attach(&request.work))
    }

    /// The snapshot of `vm` that is being taken.
    pub fn taking(&self, vm: VmId) -> Option<&Snapshot> {
        self.taking.get(&vm)
    }

    /// Whether the disks of `vm` are there.
    pub fn disks(&self, core: &Core, vm: &Vm) -> Parts {
        disks(vm.spec.disks.iter().map(|disk| self.disk(core, disk.volume)))
    }

    /// How far one disk is.
    pub fn disk(&self, core: &Core, id: VolumeId) -> Disk {
        if let Some(problem) = core.0.faults.volume(id) {
            return Disk::Failed(problem);
        }
        match self.volumes.get(&id) {
            None => Disk::Missing,
            Some(volume) if volume.status.phase == Phase::Creating => Disk::Making,
            Some(_) => Disk::Ready,
        }
    }

    /// Whether the networks of `vm` are up; `seen`: this daemon has looked at them since it started.
    pub fn networks(&self, vm: &Vm, seen: bool) -> Parts {
        if vm.spec.nics.is_empty() {
            return Parts::Ready;
        }
        if !seen {
            return Parts::Waiting;
        }
        for nic in &vm.spec.nics {
            let Some(network) = self.networks.get(&nic.network) else { continue };
            if network.status.phase == Phase::Creating {
                return Parts::Waiting;
            }
            if !network.status.active {
                let fault = network.status.fault.as_deref().unwrap_or("it is not up");
                let detail = format!("The network {} is not usable: {fault}", network.spec.name);
                return Parts::Failed(Problem::new(ProblemKind::Unavailable, detail));
            }
        }
        Parts::Ready
    }

    /// Whether the devices of the host are there that `vm` has for itself, and can be given to it.
    pub fn host_devices(&self, vm: &Vm) -> Parts {
        if vm.spec.hardware.host_devices.is_empty() {
            return Parts::Ready;
        }
        let Some(devices) = &self.devices else {
            let detail = "The host's devices can't be read now; try again.";
            return Parts::Failed(Problem::new(ProblemKind::Unavailable, detail));
        };
        let mut devices = devices.clone();
        devices::judge(&mut devices, &self.vms, Some(vm.id));
        devices::may_start(vm, &devices).map_or_else(Parts::Failed, |()| Parts::Ready)
    }

    /// `request` was made by a host itself (autostart).
    pub fn own(&self, request: &PowerRequest) -> bool {
        let own = |task: &Task| task.id == request.task && matches!(task.created_by, Actor::Host { .. });
        self.tasks.iter().any(own)
    }

    /// The running task of the creation of `vm`.
    pub fn creation_of(&self, vm: VmId) -> Option<TaskId> {
        let id = vm.to_string();
        let makes = |task: &Task| matches!(task.action.as_str(), "vm.create" | "vm.clone" | "vm.adopt");
        let creation = |task: &&Task| makes(task) && task.subject.id == id;
        self.tasks.iter().find(creation).map(|task| task.id)
    }

    /// It is being taken over from somebody else.
    pub fn is_adopting(&self, vm: VmId) -> bool {
        let id = vm.to_string();
        self.tasks.iter().any(|task| task.action == "vm.adopt" && task.subject.id == id)
    }

    /// Somebody asked to cancel `task`.
    pub fn cancelled(&self, task: TaskId) -> bool {
        self.tasks.iter().any(|running| running.id == task && running.cancelling)
    }
}

/// How long until `vm` is to be made, when that is planned for later.
pub(crate) fn planned_in(vm: &Vm) -> Option<Duration> {
    let now = Timestamp::now();
    let seconds = vm.planned_for(now)?.unix().saturating_sub(now.unix());
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()).max(Duration::from_millis(200)))
}

/// The drive for a customization: what the guest has a driver for.
fn seed_drive(vm: &Vm, custom: &Customization) -> SeedDrive {
    let virtio = vm.spec.disks.iter().any(|disk| disk.bus == DiskBus::Virtio);
    if virtio && custom.windows.is_none() { SeedDrive::Virtio } else { SeedDrive::Cdrom }
}
