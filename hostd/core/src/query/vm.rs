//! Reads of machines.

use super::found;
use crate::error::internal;
use crate::federation::Ask;
use crate::{Core, LinkedClone, NicView, VmDetail, VolumeView, customize, devices};
use hostd_types::*;
use std::collections::{BTreeMap, BTreeSet};

/// A machine as it is shown: without secrets.
fn shown(mut vm: Vm) -> Vm {
    if let Some(custom) = &mut vm.spec.customization {
        custom.redact();
    }
    vm
}

impl Core {
    /// A page of machines.
    ///
    /// # Errors
    /// When the state can't be read or the list's parameters are wrong.
    pub async fn vms(&self, list: &ListParams) -> Result<Page<Vm>, Problem> {
        let mut page = self.store().vms(list).await?;
        page.items = page.items.into_iter().map(|vm| shown(self.0.isolated_vms.over(vm))).collect();
        Ok(page)
    }

    /// One machine.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn vm(&self, id: VmId) -> Result<Vm, Problem> {
        self.whole_vm(id).await.map(shown)
    }

    /// One machine with its secrets, which nobody is shown.
    async fn whole_vm(&self, id: VmId) -> Result<Vm, Problem> {
        let vm = self.store().vm(id).await?.map(|vm| self.0.isolated_vms.over(vm));
        found(vm, "virtual machine", id)
    }

    /// One machine by its id or its name.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn find_vm(&self, text: &str) -> Result<Vm, Problem> {
        if let Ok(id) = text.parse() {
            return self.vm(id).await;
        }
        let cut: String = text.chars().take(name::NAME_MAX).collect();
        let vm = self.store().vm_named(text).await?.map(|vm| shown(self.0.isolated_vms.over(vm)));
        found(vm, "virtual machine", cut)
    }

    /// The machines of a host.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn vms_on(&self, host: HostId) -> Result<Vec<Vm>, Problem> {
        let vms = self.store().vms_on(host).await?;
        Ok(vms.into_iter().map(|vm| shown(self.0.isolated_vms.over(vm))).collect())
    }

    /// One machine with everything its page shows.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn vm_detail(&self, id: VmId) -> Result<VmDetail, Problem> {
        let vm = self.whole_vm(id).await?;
        if vm.spec.host != self.host() {
            // Without an answer there is still what the rows say.
            match self.vm_detail_there(vm.spec.host, id).await {
                Ok(detail) => return Ok(detail),
                Err(problem) => tracing::debug!(%problem, vm = %id, "a machine's host does not tell of it"),
            }
        }
        let mut volumes: BTreeMap<VolumeId, Volume> =
            self.store().volumes_of(id).await?.into_iter().map(|volume| (volume.id, volume)).collect();
        let ordered = vm.spec.disks.iter().filter_map(|disk| volumes.remove(&disk.volume)).collect();
        let disks = self.volume_views(ordered).await?;
        let mut nics = Vec::with_capacity(vm.spec.nics.len());
        for nic in &vm.spec.nics {
            nics.push(self.nic_view(nic).await?);
        }
        let cdrom = match vm.spec.cdrom {
            Some(image) => self.store().image(image).await?,
            None => None,
        };
        let mut more_cdroms = Vec::with_capacity(vm.spec.more_cdroms.len());
        for drive in &vm.spec.more_cdroms {
            more_cdroms.push(match drive {
                Some(image) => self.store().image(*image).await?,
                None => None,
            });
        }
        let mut running = self.0.isolated_vms.tasks();
        running.retain(|task| task.state == TaskState::Running);
        running.extend(self.store().running_tasks_on(vm.spec.host).await?);
        let about = id.to_string();
        let task = running.into_iter().find(|task| task.subject.id == about);
        let name = self.0.libvirt_names.of(id);
        let name = name.map(|name| format!("its name inside libvirt, which is {name} until then"));
        let mut pending: Vec<String> = vm.status.pending.iter().cloned().chain(name).collect();
        let here = vm.spec.host == self.host();
        let machine_types = if here { self.0.hypervisor.offers().machine_types } else { Vec::new() };
        let newest_machine_type = machine_types.last().cloned();
        let now = vm.spec.machine_type.as_deref().and_then(q35_version);
        let newer = machine_types.into_iter().filter(|known| q35_version(known) > now);
        let newer_machine_types = newer.collect();
        let largest = disks.iter().map(|disk| disk.volume.spec.size_bytes).max();
        let advice = vm.spec.guest_os.profile().shortfalls(vm.spec.cpus, vm.spec.memory_mib, largest);
        if here
            && vm.status.state.is_active()
            && self.0.hypervisor.seed(id).await.is_ok_and(|has| has != self.seed(&vm))
        {
            pending.push("its customization".into());
        }
        let warnings = vm.spec.customization.iter().flat_map(|custom| self.warnings(custom)).collect();
        let missing = if here && !vm.spec.hardware.host_devices.is_empty() {
            devices::missing(&vm, &self.own_devices(Some(id)).await?)
        } else {
            Vec::new()
        };
        let linked_clones = self.linked_clones(&disks).await?;
        let vm = shown(vm);
        Ok(VmDetail {
            vm,
            disks,
            nics,
            cdrom,
            more_cdroms,
            task,
            newest_machine_type,
            newer_machine_types,
            warnings,
            pending,
            advice,
            missing,
            linked_clones,
        })
    }

    /// What is worth a warning about a customization.
    pub(super) fn warnings(&self, custom: &Customization) -> Vec<String> {
        let mut warnings: Vec<String> = customize::advice(custom).into_iter().collect();
        let sealed = custom.windows.as_ref().is_some_and(|windows| windows.administrator_password.is_some());
        if sealed && self.administrator_password(custom).is_none() {
            let detail = "The administrator's password was sealed by another cluster, which this one can't open; set it again.";
            warnings.push(detail.into());
        }
        warnings
    }

    /// What is over the disks.
    async fn linked_clones(&self, disks: &[VolumeView]) -> Result<Vec<LinkedClone>, Problem> {
        let disks = disks.iter().map(|disk| disk.volume.id).collect();
        let mut over = self.store().volumes_from(&disks).await?;
        over.retain(|volume| volume.spec.origin.as_ref().is_some_and(|origin| origin.linked));
        let names = over.iter().filter_map(|volume| volume.spec.vm).collect();
        let names = self.store().vm_names(&names).await?;
        let clone = |volume: Volume| match volume.spec.vm.and_then(|id| names.get_key_value(&id)) {
            Some((id, name)) => LinkedClone { name: name.clone(), vm: Some(*id) },
            None => LinkedClone { name: volume.spec.name, vm: None },
        };
        Ok(over.into_iter().map(clone).collect::<BTreeSet<_>>().into_iter().collect())
    }

    /// Machines with their disks, as the rows tell: what would be lost with them. One that is not there is left out.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn vms_with_disks(&self, ids: &[VmId]) -> Result<Vec<(Vm, Vec<VolumeView>)>, Problem> {
        let chosen = ids.iter().copied().collect();
        let mut disks: BTreeMap<VmId, Vec<VolumeView>> = BTreeMap::new();
        for disk in self.volume_views(self.store().volumes_among(&chosen).await?).await? {
            if let Some(vm) = disk.volume.spec.vm {
                disks.entry(vm).or_default().push(disk);
            }
        }
        let vms = self.store().vms_among(&chosen).await?;
        let mut vms: BTreeMap<VmId, Vm> = vms.into_iter().map(|vm| (vm.id, vm)).collect();
        let vms = ids.iter().filter_map(|id| vms.remove(id));
        Ok(vms
            .map(|vm| {
                let disks = disks.remove(&vm.id).unwrap_or_default();
                (shown(self.0.isolated_vms.over(vm)), disks)
            })
            .collect())
    }

    /// Number of templates.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn template_count(&self) -> Result<u64, Problem> {
        self.store().template_count().await
    }

    async fn nic_view(&self, nic: &VmNic) -> Result<NicView, Problem> {
        let network = self.store().network(nic.network).await?;
        let lease = match &network {
            Some(network) => {
                let leases = self.leases(network).await;
                leases.into_iter().find(|lease| lease.mac.eq_ignore_ascii_case(&nic.mac))
            }
            None => None,
        };
        Ok(NicView { nic: nic.clone(), network, lease })
    }

    /// Number of machines by state.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn vm_counts(&self) -> Result<BTreeMap<String, u64>, Problem> {
        self.store().vm_counts().await
    }

    /// Load of a machine, newest last, one point every 5 s, the last 30 minutes; nothing when it is on another host that does
    /// not answer.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn vm_samples(&self, id: VmId) -> Result<Vec<VmSample>, Problem> {
        let host = self.vm(id).await?.spec.host;
        if host == self.host() {
            return Ok(self.own_vm_samples(id));
        }
        Ok(self.ask(host, &Ask::VmSamples(id)).await.unwrap_or_default())
    }

    /// Load of the last two minutes, a point every second since somebody began to look and every 5 s before that, newest
    /// last. The machine goes on being measured every second for ten seconds after each call.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` when it is on another host that does not answer.
    pub async fn vm_seconds(&self, id: VmId) -> Result<Vec<VmSample>, Problem> {
        let host = self.vm(id).await?.spec.host;
        if host == self.host() {
            Ok(self.own_vm_seconds(id))
        } else {
            self.ask(host, &Ask::VmSeconds(id)).await
        }
    }

    /// The same of a machine on this host.
    pub(crate) fn own_vm_seconds(&self, id: VmId) -> Vec<VmSample> {
        let seconds = self.0.seconds.look(id, std::time::Instant::now());
        let begin = Timestamp::now().unix() - 120;
        let first = seconds.first().map_or(i64::MAX, |point| point.at);
        let before = |point: &VmSample| (begin..first).contains(&point.at);
        self.own_vm_samples(id).into_iter().filter(before).chain(seconds).collect()
    }

    /// The last day of a machine's load, a mean a minute, newest last. Minutes in which nothing was measured are left out.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` when it is on another host that does not answer.
    pub async fn vm_history(&self, id: VmId) -> Result<Vec<VmSample>, Problem> {
        let host = self.vm(id).await?.spec.host;
        if host == self.host() {
            self.own_vm_history(id).await
        } else {
            self.ask(host, &Ask::VmHistory(id)).await
        }
    }

    /// The same of a machine on this host.
    pub(crate) async fn own_vm_history(&self, id: VmId) -> Result<Vec<VmSample>, Problem> {
        let (minutes, now) = (self.0.minutes.clone(), Timestamp::now().unix());
        let failed = |error: &dyn std::fmt::Display| internal("The machine's history can't be read", error);
        let read = tokio::task::spawn_blocking(move || minutes.read(id, now)).await;
        read.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
    }

    /// Load of a machine on this host.
    pub fn own_vm_samples(&self, id: VmId) -> Vec<VmSample> {
        self.0.history.vm(id)
    }
}
