//! What admission looks at: the rows a command touches and the limits of this host, read once per command.

use crate::Core;
use hostd_types::command::*;
use hostd_types::*;
use std::collections::BTreeMap;

/// Everything a rule may look at. Only what the command needs is filled in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    /// Memory of this host, MiB.
    pub memory_mib: u64,
    /// CPU threads of this host.
    pub threads: u32,
    /// What this host offers machines.
    pub offers: hostd_virt::Offers,
    /// NUMA nodes of this host, with the huge pages set aside on each.
    pub nodes: Vec<MemoryNode>,
    /// What all members know.
    pub level: u16,
    /// This host's clock, for commands that name a moment.
    pub moment: Option<Timestamp>,
    /// The machine the command is about.
    pub vm: Option<Vm>,
    /// Machines of this host, where addresses must be unique; machines that use the image or network otherwise.
    pub vms: Vec<Vm>,
    /// The snapshot the command, or the task to be cancelled, is about.
    pub snapshot: Option<hostd_types::Snapshot>,
    /// The snapshots of the machine.
    pub snapshots: Vec<hostd_types::Snapshot>,
    /// The customization specification that the command is about, or that it makes a machine with.
    pub specification: Option<Specification>,
    /// Volumes named by the command, or layered over the image it names.
    pub volumes: BTreeMap<VolumeId, Volume>,
    /// Images named by the command.
    pub images: BTreeMap<ImageId, Image>,
    /// Networks named by the command; all of the host for a new network.
    pub networks: BTreeMap<NetworkId, Network>,
    /// Links of the host, for a new network.
    pub links: Vec<NicFacts>,
    /// The pool's file system, for an upload.
    pub pool: PoolFacts,
    /// All hosts, for a processor that they are to have in common.
    pub hosts: Vec<Host>,
    /// Devices of this host, judged for the machine that wants one.
    pub devices: HostDevices,
    /// The machine of another's that is to be taken over.
    pub found: Option<crate::discovered::Found>,
    /// The task to be cancelled.
    pub task: Option<Task>,
}

impl Snapshot {
    /// Reads what `command` needs.
    ///
    /// # Errors
    /// When the state or the host's links can't be read.
    pub async fn load(core: &Core, command: &Command) -> Result<Self, Problem> {
        let machine = &core.0.machine;
        let mut now =
            Self { memory_mib: machine.memory_bytes >> 20, threads: machine.cpu.threads, ..Self::default() };
        match command {
            Command::Vm(c) => now.load_vm(core, c).await?,
            Command::Volume(c) => match c {
                VolumeCommand::Delete { id } => now.add_volume(core, *id).await?,
                VolumeCommand::Create { .. }
                | VolumeCommand::Report { .. }
                | VolumeCommand::Deleted { .. }
                | VolumeCommand::CreateFailed { .. } => {}
            },
            Command::Snapshot(c) => now.load_snapshot(core, c).await?,
            Command::Image(c) => match c {
                ImageCommand::Create { .. } => {
                    now.pool = core.0.pool.space().map_err(crate::error::storage)?
                }
                ImageCommand::Delete { id } => now.load_image_uses(core, *id).await?,
                ImageCommand::Ready { .. }
                | ImageCommand::CreateFailed { .. }
                | ImageCommand::Deleted { .. }
                | ImageCommand::Report { .. } => {}
            },
            Command::Specification(c) => match c {
                SpecificationCommand::Edit { id, .. } => {
                    now.specification = core.store().specification(*id).await?;
                }
                SpecificationCommand::Create { .. }
                | SpecificationCommand::Copy { .. }
                | SpecificationCommand::Delete { .. } => {}
            },
            Command::Network(c) => match c {
                NetworkCommand::Create { .. } => now.load_all_networks(core).await?,
                NetworkCommand::Delete { id } => {
                    now.add_network(core, *id).await?;
                    now.vms = core.store().vms_on_network(*id).await?;
                }
                NetworkCommand::Report { .. }
                | NetworkCommand::Deleted { .. }
                | NetworkCommand::CreateFailed { .. } => {}
            },
            Command::Cluster(ClusterCommand::ChooseCpu { .. }) => now.hosts = core.store().hosts().await?,
            Command::Task(TaskCommand::Cancel { id }) => {
                now.task = core.store().task(*id).await?;
                let unsettled = core.store().unsettled_snapshots_on(core.host()).await?;
                now.snapshot = unsettled.into_iter().find(|snapshot| snapshot.spec.task == Some(*id));
            }
            Command::Task(TaskCommand::Tell { .. } | TaskCommand::Prune { .. })
            | Command::Host(_)
            | Command::Access(_)
            | Command::Cluster(_)
            | Command::Organize(_)
            | Command::Audit(_) => {}
        }
        Ok(now)
    }

