//! Making a machine: its row, its new disks, its network cards, its first power request.

use super::lookup::refuse;
use super::scope::Scope;
use super::volume::POOL;
use super::{Done, Step, folder, vm_host_device, vm_room};
use hostd_types::*;
use rusqlite::params;

pub(crate) fn create(
    scope: &mut Scope<'_>,
    id: VmId,
    host: HostId,
    asked: &CreateVm,
    found: &[HostDevice],
) -> Step<Done> {
    scope.fresh::<Vm>(id)?;
    scope.known_host(host)?;
    scope.free_name::<Vm>(&asked.name)?;
    vm_room::check_reservation(scope, id, host, &asked.options.cpu_share)?;
    check_drives(scope, host, asked)?;
    let host_devices = vm_host_device::take(scope, host, &asked.host_devices, found)?;
    if asked.filing.folder.is_some() {
        folder::path(scope, asked.filing.folder, "/filing/folder")?;
    }
    let mut disks = Vec::with_capacity(asked.disks.len());
    for (index, disk) in asked.disks.iter().enumerate() {
        let new = NewVolume {
            id: derived_volume(id, index),
            vm: id,
            host,
            named_after: &asked.name,
            index,
            at: format!("/disks/{index}"),
        };
        disks.push(attach(scope, &new, disk)?);
    }
    let nics = cards(scope, id, host, &asked.nics)?;
    let power = asked.start.then_some(PowerRequest {
        seq: 1,
        action: PowerAction::Start,
        task: scope.entry.task,
        at: scope.entry.at,
        deadline_s: SHUTDOWN_DEADLINE_S,
    });
    let spec = VmSpec {
        name: asked.name.clone(),
        description: asked.description.clone(),
        guest_os: asked.guest_os.unwrap_or_default(),
        scheduled_at: asked.scheduled_at,
        host,
        placement_epoch: 0,
        cpus: asked.cpus,
        cpu_mode: asked.cpu_mode,
        topology: asked.topology,
        machine_type: asked.machine_type.clone(),
        customization: asked.customization.clone().map(|first| Customization { run: 1, ..first }),
        memory_mib: asked.memory_mib,
        firmware: asked.firmware,
        boot: asked.boot.clone(),
        autostart: asked.autostart,
        disks,
        cdrom: asked.cdrom,
        more_cdroms: asked.more_cdroms.clone(),
        nics,
        snapshots: VmSnapshots::default(),
        options: asked.options.clone(),
        hardware: VmHardware {
            headroom: asked.headroom,
            host_devices,
            shares: asked.shares.clone(),
            changes: Vec::new(),
        },
        power,
        lineage: Lineage::default(),
        filing: Filing { folder: asked.filing.folder, notes: asked.filing.notes.clone() },
        deleting: None,
    };
    let meta = Meta { labels: asked.filing.tags.clone(), ..scope.created() };
    let vm = Vm { id, meta, spec, status: VmStatus::default() };
    scope.insert(&vm)?;
    let subject = vm.subject();
    scope.start_task(&subject, host)?;
    scope.accepted(&subject, described(asked, found))?;
    Ok(Done::started(scope.entry.task, subject))
}

/// What was asked for, for the event.
fn described(asked: &CreateVm, found: &[HostDevice]) -> String {
    format!(
        "CPUs: {}, memory: {} MiB, disks: {}, network cards: {}{}{}{}",
        asked.cpus,
        asked.memory_mib,
        asked.disks.len(),
        asked.nics.len(),
        vm_host_device::listed(found),
        if asked.start { ", start at once" } else { "" },
        asked.scheduled_at.map(|at| format!(", not before {at}")).unwrap_or_default()
    )
}

/// What is in its CD-ROM drives is there.
fn check_drives(scope: &Scope<'_>, host: HostId, asked: &CreateVm) -> Step {
    if let Some(image) = asked.cdrom {
        scope.usable_image(image, ImageKind::Iso, host, "/cdrom")?;
    }
    for (index, image) in asked.more_cdroms.iter().enumerate() {
        if let Some(image) = image {
            scope.usable_image(*image, ImageKind::Iso, host, &format!("/more_cdroms/{index}"))?;
        }
    }
    Ok(())
}

fn cards(scope: &mut Scope<'_>, id: VmId, host: HostId, asked: &[NewNic]) -> Step<Vec<VmNic>> {
    let mut nics = Vec::with_capacity(asked.len());
    for (index, nic) in asked.iter().enumerate() {
        let mac = nic.mac.clone().unwrap_or_else(|| derived_mac(id, index)).to_ascii_lowercase();
        free_socket(scope, host, nic.network, &mac, &format!("/nics/{index}"))?;
        scope.write_nic(id, index, nic.network, &mac)?;
        nics.push(VmNic {
            network: nic.network,
            mac,
            model: nic.model,
            slot: None,
            unplugged: false,
            options: nic.options,
        });
    }
    Ok(nics)
}

