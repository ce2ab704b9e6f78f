//! Rules for making and editing machines.

use super::power::settled;
use super::{Fields, check_size, memory, options, share};
use crate::pool::human;
use crate::snapshot::Snapshot;
use hostd_types::name::{check_description, check_name};
use hostd_types::*;
use std::collections::BTreeSet;

/// How far ahead a machine can be planned, seconds.
const SCHEDULE_MAX_S: i64 = 366 * 24 * 3600;

/// May this machine be made?
pub(super) fn create(vm: &CreateVm, now: &Snapshot) -> Result<(), Problem> {
    let mut wrong = Fields::default();
    wrong.check("/name", check_name(&vm.name));
    wrong.check("/description", check_description(&vm.description));
    let cpus = check_cpus(vm.cpus, now);
    if cpus.is_ok() {
        let most = vm.headroom.most_cpus(vm.cpus);
        wrong.check("/topology", check_topology(vm.topology, most));
    }
    check_headroom(&mut wrong, &vm.headroom, vm.cpus, vm.memory_mib, now);
    wrong.check("/cpus", cpus);
    if let Some(machine_type) = &vm.machine_type {
        wrong.check("/machine_type", check_machine_type(machine_type, now));
    }
    wrong.check("/memory_mib", check_memory(vm.memory_mib, now));
    wrong.check("/boot", check_boot(&vm.boot));
    if let (Some(at), Some(moment)) = (vm.scheduled_at, now.moment) {
        wrong.check("/scheduled_at", check_schedule(at, moment));
    }
    if vm.disks.len() > DISKS_MAX {
        wrong.add("/disks", format!("A machine holds at most {DISKS_MAX} disks."));
    }
    let mut volumes = BTreeSet::new();
    for (index, disk) in vm.disks.iter().enumerate().take(DISKS_MAX) {
        check_disk(&mut wrong, &format!("/disks/{index}"), disk, now);
        if let NewDisk::Volume { volume, .. } = disk
            && !volumes.insert(*volume)
        {
            wrong.add(format!("/disks/{index}/volume"), "This volume is listed twice.");
        }
    }
    if let Some(image) = vm.cdrom {
        wrong.check("/cdrom", check_iso(image, now));
    }
    check_drives(&mut wrong, &vm.more_cdroms, &[], now);
    share::check(&mut wrong, &vm.shares, &[], now);
    check_nics(&mut wrong, vm, now);
    crate::devices::check_new(&mut wrong, &vm.host_devices, &now.devices);
    wrong.check("/firmware", options::check_firmware(vm.firmware, now));
    options::check(&mut wrong, &vm.options, None, now);
    let size = memory::Size { cpus: vm.cpus, memory_mib: vm.memory_mib, headroom: vm.headroom };
    memory::check(&mut wrong, vm.options.memory, size, now);
    let disks = vm.disks.iter().enumerate().map(|(n, d)| (format!("/disks/{n}"), d.options().boot));
    let nics = vm.nics.iter().enumerate().map(|(n, nic)| (format!("/nics/{n}"), nic.options.boot));
    options::check_places(&mut wrong, disks.chain(nics));
    crate::customize::check_new(&mut wrong, vm);
    super::organize::check_new(&mut wrong, &vm.filing);
    wrong.done()
}