    async fn load_vm(&mut self, core: &Core, command: &VmCommand) -> Result<(), Problem> {
        match command {
            VmCommand::Create { vm, .. } => {
                self.moment = Some(Timestamp::now());
                self.load_offers(core).await?;
                self.add_specification(core, vm.customization.as_ref()).await?;
                self.load_parts(core, vm).await
            }
            VmCommand::Clone { source, copy, .. } => {
                self.add_specification(core, copy.customization.as_ref()).await?;
                self.vm = core.store().vm(*source).await?.map(|vm| core.0.isolated_vms.over(vm));
                self.snapshots = core.store().snapshots_of(*source).await?;
                self.vms = core.store().vms_on(core.host()).await?;
                Ok(())
            }
            VmCommand::Adopt { id, asked, .. } => {
                self.load_offers(core).await?;
                self.found = core.found_one(*id).await?;
                self.vms = core.store().vms_on(core.host()).await?;
                for network in asked.networks.values() {
                    self.add_network(core, *network).await?;
                }
                let known = self.found.iter().flat_map(|found| &found.vm.nics).filter_map(|nic| nic.network);
                for network in known.collect::<Vec<_>>() {
                    self.add_network(core, network).await?;
                }
                Ok(())
            }
            VmCommand::Edit { id, edit, .. } => {
                self.load_offers(core).await?;
                self.vm = core.store().vm(*id).await?;
                if edit.options.is_some() {
                    self.vms = core.store().vms_on(core.host()).await?;
                }
                if let Some(CustomizationChange::Set { to, .. }) = &edit.customization {
                    self.add_specification(core, Some(to)).await?;
                }
                for image in edit.more_cdroms.iter().flatten().flatten().take(MORE_CDROMS_MAX) {
                    self.add_image(core, *image).await?;
                }
                match &edit.cdrom {
                    Some(CdromChange::Insert { image }) => self.add_image(core, *image).await,
                    Some(CdromChange::Eject) | None => Ok(()),
                }
            }
            VmCommand::Change { id, change, .. } => {
                self.load_offers(core).await?;
                self.vm = core.store().vm(*id).await?;
                self.load_change(core, change).await
            }
            VmCommand::Power { id, .. }
            | VmCommand::Delete { id, .. }
            | VmCommand::SetTemplate { id, .. } => {
                self.moment = Some(Timestamp::now());
                self.vm = core.store().vm(*id).await?.map(|vm| core.0.isolated_vms.over(vm));
                Ok(())
            }
            VmCommand::Report { .. }
            | VmCommand::Changed { .. }
            | VmCommand::Deleted { .. }
            | VmCommand::CreateFailed { .. }
            | VmCommand::Place { .. } => Ok(()),
        }
    }

    async fn load_snapshot(&mut self, core: &Core, command: &SnapshotCommand) -> Result<(), Problem> {
        let vm = match command {
            SnapshotCommand::Create { vm, .. } => *vm,
            SnapshotCommand::Revert { id, .. } | SnapshotCommand::Delete { id } => {
                self.snapshot = core.store().snapshot(*id).await?;
                let Some(snapshot) = &self.snapshot else { return Ok(()) };
                snapshot.spec.vm
            }
            SnapshotCommand::Taken { .. }
            | SnapshotCommand::CreateFailed { .. }
            | SnapshotCommand::Reverted { .. }
            | SnapshotCommand::RevertFailed { .. }
            | SnapshotCommand::Stopped { .. }
            | SnapshotCommand::Deleted { .. }
            | SnapshotCommand::Merged { .. }
            | SnapshotCommand::Dropped { .. } => return Ok(()),
        };
        self.vm = core.store().vm(vm).await?.map(|vm| core.0.isolated_vms.over(vm));
        self.snapshots = core.store().snapshots_of(vm).await?;
        Ok(())
    }