/// A volume that may be made for a disk.
pub(super) struct NewVolume<'a> {
    pub id: VolumeId,
    pub vm: VmId,
    pub host: HostId,
    /// Name of the machine.
    pub named_after: &'a str,
    /// Number in the volume's name.
    pub index: usize,
    /// The field of the request.
    pub at: String,
}

/// Makes or takes the volume of a disk.
pub(super) fn attach(scope: &mut Scope<'_>, new: &NewVolume<'_>, disk: &NewDisk) -> Step<VmDisk> {
    let (bus, options) = (disk.bus(), disk.options().clone());
    let (size_bytes, format, image) = match disk {
        NewDisk::Blank { size_bytes, format, .. } => (*size_bytes, *format, None),
        NewDisk::Image { image, size_bytes, .. } => {
            let pointer = format!("{}/image", new.at);
            let content = scope.usable_image(*image, ImageKind::Disk, new.host, &pointer)?;
            let size = size_bytes.unwrap_or(content.virtual_bytes);
            if size < content.virtual_bytes {
                let detail =
                    format!("The image needs {} bytes; the disk can't be smaller.", content.virtual_bytes);
                return Err(refuse(ProblemKind::Invalid, &format!("{}/size_bytes", new.at), detail));
            }
            (size, DiskFormat::Qcow2, Some(*image))
        }
        NewDisk::Volume { volume, .. } => {
            let mut volume = scope.unattached_volume(*volume, new.host, &format!("{}/volume", new.at))?;
            volume.spec.vm = Some(new.vm);
            scope.touch(&mut volume);
            scope.update(&volume)?;
            return Ok(VmDisk { volume: volume.id, bus, slot: None, options });
        }
    };
    scope.fresh::<Volume>(new.id)?;
    let spec = VolumeSpec {
        name: scope.numbered::<Volume>(new.named_after, &format!("-disk{}", new.index))?,
        host: new.host,
        pool: POOL.into(),
        format,
        size_bytes,
        image,
        vm: Some(new.vm),
        task: None,
        layers: Layers::default(),
        origin: None,
        adopted_from: None,
    };
    let volume = Volume { id: new.id, meta: scope.created(), spec, status: VolumeStatus::default() };
    scope.insert(&volume)?;
    Ok(VmDisk { volume: new.id, bus, slot: None, options })
}

/// Refuses a network that a card with the address `mac` can't be plugged into; `at` is the card in the request.
pub(super) fn free_socket(scope: &Scope<'_>, host: HostId, id: NetworkId, mac: &str, at: &str) -> Step {
    let pointer = format!("{at}/network");
    let Some(network) = scope.find::<Network>(id)? else {
        return Err(refuse(ProblemKind::Invalid, &pointer, format!("There is no network {id}.")));
    };
    let name = &network.spec.name;
    if network.spec.host != host {
        let detail = format!("The network {name} is on another host.");
        return Err(refuse(ProblemKind::Invalid, &pointer, detail));
    }
    if network.status.phase != Phase::Ready {
        let detail = format!("The network {name} is not ready; choose another or wait.");
        return Err(refuse(ProblemKind::WrongState, &pointer, detail));
    }
    let taken: i64 = scope
        .db
        .prepare_cached("SELECT count(*) FROM nic WHERE network = ?1 AND mac = ?2")?
        .query_row(params![id.to_string(), mac], |r| r.get(0))?;
    if taken > 0 {
        let detail = format!("The hardware address {mac} is in use on the network {name}; choose another.");
        return Err(refuse(ProblemKind::Conflict, &format!("{at}/mac"), detail));
    }
    Ok(())
}

impl Scope<'_> {
    /// Writes that card `index` of a machine has the address `mac` on `network`.
    pub(crate) fn write_nic(&self, vm: VmId, index: usize, network: NetworkId, mac: &str) -> Step {
        let slot = i64::try_from(index).unwrap_or(i64::MAX);
        self.db
            .prepare_cached("INSERT INTO nic (vm, slot, network, mac) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![vm.to_string(), slot, network.to_string(), mac])?;
        Ok(())
    }

    /// Writes that a machine has no card `mac` on `network` any more.
    pub(crate) fn drop_nic(&self, vm: VmId, network: NetworkId, mac: &str) -> Step {
        self.db
            .prepare_cached("DELETE FROM nic WHERE vm = ?1 AND network = ?2 AND mac = ?3")?
            .execute(params![vm.to_string(), network.to_string(), mac])?;
        Ok(())
    }
}