/// May the machine be changed like this now?
pub(super) fn edit(id: VmId, edit: &EditVm, now: &Snapshot) -> Result<(), Problem> {
    let vm = settled(id, now)?;
    super::clone::no_template(vm, "changed")?;
    let mut wrong = Fields::default();
    let EditVm {
        name,
        description,
        guest_os: _,
        cpus,
        cpu_mode,
        topology,
        machine_type,
        memory_mib,
        headroom,
        firmware,
        boot,
        autostart: _,
        options,
        cdrom,
        more_cdroms,
        shares,
        customization,
    } = edit;
    // A form sends every field; only what differs counts as a change.
    let name = name.as_ref().filter(|v| **v != vm.spec.name);
    let cpus = cpus.filter(|v| *v != vm.spec.cpus);
    let cpu_mode = cpu_mode.filter(|v| *v != vm.spec.cpu_mode);
    let topology = topology.filter(|v| *v != vm.spec.topology);
    let machine_type = machine_type.as_ref().filter(|v| Some(*v) != vm.spec.machine_type.as_ref());
    let memory_mib = memory_mib.filter(|v| *v != vm.spec.memory_mib);
    let firmware = firmware.filter(|v| *v != vm.spec.firmware);
    let boot = boot.as_ref().filter(|v| **v != vm.spec.boot);
    if let Some(name) = name {
        wrong.check("/name", check_name(name));
    }
    if let Some(text) = description {
        wrong.check("/description", check_description(text));
    }
    if let Some(cpus) = cpus {
        wrong.check("/cpus", check_cpus(cpus, now));
    }
    check_room(&mut wrong, &vm.spec, (cpus, topology, memory_mib, *headroom), now);
    if let Some(machine_type) = machine_type {
        wrong.check("/machine_type", check_machine_type(machine_type, now));
    }
    if let Some(memory) = memory_mib {
        wrong.check("/memory_mib", check_memory(memory, now));
    }
    if let Some(boot) = boot {
        wrong.check("/boot", check_boot(boot));
    }
    if let Some(firmware) = firmware {
        wrong.check("/firmware", options::check_firmware(firmware, now));
    }
    if let Some(options) = options.as_ref().filter(|v| **v != vm.spec.options) {
        options::check(&mut wrong, options, Some(id), now);
    }
    memory::check_edit(&mut wrong, &vm.spec, edit, now);
    check_media(&mut wrong, &vm.spec, cdrom.as_ref(), more_cdroms.as_deref(), now);
    let has = &vm.spec.hardware.shares;
    share::check(&mut wrong, shares.as_ref().unwrap_or(has), has, now);
    if let Some(change) = customization {
        crate::customize::check_edit(&mut wrong, change, vm);
    }
    wrong.done()?;
    if now.level >= LIFE {
        return Ok(()); // what can't change while it runs applies at its next power-off
    }
    let needs_off = [
        (name.is_some(), "name"),
        (cpus.is_some(), "CPUs"),
        (cpu_mode.is_some(), "CPU mode"),
        (topology.is_some(), "sockets and threads"),
        (machine_type.is_some(), "machine type"),
        (memory_mib.is_some(), "memory"),
        (firmware.is_some(), "firmware"),
        (boot.is_some(), "boot order"),
    ];
    only_while_off(vm, needs_off.into_iter().filter(|(changed, _)| *changed).map(|(_, word)| word))
}

/// What is put into drives that did not have it.
fn check_media(
    wrong: &mut Fields,
    has: &VmSpec,
    cdrom: Option<&CdromChange>,
    more: Option<&[Option<ImageId>]>,
    now: &Snapshot,
) {
    if let Some(CdromChange::Insert { image }) = cdrom
        && has.cdrom != Some(*image)
    {
        wrong.check("/cdrom/image", check_iso(*image, now));
    }
    if let Some(drives) = more {
        check_drives(wrong, drives, &has.more_cdroms, now);
    }
}

/// What can grow, beside what is asked for of CPUs, topology, memory and headroom itself.
fn check_room(
    wrong: &mut Fields,
    has: &VmSpec,
    (cpus, topology, memory_mib, headroom): (Option<u32>, Option<CpuTopology>, Option<u64>, Option<Headroom>),
    now: &Snapshot,
) {
    let room = headroom.unwrap_or(has.hardware.headroom);
    let will_have = (cpus.unwrap_or(has.cpus), memory_mib.unwrap_or(has.memory_mib));
    if cpus.is_some() || topology.is_some() || headroom.is_some() {
        let topology = topology.unwrap_or(has.topology);
        wrong.check("/topology", check_topology(topology, room.most_cpus(will_have.0)));
    }
    if cpus.is_some() || memory_mib.is_some() || headroom.is_some() {
        check_headroom(wrong, &room, will_have.0, will_have.1, now);
    }
}

/// Refuses settings of a machine that is not off, as all members below [`LIFE`] do.
fn only_while_off<'a>(vm: &Vm, settings: impl Iterator<Item = &'a str>) -> Result<(), Problem> {
    let settings: Vec<&str> = settings.collect();
    let busy = vm.status.state.is_active() || super::power::pending(vm).is_some();
    if settings.is_empty() || !busy {
        return Ok(());
    }
    let detail = format!(
        "{} is {}: {} can be changed only while it is off. Shut it down first.",
        vm.spec.name,
        vm.status.state.as_str(),
        settings.join(", ")
    );
    Err(Problem::wrong_state(detail))
}

fn check_cpus(cpus: u32, now: &Snapshot) -> Result<(), String> {
    let most = now.threads.clamp(1, CPUS_MAX);
    if (1..=most).contains(&cpus) {
        return Ok(());
    }
    Err(format!("A machine here can have 1 to {most} CPUs (this host has {} threads).", now.threads))
}

/// A moment of the coming year.
fn check_schedule(at: Timestamp, now: Timestamp) -> Result<(), String> {
    if at <= now {
        return Err("This moment is over. Give a later one, or none to make the machine now.".into());
    }
    if at > now.plus_seconds(SCHEDULE_MAX_S) {
        return Err("A machine can be planned for the coming year.".into());
    }
    Ok(())
}