    async fn load_change(&mut self, core: &Core, change: &DeviceChange) -> Result<(), Problem> {
        match change {
            DeviceChange::AttachDisk { disk, .. } => match disk {
                NewDisk::Blank { .. } => Ok(()),
                NewDisk::Image { image, .. } => self.add_image(core, *image).await,
                NewDisk::Volume { volume, .. } => self.add_volume(core, *volume).await,
            },
            DeviceChange::DetachDisk { volume, .. }
            | DeviceChange::GrowDisk { volume, .. }
            | DeviceChange::EditDisk { volume, .. } => {
                self.add_volume(core, *volume).await?;
                self.pool = core.0.pool.space().map_err(crate::error::storage)?;
                Ok(())
            }
            DeviceChange::AttachNic { nic } => {
                self.vms = core.store().vms_on(core.host()).await?;
                self.add_network(core, nic.network).await
            }
            DeviceChange::EditNic { edit, .. } => match edit.network {
                Some(network) => self.add_network(core, network).await,
                None => Ok(()),
            },
            DeviceChange::AttachHostDevice { .. } => {
                self.devices = core.own_devices(self.vm.as_ref().map(|vm| vm.id)).await?;
                Ok(())
            }
            DeviceChange::DetachNic { .. } | DeviceChange::DetachHostDevice { .. } => Ok(()),
        }
    }

    async fn load_offers(&mut self, core: &Core) -> Result<(), Problem> {
        self.level = core.store().level().await?;
        self.offers = core.0.hypervisor.offers();
        self.nodes = crate::facts::nodes();
        Ok(())
    }

    async fn load_parts(&mut self, core: &Core, vm: &CreateVm) -> Result<(), Problem> {
        for disk in vm.disks.iter().take(DISKS_MAX + 1) {
            match disk {
                NewDisk::Blank { .. } => {}
                NewDisk::Image { image, .. } => self.add_image(core, *image).await?,
                NewDisk::Volume { volume, .. } => self.add_volume(core, *volume).await?,
            }
        }
        for image in vm.media().take(MORE_CDROMS_MAX + 1) {
            self.add_image(core, image).await?;
        }
        for nic in vm.nics.iter().take(NICS_MAX + 1) {
            self.add_network(core, nic.network).await?;
        }
        if !vm.nics.is_empty() || vm.options.cpu_share.reservation_percent.is_some() {
            self.vms = core.store().vms_on(core.host()).await?;
        }
        Ok(())
    }

    /// The specification that a machine's customization is made with.
    async fn add_specification(
        &mut self,
        core: &Core,
        custom: Option<&Customization>,
    ) -> Result<(), Problem> {
        if let Some(id) = custom.and_then(|custom| custom.specification) {
            self.specification = core.store().specification(id).await?;
        }
        Ok(())
    }

    async fn load_image_uses(&mut self, core: &Core, id: ImageId) -> Result<(), Problem> {
        self.add_image(core, id).await?;
        let over = core.store().volumes_over(id).await?;
        self.volumes = over.into_iter().map(|volume| (volume.id, volume)).collect();
        self.vms = core.store().vms_with_cdrom(id).await?;
        Ok(())
    }

    async fn load_all_networks(&mut self, core: &Core) -> Result<(), Problem> {
        let all = core.store().networks_on(core.host()).await?;
        self.networks = all.into_iter().map(|network| (network.id, network)).collect();
        self.links = core.0.nets.links().await.map_err(crate::error::net)?;
        Ok(())
    }

    async fn add_image(&mut self, core: &Core, id: ImageId) -> Result<(), Problem> {
        if let Some(image) = core.store().image(id).await? {
            self.images.insert(id, image);
        }
        Ok(())
    }

    async fn add_volume(&mut self, core: &Core, id: VolumeId) -> Result<(), Problem> {
        if let Some(volume) = core.store().volume(id).await? {
            self.volumes.insert(id, volume);
        }
        Ok(())
    }

    async fn add_network(&mut self, core: &Core, id: NetworkId) -> Result<(), Problem> {
        if let Some(network) = core.store().network(id).await? {
            self.networks.insert(id, network);
        }
        Ok(())
    }
}
