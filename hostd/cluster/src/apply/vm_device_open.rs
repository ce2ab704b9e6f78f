//! Changes of devices that are not made yet, in words.

use super::Step;
use super::scope::Scope;
use hostd_types::*;

/// Refuses while a device is being changed, or waits for the machine's power-off.
pub(super) fn check(scope: &Scope<'_>, vm: &Vm) -> Step {
    let changes = &vm.spec.hardware.changes;
    // What waits for a power-off is told first: waiting is no way out of it.
    let Some(open) = changes.iter().find(|request| request.late).or_else(|| changes.first()) else {
        return Ok(());
    };
    let (name, what) = (&vm.spec.name, words(scope, &open.work)?);
    let detail = if open.late {
        format!(
            "{what} waits for the next power-off of {name}. Shut {name} down, or force it off: the change is made then, and this \
             can be done."
        )
    } else {
        format!("{what} is under way at {name}; wait until that has ended.")
    };
    Err(Problem::wrong_state(detail).into())
}

/// The beginning of a sentence.
fn words(scope: &Scope<'_>, work: &DeviceWork) -> Step<String> {
    let disk = |what: &str, id: VolumeId| -> Step<String> {
        let name = scope.find::<Volume>(id)?.map_or_else(|| id.to_string(), |volume| volume.spec.name);
        Ok(format!("{what} the disk {name}"))
    };
    Ok(match work {
        DeviceWork::AttachDisk { volume, .. } => disk("Attaching", *volume)?,
        DeviceWork::DetachDisk { disk: there, .. } => disk("Detaching", there.volume)?,
        DeviceWork::GrowDisk { volume, .. } => disk("Growing", *volume)?,
        DeviceWork::EditDisk { before } => disk("Changing", before.volume)?,
        DeviceWork::AttachNic { mac } => format!("Attaching the network card {mac}"),
        DeviceWork::EditNic { before } => format!("Changing the network card {}", before.mac),
        DeviceWork::DetachNic { nic, .. } => format!("Detaching the network card {}", nic.mac),
        DeviceWork::AttachHostDevice { .. } => "Attaching a device of the host".into(),
        DeviceWork::DetachHostDevice { device, .. } => format!("Detaching the {}", device.described()),
    })
}
