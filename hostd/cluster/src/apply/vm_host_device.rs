//! Devices of its host that a machine has for itself.

use super::Step;
use super::lookup::{enumerate, refuse};
use super::scope::Scope;
use super::vm_device::check_free;
use hostd_types::*;

/// Names of the machines of a host that have a device, or have not let go of it yet.
const HOLDERS: &str = "
    SELECT name FROM vm WHERE host = ?1 AND (
        EXISTS (SELECT 1 FROM json_each(spec, '$.hardware.host_devices')
                WHERE json_extract(value, '$.id') = ?2)
        OR EXISTS (SELECT 1 FROM json_each(spec, '$.hardware.changes')
                WHERE json_extract(value, '$.work.device.id') = ?2))
    ORDER BY name";

pub(super) fn attach(
    scope: &Scope<'_>,
    vm: &mut Vm,
    found: Option<&HostDevice>,
) -> Step<(DeviceWork, String)> {
    let device = free(scope, vm.spec.host, found, "")?;
    vm.spec.hardware.host_devices.push(device.clone());
    Ok((DeviceWork::AttachHostDevice { device: device.id.clone() }, device.described()))
}

/// The devices for a new machine, each of which nobody else has.
pub(super) fn take(
    scope: &Scope<'_>,
    host: HostId,
    asked: &[AttachHostDevice],
    found: &[HostDevice],
) -> Step<Vec<HostDevice>> {
    let mut taken: Vec<HostDevice> = Vec::with_capacity(asked.len());
    for index in 0..asked.len() {
        let at = format!("/host_devices/{index}");
        let device = free(scope, host, found.get(index), &at)?;
        if taken.iter().any(|other| other.id == device.id) {
            let detail = "This device is listed twice.";
            return Err(refuse(ProblemKind::Invalid, &format!("{at}/device"), detail.into()));
        }
        taken.push(device.clone());
    }
    Ok(taken)
}

/// What a new machine is given, for its event.
pub(super) fn listed(devices: &[HostDevice]) -> String {
    let names: Vec<String> = devices.iter().map(HostDevice::described).collect();
    if names.is_empty() { String::new() } else { format!(", devices of the host: {}", names.join("; ")) }
}

/// The device at `at` of the request, when no machine of its host has it.
fn free<'a>(
    scope: &Scope<'_>,
    host: HostId,
    found: Option<&'a HostDevice>,
    at: &str,
) -> Step<&'a HostDevice> {
    let pointer = format!("{at}/device");
    let Some(device) = found else {
        return Err(Problem::field(&pointer, "The host has no such device.").into());
    };
    let holders: Vec<String> = {
        let mut query = scope.db.prepare_cached(HOLDERS)?;
        let rows = query.query_map([host.to_string(), device.id.clone()], |row| row.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    if holders.is_empty() {
        return Ok(device);
    }
    let detail = format!("{} has the {}. Detach it there first.", enumerate(&holders), device.described());
    Err(refuse(ProblemKind::Conflict, &pointer, detail))
}

pub(super) fn detach(vm: &mut Vm, id: &str) -> Step<(DeviceWork, String)> {
    let devices = &vm.spec.hardware.host_devices;
    let place = devices.iter().position(|device| device.id == id);
    let place = place.ok_or_else(|| Problem::not_found("device of the host in this machine", id))?;
    check_free(vm, |work| work.is_about_host_device(id), &format!("The {}", devices[place].described()))?;
    let device = vm.spec.hardware.host_devices.remove(place);
    let (detail, index) = (device.described(), u32::try_from(place).unwrap_or(u32::MAX));
    Ok((DeviceWork::DetachHostDevice { device, index }, detail))
}