/// The limits within which a machine of `cpus` and `memory_mib` can change while it runs.
fn check_headroom(wrong: &mut Fields, room: &Headroom, cpus: u32, memory_mib: u64, now: &Snapshot) {
    if let Some(most) = room.cpus_max {
        let pointer = "/headroom/cpus_max";
        wrong.check(pointer, check_cpus(most, now));
        if most < cpus {
            wrong.add(pointer, format!("The machine has {cpus} CPUs; it can't have fewer at most."));
        }
    }
    if let Some(most) = room.memory_max_mib {
        let pointer = "/headroom/memory_max_mib";
        wrong.check(pointer, check_memory(most, now));
        if most < memory_mib {
            wrong.add(pointer, format!("The machine has {memory_mib} MiB; it can't have less at most."));
        }
    }
    if let Some(least) = room.memory_min_mib {
        let pointer = "/headroom/memory_min_mib";
        wrong.check(pointer, check_memory(least, now));
        if least > memory_mib {
            wrong.add(pointer, format!("The machine has {memory_mib} MiB, which is less than this minimum."));
        }
    }
}

fn check_topology(topology: CpuTopology, cpus: u32) -> Result<(), String> {
    let CpuTopology { sockets, threads } = topology;
    if sockets == 0 || threads == 0 {
        return Err("A machine has at least one socket, and each core at least one thread.".into());
    }
    match topology.cores(cpus) {
        Some(_) => Ok(()),
        None => Err(format!(
            "{cpus} CPUs can't be shared out evenly over {sockets} sockets with {threads} threads a core: their number \
             must be a multiple of {}.",
            u64::from(sockets) * u64::from(threads)
        )),
    }
}

fn check_machine_type(machine_type: &str, now: &Snapshot) -> Result<(), String> {
    if now.offers.machine_types.iter().any(|known| known == machine_type) {
        return Ok(());
    }
    Err(match now.offers.machine_types.last() {
        Some(newest) => format!("This host has no such machine type; its newest is {newest}."),
        None => "This host does not know its machine types now, because libvirt does not answer.".into(),
    })
}

fn check_memory(memory_mib: u64, now: &Snapshot) -> Result<(), String> {
    if memory_mib < MEMORY_MIN_MIB {
        return Err(format!("A machine needs at least {MEMORY_MIN_MIB} MiB of memory."));
    }
    if memory_mib > now.memory_mib {
        return Err(format!("This host has {} MiB of memory; {memory_mib} MiB do not fit.", now.memory_mib));
    }
    Ok(())
}

fn check_boot(boot: &[BootDevice]) -> Result<(), String> {
    if boot.is_empty() {
        return Err("Name at least one boot device: disk, cdrom or network.".into());
    }
    for (index, device) in boot.iter().enumerate() {
        if boot[..index].contains(device) {
            return Err("Each boot device may be listed once.".into());
        }
    }
    Ok(())
}

/// Checks the disk at `at` of the request.
pub(super) fn check_disk(wrong: &mut Fields, at: &str, disk: &NewDisk, now: &Snapshot) {
    options::check_disk(wrong, at, disk.bus(), disk.options(), now);
    match disk {
        NewDisk::Blank { size_bytes, .. } => {
            wrong.check(&format!("{at}/size_bytes"), check_size(*size_bytes));
        }
        NewDisk::Image { image, size_bytes, .. } => {
            let content = match usable(*image, ImageKind::Disk, now) {
                Ok(content) => content,
                Err(detail) => return wrong.add(format!("{at}/image"), detail),
            };
            let Some(size) = size_bytes else { return };
            let pointer = format!("{at}/size_bytes");
            if *size < content.virtual_bytes {
                let least = human(content.virtual_bytes);
                wrong.add(pointer, format!("The image has {least}; the disk over it can't be smaller."));
            } else if *size > VOLUME_MAX_BYTES {
                wrong.check(&pointer, check_size(*size));
            }
        }
        NewDisk::Volume { volume, .. } => {
            wrong.check(&format!("{at}/volume"), check_free(*volume, now));
        }
    }
}

fn check_free(id: VolumeId, now: &Snapshot) -> Result<(), String> {
    let Some(volume) = now.volumes.get(&id) else { return Err("There is no such volume.".into()) };
    let name = &volume.spec.name;
    if volume.spec.vm.is_some() {
        return Err(format!("{name} belongs to a machine already."));
    }
    match (volume.status.phase, &volume.status.fault) {
        (Phase::Ready, None) => Ok(()),
        (Phase::Ready, Some(fault)) => Err(format!("{name} can't be used: {fault}.")),
        (Phase::Creating, _) => Err(format!("{name} is still being made.")),
        (Phase::Deleting, _) => Err(format!("{name} is being deleted.")),
    }
}

