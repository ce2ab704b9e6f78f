//! Devices of a machine: attached, changed, detached.
//!
//! The spec says at once what is wanted; a request beside it says what is still to be done, and how to undo it. What is on its
//! way out keeps its volume or its place in its network until it is out.

use super::scope::Scope;
use super::vm::{check_generation, check_not_deleting, release};
use super::vm_create::{NewVolume, attach, free_socket};
use super::{Done, Step, vm_clone, vm_device_held, vm_host_device, vm_room};
use hostd_types::*;

pub(crate) fn change(
    scope: &mut Scope<'_>,
    id: VmId,
    expect: Option<u64>,
    change: &DeviceChange,
) -> Step<Done> {
    let mut vm = scope.get::<Vm>(id)?;
    check_not_deleting(&vm)?;
    check_generation(&vm, expect)?;
    vm_clone::check_no_template(&vm, "changed")?;
    if vm.status.phase != Phase::Ready {
        let detail = format!("{} is still being made; wait until it is ready.", vm.spec.name);
        return Err(Problem::wrong_state(detail).into());
    }
    vm_device_held::check(scope, &vm, change)?;
    keep_places(&mut vm.spec);
    let (work, detail) = match change {
        DeviceChange::AttachDisk { id, disk } => attach_disk(scope, &mut vm, *id, disk)?,
        DeviceChange::DetachDisk { volume, delete } => detach_disk(scope, &mut vm, *volume, *delete)?,
        DeviceChange::GrowDisk { volume, size_bytes } => grow_disk(scope, &vm, *volume, *size_bytes)?,
        DeviceChange::EditDisk { volume, options } => edit_disk(scope, &mut vm, *volume, options)?,
        DeviceChange::AttachNic { nic } => attach_nic(scope, &mut vm, nic)?,
        DeviceChange::EditNic { mac, edit } => edit_nic(scope, &mut vm, mac, edit)?,
        DeviceChange::DetachNic { mac } => detach_nic(&mut vm, mac)?,
        DeviceChange::AttachHostDevice { found, .. } => {
            vm_host_device::attach(scope, &mut vm, found.as_ref())?
        }
        DeviceChange::DetachHostDevice { device } => vm_host_device::detach(&mut vm, device)?,
    };
    vm.spec.hardware.changes.push(DeviceRequest { task: scope.entry.task, late: false, work });
    scope.touch(&mut vm);
    scope.update(&vm)?;
    let subject = vm.subject();
    scope.start_task(&subject, vm.spec.host)?;
    scope.accepted(&subject, detail)?;
    Ok(Done::started(scope.entry.task, subject))
}

/// From its first change on each device keeps the place that it had.
fn keep_places(spec: &mut VmSpec) {
    let (disks, nics) = (disk_slots(&spec.disks), nic_slots(&spec.nics));
    spec.disks.iter_mut().zip(disks).for_each(|(disk, slot)| disk.slot = Some(slot));
    spec.nics.iter_mut().zip(nics).for_each(|(nic, slot)| nic.slot = Some(slot));
}

/// Refuses a second change of one device while the first is under way.
pub(super) fn check_free(vm: &Vm, about: impl Fn(&DeviceWork) -> bool, what: &str) -> Step {
    if !vm.spec.hardware.changes.iter().any(|request| about(&request.work)) {
        return Ok(());
    }
    let detail = format!("{what} is being changed already; wait for that to end.");
    Err(Problem::wrong_state(detail).into())
}

