//! Changing a machine's settings.

use super::scope::Scope;
use super::vm::{check_generation, check_not_deleting};
use super::{Done, Step, vm_clone, vm_customize, vm_room};
use crate::schema;
use hostd_types::*;

pub(crate) fn edit(scope: &mut Scope<'_>, id: VmId, expect: Option<u64>, edit: &EditVm) -> Step<Done> {
    let mut vm = scope.get::<Vm>(id)?;
    check_not_deleting(&vm)?;
    check_generation(&vm, expect)?;
    vm_clone::check_no_template(&vm, "changed")?;
    let before = vm.spec.clone();
    let EditVm {
        name,
        description,
        guest_os,
        cpus,
        cpu_mode,
        topology,
        machine_type,
        memory_mib,
        headroom,
        firmware,
        boot,
        autostart,
        options,
        cdrom,
        more_cdroms,
        shares,
        customization,
    } = edit;
    let spec = &mut vm.spec;
    set(&mut spec.name, name.as_ref());
    set(&mut spec.description, description.as_ref());
    set(&mut spec.guest_os, guest_os.as_ref());
    set(&mut spec.cpus, cpus.as_ref());
    set(&mut spec.cpu_mode, cpu_mode.as_ref());
    set(&mut spec.topology, topology.as_ref());
    if machine_type.is_some() {
        spec.machine_type.clone_from(machine_type);
    }
    set(&mut spec.memory_mib, memory_mib.as_ref());
    set(&mut spec.hardware.headroom, headroom.as_ref());
    set(&mut spec.firmware, firmware.as_ref());
    set(&mut spec.boot, boot.as_ref());
    set(&mut spec.autostart, autostart.as_ref());
    set(&mut spec.options, options.as_ref());
    match cdrom {
        None => {}
        Some(CdromChange::Eject) => spec.cdrom = None,
        Some(CdromChange::Insert { image }) => spec.cdrom = Some(*image),
    }
    set(&mut spec.more_cdroms, more_cdroms.as_ref());
    set(&mut spec.hardware.shares, shares.as_ref());

    if let Some(change) = customization {
        vm_customize::change(&mut vm, change)?;
    }
    let changed = differences(&before, &vm.spec);
    let while_off: Vec<&str> = changed.iter().filter(|(_, off)| *off).map(|(field, _)| *field).collect();
    // What can't change while it runs applies at its next power-off, where all members know that.
    let waits = schema::level(scope.db)? >= LIFE && vm.status.phase == Phase::Ready;
    let busy = vm.status.state.is_active() || vm.status.phase != Phase::Ready;
    if !while_off.is_empty() && busy && !waits {
        return Err(only_off(&before.name, vm.status.state, &while_off).into());
    }
    // A change of letter case alone keeps the name.
    if !before.name.eq_ignore_ascii_case(&vm.spec.name) {
        scope.free_name::<Vm>(&vm.spec.name)?;
    }
    check_media(scope, &before, &vm.spec)?;
    if options.is_some() {
        vm_room::check_reservation(scope, id, before.host, &vm.spec.options.cpu_share)?;
    }
    let subject = vm.subject();
    if changed.is_empty() {
        scope.accepted(&subject, "nothing changed")?;
        return Ok(Done::about(subject));
    }
    scope.touch(&mut vm);
    scope.update(&vm)?;
    let fields: Vec<&str> = changed.iter().map(|(field, _)| *field).collect();
    scope.accepted(&subject, format!("changed {}", fields.join(", ")))?;
    Ok(Done::about(subject))
}

/// What was not in a drive before must be an ISO of the machine's host.
fn check_media(scope: &mut Scope<'_>, before: &VmSpec, after: &VmSpec) -> Step<()> {
    if let Some(image) = after.cdrom.filter(|image| before.cdrom != Some(*image)) {
        scope.usable_image(image, ImageKind::Iso, after.host, "/cdrom/image")?;
    }
    for (index, image) in after.more_cdroms.iter().enumerate() {
        if let Some(image) = image.filter(|image| !before.more_cdroms.contains(&Some(*image))) {
            let pointer = format!("/more_cdroms/{index}");
            scope.usable_image(image, ImageKind::Iso, after.host, &pointer)?;
        }
    }
    Ok(())
}

fn only_off(name: &str, state: VmState, fields: &[&str]) -> Problem {
    let (state, fields) = (state.as_str(), fields.join(", "));
    Problem::wrong_state(format!("{name} is {state}; shut it down before changing its {fields}."))
}

fn set<T: Clone>(field: &mut T, new: Option<&T>) {
    if let Some(new) = new {
        field.clone_from(new);
    }
}

/// The settings that differ, and whether each may change only while the machine is off.
fn differences(before: &VmSpec, after: &VmSpec) -> Vec<(&'static str, bool)> {
    let all = [
        ("name", true, before.name != after.name),
        ("description", false, before.description != after.description),
        ("guest", true, before.guest_os != after.guest_os),
        ("CPUs", true, before.cpus != after.cpus),
        ("CPU mode", true, before.cpu_mode != after.cpu_mode),
        ("sockets and threads", true, before.topology != after.topology),
        ("machine type", true, before.machine_type != after.machine_type),
        ("memory", true, before.memory_mib != after.memory_mib),
        ("headroom", false, before.hardware.headroom != after.hardware.headroom),
        ("firmware", true, before.firmware != after.firmware),
        ("boot order", true, before.boot != after.boot),
        ("options", false, before.options != after.options),
        ("autostart", false, before.autostart != after.autostart),
        ("CD-ROM", false, before.cdrom != after.cdrom),
        ("CD-ROM drives", true, before.more_cdroms.len() != after.more_cdroms.len()),
        ("further CD-ROMs", false, before.more_cdroms != after.more_cdroms),
        ("shared folders", true, before.hardware.shares != after.hardware.shares),
        ("customization", false, before.customization != after.customization),
    ];
    all.into_iter().filter(|(_, _, differs)| *differs).map(|(field, off, _)| (field, off)).collect()
}
