//! A host brings along the rows it had elsewhere.

use super::lookup::enumerate;
use super::scope::Scope;
use super::{Done, Step};
use crate::clash::{MOVING, Present, clashes};
use crate::rows::Resource;
use crate::schema;
use hostd_types::*;
use std::collections::BTreeMap;

/// In the place of a task that stayed behind.
const NO_TASK: TaskId = TaskId::from_uuid(uuid::Uuid::nil());

/// What becomes of the rows.
struct Plan {
    present: Present,
    /// New names by id.
    names: BTreeMap<String, String>,
    /// Rows that were there already.
    skipped: usize,
}

pub(crate) fn import(scope: &mut Scope<'_>, host: HostId, belongings: &Belongings) -> Step<Done> {
    let owner = scope.get::<Host>(host)?;
    check_owner(belongings, host)?;
    let present = present(scope)?;
    let clashes = clashes(belongings, &present, &owner.spec.name);
    let renamed: Vec<String> = clashes.iter().map(|c| format!("{} to {}", c.name, c.becomes)).collect();
    let names = clashes.into_iter().map(|c| (c.id, c.becomes)).collect();
    let mut plan = Plan { present, names, skipped: 0 };
    let networks = bring(scope, &mut plan, &belongings.networks, |network| {
        network.spec.task = None;
        &mut network.spec.name
    })?;
    let images = bring(scope, &mut plan, &belongings.images, |image| {
        image.spec.task = NO_TASK;
        &mut image.spec.name
    })?;
    let volumes = bring(scope, &mut plan, &belongings.volumes, |volume| {
        volume.spec.task = None;
        &mut volume.spec.name
    })?;
    for vm in belongings.vms.iter().filter(|vm| !plan.present.has(*vm)) {
        plug_in(scope, vm)?;
    }
    let folders = folders(scope)?;
    let vms = bring(scope, &mut plan, &belongings.vms, |vm| {
        // Folders are the cluster's, and stay behind.
        vm.spec.filing.folder = vm.spec.filing.folder.filter(|id| folders.contains(&id.to_string()));
        if let Some(power) = &mut vm.spec.power {
            power.task = NO_TASK;
        }
        if let Some(revert) = &mut vm.spec.snapshots.revert {
            revert.task = NO_TASK;
        }
        if let Some(deletion) = &mut vm.spec.deleting {
            deletion.task = NO_TASK;
        }
        &mut vm.spec.name
    })?;
    for snapshot in &belongings.snapshots {
        if scope.find::<Snapshot>(snapshot.id)?.is_none() {
            let mut snapshot = snapshot.clone();
            snapshot.spec.task = None;
            scope.insert(&snapshot)?;
        }
    }
    let mut detail = format!("networks: {networks}, images: {images}, volumes: {volumes}, machines: {vms}");
    if plan.skipped > 0 {
        detail = format!("{detail}; there already: {}", plan.skipped);
    }
    if !renamed.is_empty() {
        detail = format!("{detail}; renamed: {}", enumerate(&renamed));
    }
    let subject = owner.subject();
    scope.accepted(&subject, detail)?;
    Ok(Done::about(subject))
}

/// Refuses rows of another host.
fn check_owner(belongings: &Belongings, host: HostId) -> Step {
    let Belongings { networks, images, volumes, vms, snapshots } = belongings;
    let owners = networks
        .iter()
        .map(|network| (network.subject(), network.spec.host))
        .chain(images.iter().map(|image| (image.subject(), image.spec.host)))
        .chain(volumes.iter().map(|volume| (volume.subject(), volume.spec.host)))
        .chain(vms.iter().map(|vm| (vm.subject(), vm.spec.host)))
        .chain(snapshots.iter().map(|snapshot| (snapshot.subject(), snapshot.spec.host)));
    for (row, owner) in owners {
        if owner != host {
            let kind = row.kind.as_str();
            let detail =
                format!("The {kind} {} is another host's; a host brings its own rows alone.", row.name);
            return Err(Problem::new(ProblemKind::Invalid, detail).into());
        }
    }
    Ok(())
}

/// What there is of the kinds that move.
fn present(scope: &Scope<'_>) -> Step<Present> {
    let mut present = Present::default();
    for (kind, table) in MOVING {
        let mut query = scope.db.prepare_cached(&format!("SELECT id, name FROM {table}"))?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            present.add(kind, row.get(0)?, &row.get::<_, String>(1)?);
        }
    }
    Ok(present)
}

/// The folders there are.
fn folders(scope: &Scope<'_>) -> Step<Vec<String>> {
    if schema::level(scope.db)? < LIFE {
        return Ok(Vec::new());
    }
    scope.names("SELECT id FROM folder WHERE id <> ?1", "")
}

/// Writes the rows that are not there yet; tells how many. `settle` takes out what stayed behind and gives the name.
fn bring<T: Resource + Clone>(
    scope: &mut Scope<'_>,
    plan: &mut Plan,
    rows: &[T],
    settle: impl Fn(&mut T) -> &mut String,
) -> Step<usize> {
    let mut brought = 0;
    for row in rows {
        if plan.present.has(row) {
            plan.skipped += 1;
            continue;
        }
        let mut row = row.clone();
        let becomes = plan.names.get(&row.id_text());
        let name = settle(&mut row);
        if let Some(becomes) = becomes {
            name.clone_from(becomes);
            scope.touch(&mut row);
        }
        scope.insert(&row)?;
        brought += 1;
    }
    Ok(brought)
}

/// Writes the cards of a machine.
fn plug_in(scope: &mut Scope<'_>, vm: &Vm) -> Step {
    for (slot, nic) in nic_slots(&vm.spec.nics).into_iter().zip(&vm.spec.nics) {
        scope.write_nic(vm.id, slot as usize, nic.network, &nic.mac)?;
    }
    for request in &vm.spec.hardware.changes {
        if let DeviceWork::DetachNic { nic, .. } = &request.work {
            scope.write_nic(vm.id, nic.slot.unwrap_or_default() as usize, nic.network, &nic.mac)?;
        }
    }
    Ok(())
}