fn attach_disk(
    scope: &mut Scope<'_>,
    vm: &mut Vm,
    id: VolumeId,
    asked: &NewDisk,
) -> Step<(DeviceWork, String)> {
    let spec = &vm.spec;
    vm_room::check_count(spec.disks.len(), DISKS_MAX, &spec.name, "disks")?;
    vm_room::check_place(spec, asked.options().boot, "")?;
    let new = NewVolume {
        id,
        vm: vm.id,
        host: spec.host,
        named_after: &spec.name,
        index: spec.disks.len(),
        at: String::new(),
    };
    let made = match asked {
        NewDisk::Blank { .. } | NewDisk::Image { .. } => true,
        NewDisk::Volume { .. } => false,
    };
    let mut disk = attach(scope, &new, asked)?;
    let leaving = spec.hardware.changes.iter().filter_map(|request| match &request.work {
        DeviceWork::DetachDisk { disk, .. } => Some(disk),
        DeviceWork::AttachDisk { .. }
        | DeviceWork::GrowDisk { .. }
        | DeviceWork::EditDisk { .. }
        | DeviceWork::AttachNic { .. }
        | DeviceWork::EditNic { .. }
        | DeviceWork::DetachNic { .. }
        | DeviceWork::AttachHostDevice { .. }
        | DeviceWork::DetachHostDevice { .. } => None,
    });
    let there = spec.disks.iter().chain(leaving).filter(|other| other.bus == disk.bus);
    disk.slot = Some(free_slot(there.filter_map(|other| other.slot)));
    let volume = disk.volume;
    vm.spec.disks.push(disk);
    let name = scope.get::<Volume>(volume)?.spec.name;
    Ok((DeviceWork::AttachDisk { volume, made }, format!("disk {name}")))
}

/// The disk's place in the list and its volume.
fn disk_of(scope: &Scope<'_>, vm: &Vm, volume: VolumeId) -> Step<(usize, Volume)> {
    let place = vm.spec.disks.iter().position(|disk| disk.volume == volume);
    let place = place.ok_or_else(|| Problem::not_found("disk of this machine", volume))?;
    let volume = scope.get::<Volume>(volume)?;
    check_free(vm, |work| work.is_about_disk(volume.id), &format!("The disk {}", volume.spec.name))?;
    Ok((place, volume))
}

fn detach_disk(scope: &Scope<'_>, vm: &mut Vm, volume: VolumeId, delete: bool) -> Step<(DeviceWork, String)> {
    let (place, volume) = disk_of(scope, vm, volume)?;
    let disk = vm.spec.disks.remove(place);
    let fate = if delete { "to be deleted" } else { "its volume stays" };
    let index = u32::try_from(place).unwrap_or(u32::MAX);
    Ok((DeviceWork::DetachDisk { disk, index, delete }, format!("disk {}, {fate}", volume.spec.name)))
}

fn grow_disk(scope: &Scope<'_>, vm: &Vm, volume: VolumeId, size_bytes: u64) -> Step<(DeviceWork, String)> {
    let (_, volume) = disk_of(scope, vm, volume)?;
    let VolumeSpec { name, size_bytes: now, .. } = &volume.spec;
    if size_bytes <= *now {
        let detail = format!("The disk {name} has {now} bytes; a disk can only become larger.");
        return Err(Problem::field("/size_bytes", detail).into());
    }
    let detail = format!("disk {name} from {now} to {size_bytes} bytes");
    Ok((DeviceWork::GrowDisk { volume: volume.id, size_bytes }, detail))
}

fn edit_disk(
    scope: &Scope<'_>,
    vm: &mut Vm,
    volume: VolumeId,
    options: &DiskOptions,
) -> Step<(DeviceWork, String)> {
    let (place, volume) = disk_of(scope, vm, volume)?;
    vm_room::check_place(&vm.spec, options.boot, &volume.id.to_string())?;
    let disk = &mut vm.spec.disks[place];
    let before = disk.clone();
    disk.options = options.clone();
    Ok((DeviceWork::EditDisk { before }, format!("options of disk {}", volume.spec.name)))
}

