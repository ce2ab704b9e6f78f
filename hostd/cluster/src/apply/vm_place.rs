//! Which host runs a machine: the one that its newest placement names, and no other.

use super::lookup::enumerate;
use super::scope::Scope;
use super::vm::{check_not_deleting, replace_pending};
use super::{Done, Step};
use hostd_types::*;

pub(crate) fn place(scope: &mut Scope<'_>, id: VmId, host: HostId, epoch: u64) -> Step<Done> {
    let mut vm = scope.get::<Vm>(id)?;
    check_not_deleting(&vm)?;
    let name = vm.spec.name.clone();
    if vm.spec.placement_epoch != epoch {
        let now = vm.spec.placement_epoch;
        let detail = format!("{name} was placed meanwhile (placement {now}, not {epoch}).");
        return Err(Problem::new(ProblemKind::Conflict, detail).into());
    }
    let from = scope.get::<Host>(vm.spec.host)?;
    if host != from.id {
        check_freed(scope, &from, &name)?;
        check_portable(scope, &vm)?;
    }
    let to = scope.get::<Host>(host)?;
    if to.spec.state != HostState::Active || to.spec.leaving || to.spec.role != HostRole::Host {
        let detail = format!("{} can't take {name}: it gets no leases now, or is leaving.", to.spec.name);
        return Err(Problem::wrong_state(detail).into());
    }
    vm.spec.placement_epoch += 1;
    if host != from.id {
        replace_pending(scope, &vm, "placement")?;
        let power_done = vm.spec.power.as_ref().map_or(0, |p| p.seq).max(vm.status.power_done);
        let reason = Some(format!("{} ran it before", from.spec.name));
        // Nothing of it is there yet.
        let phase = vm.status.phase;
        vm.status = VmStatus { phase, state: VmState::Off, reason, power_done, ..VmStatus::default() };
        vm.spec.host = host;
    }
    scope.touch(&mut vm);
    scope.update(&vm)?;
    let subject = vm.subject();
    let (from, to) = (from.spec.name, to.spec.name);
    scope.accepted(&subject, format!("from {from} to {to}, placement {}", vm.spec.placement_epoch))?;
    Ok(Done::about(subject))
}

/// Refuses to take a machine from a host that may be running it.
fn check_freed(scope: &Scope<'_>, from: &Host, name: &str) -> Step {
    let hands_over = matches!(&scope.entry.by, Actor::Host { id } if *id == from.id);
    if from.spec.state == HostState::Fenced || hands_over {
        return Ok(());
    }
    let detail = format!("{name} is on {}, which was not fenced and does not hand it over.", from.spec.name);
    Err(Problem::wrong_state(detail).into())
}

/// Refuses to place a machine where its parts are not.
fn check_portable(scope: &Scope<'_>, vm: &Vm) -> Step {
    let mut parts = scope.names("SELECT name FROM volume WHERE vm = ?1 ORDER BY name", vm.id)?;
    for nic in &vm.spec.nics {
        parts.push(scope.get::<Network>(nic.network)?.spec.name);
    }
    for image in vm.spec.media() {
        parts.push(scope.get::<Image>(image)?.spec.name);
    }
    parts.extend(vm.spec.hardware.host_devices.iter().map(HostDevice::described));
    parts.extend(vm.spec.hardware.shares.iter().map(|share| format!("the shared folder {}", share.folder)));
    if parts.is_empty() {
        return Ok(());
    }
    let detail = format!("What {} uses is on its host alone: {}.", vm.spec.name, enumerate(&parts));
    Err(Problem::wrong_state(detail).into())
}
