//! Machines that libvirt has and Quantix did not make: what they are, and what stands in the way of taking one over.
//!
//! Taking one over writes rows as for a new machine. Then its disks get the names of volumes inside the pool, its definition
//! is kept beside the state and replaced by ours (`reconcile/vms/adopt.rs`); when one of that fails, all is put back.

mod judge;

pub(crate) use judge::Found;
use judge::{Around, judge};

use crate::Core;
use crate::error::{storage, virt};
use crate::federation::Ask;
use hostd_types::*;
use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

/// Most files one over the other that are followed.
const CHAIN_MAX: usize = 200;

/// The file of a disk and those it is over, as they really are called.
fn files_under(disk: &hostd_virt::ForeignDisk) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    let mut next = Some(disk.source.clone());
    while let Some(file) = next.take() {
        let file = std::fs::canonicalize(&file).unwrap_or(file);
        // What a raw disk begins with is its guest's.
        let over = disk.format == "qcow2" && files.len() < CHAIN_MAX;
        next = if over { hostd_virt::disk::backing(&file).ok().flatten() } else { None };
        if !files.insert(file) {
            break;
        }
    }
    files
}

impl Core {
    /// Machines that Quantix did not make, on all hosts that tell.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn discovered(&self) -> Result<DiscoveredView, Problem> {
        let mut view = DiscoveredView::default();
        for host in self.store().hosts().await?.into_iter().filter(|h| h.spec.role == HostRole::Host) {
            let told = if host.id == self.host() {
                self.own_discovered().await
            } else {
                self.ask(host.id, &Ask::Discovered).await
            };
            match told {
                Ok(mut items) => view.items.append(&mut items),
                Err(problem) => {
                    tracing::debug!(%problem, host = %host.id, "a host does not tell what else it has");
                    view.silent.push(host.id);
                }
            }
        }
        Ok(view)
    }

    /// How many machines of this host Quantix did not make, when it looked last.
    pub fn other_machines(&self) -> u64 {
        self.0.foreign_domains.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Those on this host.
    ///
    /// # Errors
    /// When libvirt does not answer.
    pub(crate) async fn own_discovered(&self) -> Result<Vec<DiscoveredVm>, Problem> {
        let mut items: Vec<DiscoveredVm> =
            self.found_all().await?.into_iter().map(|found| found.vm).collect();
        items.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(items)
    }

    /// One on this host, with what it would become.
    ///
    /// # Errors
    /// When libvirt does not answer.
    pub(crate) async fn found_one(&self, id: VmId) -> Result<Option<Found>, Problem> {
        Ok(self.found_all().await?.into_iter().find(|found| found.vm.id == id))
    }

    async fn found_all(&self) -> Result<Vec<Found>, Problem> {
        let doing = "Looking at machines that Quantix did not make";
        let ours: HashSet<VmId> = self.store().vms_on(self.host()).await?.iter().map(|vm| vm.id).collect();
        let seen = self.0.hypervisor.domains().await.map_err(|error| virt(doing, error))?;
        let others: Vec<_> = seen.into_iter().filter(|domain| !ours.contains(&domain.vm)).collect();
        if others.is_empty() {
            return Ok(Vec::new());
        }
        let domains = self.0.hypervisor.foreign(others).await.map_err(|error| virt(doing, error))?;
        let volumes = self.store().volumes_on(self.host()).await?;
        let mut known = BTreeSet::new();
        for volume in &volumes {
            known.extend(self.0.pool.files_of(volume.id).map_err(storage)?);
        }
        let around = Around {
            host: self.host(),
            pool: std::fs::canonicalize(self.0.pool.root()).map_err(storage)?,
            known,
            networks: self.store().networks_on(self.host()).await?,
            machine_types: self.0.hypervisor.offers().machine_types,
            names: self.names_of_machines(&domains).await?,
        };
        let mut found = Vec::with_capacity(domains.len());
        for domain in &domains {
            let others = domains.iter().filter(|other| other.vm != domain.vm);
            let taken = others.flat_map(|other| &other.disks).flat_map(files_under).collect();
            found.push(judge(domain, &around, &taken).await);
        }
        Ok(found)
    }

    /// Names among those of `domains` that a machine of Quantix has, too.
    async fn names_of_machines(
        &self,
        domains: &[hostd_virt::ForeignDomain],
    ) -> Result<BTreeSet<String>, Problem> {
        let mut taken = BTreeSet::new();
        for domain in domains {
            if self.store().vm_named(&domain.shape.name).await?.is_some() {
                taken.insert(domain.shape.name.clone());
            }
        }
        Ok(taken)
    }
}