fn attach_nic(scope: &mut Scope<'_>, vm: &mut Vm, asked: &NewNic) -> Step<(DeviceWork, String)> {
    let Some(mac) = asked.mac.as_ref().map(|mac| mac.to_ascii_lowercase()) else {
        return Err(Problem::field("/mac", "The card has no hardware address.").into());
    };
    let leaving = vm.spec.hardware.changes.iter().filter_map(|request| match &request.work {
        DeviceWork::DetachNic { nic, .. } => Some(nic),
        DeviceWork::AttachDisk { .. }
        | DeviceWork::DetachDisk { .. }
        | DeviceWork::GrowDisk { .. }
        | DeviceWork::EditDisk { .. }
        | DeviceWork::AttachNic { .. }
        | DeviceWork::EditNic { .. }
        | DeviceWork::AttachHostDevice { .. }
        | DeviceWork::DetachHostDevice { .. } => None,
    });
    let there: Vec<&VmNic> = vm.spec.nics.iter().chain(leaving).collect();
    if there.iter().any(|nic| nic.mac == mac) {
        let detail = format!("The machine has a card with the address {mac} already; choose another.");
        return Err(Problem::field("/mac", detail).into());
    }
    vm_room::check_count(vm.spec.nics.len(), NICS_MAX, &vm.spec.name, "network cards")?;
    vm_room::check_place(&vm.spec, asked.options.boot, "")?;
    let slot = free_slot(there.iter().filter_map(|nic| nic.slot));
    free_socket(scope, vm.spec.host, asked.network, &mac, "")?;
    scope.write_nic(vm.id, slot as usize, asked.network, &mac)?;
    let nic = VmNic {
        network: asked.network,
        mac: mac.clone(),
        model: asked.model,
        slot: Some(slot),
        unplugged: false,
        options: asked.options,
    };
    vm.spec.nics.push(nic);
    let detail = format!("card {mac} on {}", scope.get::<Network>(asked.network)?.spec.name);
    Ok((DeviceWork::AttachNic { mac }, detail))
}

fn nic_of(vm: &Vm, mac: &str) -> Step<usize> {
    let place = vm.spec.nics.iter().position(|nic| nic.mac.eq_ignore_ascii_case(mac));
    let place = place.ok_or_else(|| Problem::not_found("network card of this machine", mac))?;
    check_free(vm, |work| work.is_about_nic(&vm.spec.nics[place].mac), &format!("The card {mac}"))?;
    Ok(place)
}

fn edit_nic(scope: &mut Scope<'_>, vm: &mut Vm, mac: &str, edit: &EditNic) -> Step<(DeviceWork, String)> {
    let place = nic_of(vm, mac)?;
    let before = vm.spec.nics[place].clone();
    let mut said = Vec::new();
    if let Some(network) = edit.network.filter(|network| *network != before.network) {
        free_socket(scope, vm.spec.host, network, &before.mac, "")?;
        move_nic(scope, vm.id, &before, network)?;
        vm.spec.nics[place].network = network;
        said.push(format!("on {}", scope.get::<Network>(network)?.spec.name));
    }
    if let Some(plugged) = edit.plugged {
        vm.spec.nics[place].unplugged = !plugged;
        said.push(if plugged { "cable in" } else { "cable pulled" }.to_owned());
    }
    if let Some(options) = edit.options {
        vm_room::check_place(&vm.spec, options.boot, &before.mac)?;
        vm.spec.nics[place].options = options;
        said.push("its limits".to_owned());
    }
    Ok((DeviceWork::EditNic { before }, format!("card {mac}: {}", said.join(", "))))
}

fn move_nic(scope: &Scope<'_>, vm: VmId, nic: &VmNic, to: NetworkId) -> Step {
    scope.drop_nic(vm, nic.network, &nic.mac)?;
    scope.write_nic(vm, nic.slot.unwrap_or_default() as usize, to, &nic.mac)
}

fn detach_nic(vm: &mut Vm, mac: &str) -> Step<(DeviceWork, String)> {
    let place = nic_of(vm, mac)?;
    let nic = vm.spec.nics.remove(place);
    let index = u32::try_from(place).unwrap_or(u32::MAX);
    let detail = format!("card {}", nic.mac);
    Ok((DeviceWork::DetachNic { nic, index }, detail))
}

pub(crate) fn changed(scope: &mut Scope<'_>, id: VmId, task: TaskId, end: &ChangeEnd) -> Step<Done> {
    let mut vm = scope.get::<Vm>(id)?;
    let subject = vm.subject();
    let changes = &mut vm.spec.hardware.changes;
    let Some(place) = changes.iter().position(|request| request.task == task) else {
        return Err(Problem::wrong_state("No such change of a device is under way.").into());
    };
    let problem = match end {
        ChangeEnd::Later { problem } => {
            changes[place].late = true;
            scope.update(&vm)?;
            problem.as_ref()
        }
        ChangeEnd::Done => {
            let request = changes.remove(place);
            let deletes = finish(scope, &vm, request.work, task)?;
            scope.update(&vm)?;
            if deletes {
                // Its task ends when the file is gone.
                return Ok(Done::about(subject));
            }
            None
        }
        ChangeEnd::Failed { problem } => {
            let request = changes.remove(place);
            undo(scope, &mut vm, request.work)?;
            scope.touch(&mut vm);
            scope.update(&vm)?;
            Some(problem)
        }
    };
    let action = scope.end_task(task, problem.cloned())?;
    if let (Some(action), Some(problem)) = (action, problem) {
        scope.event(action, Some(&subject), EventResult::Failed, problem.detail.clone())?;
    }
    Ok(Done::about(subject))
}