/// Further CD-ROM drives; what is in one of those it `has` stays whatever became of it.
fn check_drives(wrong: &mut Fields, drives: &[Option<ImageId>], has: &[Option<ImageId>], now: &Snapshot) {
    if drives.len() > MORE_CDROMS_MAX {
        let most = MORE_CDROMS_MAX + 1;
        wrong.add("/more_cdroms", format!("A machine has at most {most} CD-ROM drives, the first included."));
        return;
    }
    for (index, image) in drives.iter().enumerate().filter(|(_, image)| !has.contains(image)) {
        if let Some(image) = image {
            wrong.check(&format!("/more_cdroms/{index}"), check_iso(*image, now));
        }
    }
}

fn check_iso(image: ImageId, now: &Snapshot) -> Result<(), String> {
    usable(image, ImageKind::Iso, now).map(|_| ())
}

fn usable(id: ImageId, kind: ImageKind, now: &Snapshot) -> Result<&ImageContent, String> {
    let Some(image) = now.images.get(&id) else { return Err("There is no such image.".into()) };
    let name = &image.spec.name;
    match (image.status.phase, &image.status.content, &image.status.fault) {
        (Phase::Creating, _, _) | (Phase::Ready, None, _) => Err(format!("{name} is still being uploaded.")),
        (Phase::Deleting, _, _) => Err(format!("{name} is being deleted.")),
        (Phase::Ready, Some(_), Some(fault)) => Err(format!("{name} can't be used: {fault}.")),
        (Phase::Ready, Some(content), None) if content.kind == kind => Ok(content),
        (Phase::Ready, Some(content), None) => Err(match content.kind {
            ImageKind::Iso => format!("{name} is an ISO; put it into the CD-ROM drive."),
            ImageKind::Disk => format!("{name} is a disk image, not an ISO; add it as a disk."),
        }),
    }
}

fn check_nics(wrong: &mut Fields, vm: &CreateVm, now: &Snapshot) {
    if vm.nics.len() > NICS_MAX {
        wrong.add("/nics", format!("A machine holds at most {NICS_MAX} network cards."));
    }
    let mut given: BTreeSet<String> = BTreeSet::new();
    for (index, nic) in vm.nics.iter().enumerate().take(NICS_MAX) {
        let at = format!("/nics/{index}");
        check_network(wrong, &at, nic.network, now);
        options::check_nic(wrong, &at, &nic.options);
        let Some(mac) = nic.mac.as_ref().map(|mac| mac.to_ascii_lowercase()) else { continue };
        if check_free_mac(wrong, &at, &mac, now) && !given.insert(mac) {
            wrong.add(format!("{at}/mac"), "Two cards can't have the same address.");
        }
    }
}

/// Checks the network of the card at `at` of the request.
pub(super) fn check_network(wrong: &mut Fields, at: &str, network: NetworkId, now: &Snapshot) {
    match now.networks.get(&network).map(|n| (n.status.phase, &n.spec.name)) {
        None => wrong.add(format!("{at}/network"), "There is no such network."),
        Some((Phase::Deleting, name)) => {
            wrong.add(format!("{at}/network"), format!("{name} is being deleted."));
        }
        Some((Phase::Creating | Phase::Ready, _)) => {}
    }
}

/// Checks the address of the card at `at` of the request; true when it is one that no machine has.
pub(super) fn check_free_mac(wrong: &mut Fields, at: &str, mac: &str, now: &Snapshot) -> bool {
    let pointer = format!("{at}/mac");
    if let Err(detail) = check_mac(mac) {
        wrong.add(pointer, detail);
        return false;
    }
    let owner = now.vms.iter().find(|other| {
        let leaving = &other.spec.hardware.changes;
        other.spec.nics.iter().any(|nic| nic.mac == mac)
            || leaving.iter().any(|request| request.work.is_about_nic(mac))
    });
    if let Some(owner) = owner {
        wrong.add(pointer, format!("{} has a card with this address already.", owner.spec.name));
    }
    owner.is_none()
}

/// Checks a hardware address: six bytes in hex, of one card (not a group), not all zero.
fn check_mac(mac: &str) -> Result<(), String> {
    let rule = "write six bytes in hex such as 52:54:00:12:34:56, the first one even";
    let bytes: Vec<u8> = mac
        .split(':')
        .map_while(|part| if part.len() == 2 { u8::from_str_radix(part, 16).ok() } else { None })
        .collect();
    let well_formed = bytes.len() == 6 && mac.len() == 17;
    if !well_formed || bytes[0] & 1 == 1 || bytes.iter().all(|b| *b == 0) {
        return Err(format!("This is not the address of a card: {rule}."));
    }
    Ok(())
}

#[cfg(test)]
#[path = "vm_tests.rs"]
mod tests;
