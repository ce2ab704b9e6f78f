//! Making a machine: its row, its new disks, its network cards, its first power request.

use super::lookup::refuse;
use super::scope::Scope;
use super::volume::POOL;
use super::{Done, Step, folder};
use crate::clash::suffixed;
use hostd_types::*;
use rusqlite::params;

pub(crate) fn create(scope: &mut Scope<'_>, id: VmId, host: HostId, asked: &CreateVm) -> Step<Done> {
    scope.fresh::<Vm>(id)?;
    scope.known_host(host)?;
    scope.free_name::<Vm>(&asked.name)?;
    if let Some(image) = asked.cdrom {
        scope.usable_image(image, ImageKind::Iso, host, "/cdrom")?;
    }
    if asked.filing.folder.is_some() {
        folder::path(scope, asked.filing.folder, "/filing/folder")?;
    }
    let mut disks = Vec::with_capacity(asked.disks.len());
    for (index, disk) in asked.disks.iter().enumerate() {
        disks.push(attach(scope, id, host, asked, index, disk)?);
    }
    let mut nics = Vec::with_capacity(asked.nics.len());
    for (index, nic) in asked.nics.iter().enumerate() {
        nics.push(plug_in(scope, id, host, index, nic)?);
    }
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
        nics,
        snapshots: VmSnapshots::default(),
        power,
        filing: Filing { folder: asked.filing.folder, notes: asked.filing.notes.clone() },
        deleting: None,
    };
    let meta = Meta { labels: asked.filing.tags.clone(), ..scope.created() };
    let vm = Vm { id, meta, spec, status: VmStatus::default() };
    scope.insert(&vm)?;
    let subject = vm.subject();
    scope.start_task(&subject, host)?;
    let detail = format!(
        "CPUs: {}, memory: {} MiB, disks: {}, network cards: {}{}{}",
        asked.cpus,
        asked.memory_mib,
        asked.disks.len(),
        asked.nics.len(),
        if asked.start { ", start at once" } else { "" },
        asked.scheduled_at.map(|at| format!(", not before {at}")).unwrap_or_default()
    );
    scope.accepted(&subject, detail)?;
    Ok(Done::started(scope.entry.task, subject))
}

/// Makes or takes the volume of disk `index`.
fn attach(
    scope: &mut Scope<'_>,
    vm: VmId,
    host: HostId,
    asked: &CreateVm,
    index: usize,
    disk: &NewDisk,
) -> Step<VmDisk> {
    let (size_bytes, format, image, bus) = match disk {
        NewDisk::Blank { size_bytes, format, bus } => (*size_bytes, *format, None, *bus),
        NewDisk::Image { image, size_bytes, bus } => {
            let pointer = format!("/disks/{index}/image");
            let content = scope.usable_image(*image, ImageKind::Disk, host, &pointer)?;
            let size = size_bytes.unwrap_or(content.virtual_bytes);
            if size < content.virtual_bytes {
                let detail =
                    format!("The image needs {} bytes; the disk can't be smaller.", content.virtual_bytes);
                return Err(refuse(ProblemKind::Invalid, &format!("/disks/{index}/size_bytes"), detail));
            }
            (size, DiskFormat::Qcow2, Some(*image), *bus)
        }
        NewDisk::Volume { volume, bus } => {
            let mut volume = scope.unattached_volume(*volume, host, &format!("/disks/{index}/volume"))?;
            volume.spec.vm = Some(vm);
            scope.touch(&mut volume);
            scope.update(&volume)?;
            return Ok(VmDisk { volume: volume.id, bus: *bus });
        }
    };
    let id = derived_volume(vm, index);
    scope.fresh::<Volume>(id)?;
    let spec = VolumeSpec {
        name: volume_name(scope, &asked.name, index)?,
        host,
        pool: POOL.into(),
        format,
        size_bytes,
        image,
        vm: Some(vm),
        task: None,
        layers: Layers::default(),
    };
    let volume = Volume { id, meta: scope.created(), spec, status: VolumeStatus::default() };
    scope.insert(&volume)?;
    Ok(VmDisk { volume: id, bus })
}

/// `<vm>-disk<index>`, with a number behind it when that is taken; a long machine name is shortened to fit.
fn volume_name(scope: &Scope<'_>, vm: &str, index: usize) -> Step<String> {
    let mut suffix = format!("-disk{index}");
    let mut next = 2_u64;
    loop {
        let name = suffixed(vm, &suffix);
        if !scope.name_taken::<Volume>(&name)? {
            return Ok(name);
        }
        suffix = format!("-disk{index}-{next}");
        next += 1;
    }
}

/// Plugs card `index` in.
fn plug_in(scope: &mut Scope<'_>, vm: VmId, host: HostId, index: usize, nic: &NewNic) -> Step<VmNic> {
    let pointer = format!("/nics/{index}/network");
    let Some(network) = scope.find::<Network>(nic.network)? else {
        return Err(refuse(ProblemKind::Invalid, &pointer, format!("There is no network {}.", nic.network)));
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
    let mac = match &nic.mac {
        Some(given) => given.to_ascii_lowercase(),
        None => derived_mac(vm, index),
    };
    let taken: i64 = scope
        .db
        .prepare_cached("SELECT count(*) FROM nic WHERE network = ?1 AND mac = ?2")?
        .query_row(params![nic.network.to_string(), mac], |r| r.get(0))?;
    if taken > 0 {
        let detail = format!("The hardware address {mac} is in use on the network {name}; choose another.");
        return Err(refuse(ProblemKind::Conflict, &format!("/nics/{index}/mac"), detail));
    }
    scope.write_nic(vm, index, nic.network, &mac)?;
    Ok(VmNic { network: nic.network, mac, model: nic.model })
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
}