/// What follows from a change that is done; true when a volume is deleted after it.
fn finish(scope: &mut Scope<'_>, vm: &Vm, work: DeviceWork, task: TaskId) -> Step<bool> {
    match work {
        DeviceWork::DetachDisk { disk, delete, .. } => {
            let Some(volume) = scope.find::<Volume>(disk.volume)? else { return Ok(false) };
            if delete {
                doom(scope, volume, Some(task))?
            } else {
                release(scope, volume)?
            }
            return Ok(delete);
        }
        DeviceWork::GrowDisk { volume, size_bytes } => {
            if let Some(mut volume) = scope.find::<Volume>(volume)? {
                volume.spec.size_bytes = volume.spec.size_bytes.max(size_bytes);
                scope.touch(&mut volume);
                scope.update(&volume)?;
            }
        }
        DeviceWork::DetachNic { nic, .. } => scope.drop_nic(vm.id, nic.network, &nic.mac)?,
        DeviceWork::AttachDisk { .. }
        | DeviceWork::EditDisk { .. }
        | DeviceWork::AttachNic { .. }
        | DeviceWork::EditNic { .. }
        | DeviceWork::AttachHostDevice { .. }
        | DeviceWork::DetachHostDevice { .. } => {}
    }
    Ok(false)
}

/// A volume that goes with its file.
fn doom(scope: &mut Scope<'_>, mut volume: Volume, task: Option<TaskId>) -> Step {
    volume.spec.vm = None;
    volume.spec.task = task;
    volume.status.phase = Phase::Deleting;
    scope.touch(&mut volume);
    scope.update(&volume)
}

/// Puts everything back as it was before a change that can't be done.
fn undo(scope: &mut Scope<'_>, vm: &mut Vm, work: DeviceWork) -> Step {
    let spec = &mut vm.spec;
    match work {
        DeviceWork::AttachDisk { volume, made } => {
            spec.disks.retain(|disk| disk.volume != volume);
            match scope.find::<Volume>(volume)? {
                Some(volume) if made => doom(scope, volume, None)?,
                Some(volume) => release(scope, volume)?,
                None => {}
            }
        }
        DeviceWork::DetachDisk { disk, index, .. } => {
            spec.disks.insert((index as usize).min(spec.disks.len()), disk);
        }
        DeviceWork::GrowDisk { .. } => {}
        DeviceWork::EditDisk { before } => {
            if let Some(disk) = spec.disks.iter_mut().find(|disk| disk.volume == before.volume) {
                *disk = before;
            }
        }
        DeviceWork::AttachNic { mac } => {
            if let Some(place) = spec.nics.iter().position(|nic| nic.mac == mac) {
                let nic = spec.nics.remove(place);
                scope.drop_nic(vm.id, nic.network, &nic.mac)?;
            }
        }
        DeviceWork::EditNic { before } => {
            if let Some(nic) = spec.nics.iter_mut().find(|nic| nic.mac == before.mac) {
                let now = std::mem::replace(nic, before.clone());
                if now.network != before.network {
                    move_nic(scope, vm.id, &now, before.network)?;
                }
            }
        }
        DeviceWork::DetachNic { nic, index } => {
            spec.nics.insert((index as usize).min(spec.nics.len()), nic);
        }
        DeviceWork::AttachHostDevice { device } => {
            spec.hardware.host_devices.retain(|there| there.id != device);
        }
        DeviceWork::DetachHostDevice { device, index } => {
            let devices = &mut spec.hardware.host_devices;
            devices.insert((index as usize).min(devices.len()), device);
        }
    }
    Ok(())
}
