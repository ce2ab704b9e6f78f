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
    let Some(device) = found else {
        return Err(Problem::field("/device", "The host has no such device.").into());
    };
    let holders: Vec<String> = {
        let mut query = scope.db.prepare_cached(HOLDERS)?;
        let rows = query.query_map([vm.spec.host.to_string(), device.id.clone()], |row| row.get(0))?;
        rows.collect::<Result<_, _>>()?
    };
    if !holders.is_empty() {
        let detail =
            format!("{} has the {}. Detach it there first.", enumerate(&holders), device.described());
        return Err(refuse(ProblemKind::Conflict, "/device", detail));
    }
    vm.spec.hardware.host_devices.push(device.clone());
    Ok((DeviceWork::AttachHostDevice { device: device.id.clone() }, device.described()))
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
