//! Copies of machines, and templates.

use super::lookup::refuse;
use super::scope::Scope;
use super::vm::{check_generation, check_not_deleting};
use super::volume::POOL;
use super::{Done, Step, folder, network, snapshot, vm_clone_gone, volume_layers};
use hostd_types::command::NewSnapshot;
use hostd_types::*;
use std::collections::BTreeMap;

/// Refuses what a template can't do; `what` completes "can't be …".
pub(crate) fn check_no_template(vm: &Vm, what: &str) -> Step {
    if !vm.spec.lineage.template {
        return Ok(());
    }
    let detail = format!(
        "{} is a template, which can't be {what}. Make a machine of it again, or clone it.",
        vm.spec.name
    );
    Err(Problem::wrong_state(detail).into())
}

/// What the copy is made from.
struct Source {
    vm: Vm,
    /// The settings that are copied.
    spec: VmSpec,
    /// The snapshot, with its name, when it is a copy of one that is there.
    snapshot: Option<Snapshot>,
}

pub(crate) fn clone(
    scope: &mut Scope<'_>,
    id: VmId,
    source: VmId,
    asked: &CloneVm,
    first: Option<&NewSnapshot>,
) -> Step<Done> {
    scope.fresh::<Vm>(id)?;
    scope.free_name::<Vm>(&asked.name)?;
    let mut source = look(scope, source, asked, first)?;
    let host = source.vm.spec.host;
    scope.known_host(host)?;
    let mut left_out = vm_clone_gone::media(scope, &mut source.spec)?;
    let Source { vm: from, spec, .. } = &source;
    for image in spec.media() {
        scope.usable_image(image, ImageKind::Iso, host, "")?;
    }
    let filing = filing(scope, from, asked)?;
    if let Some(first) = first {
        let from = from.clone();
        snapshot::insert(scope, &from, first, None, "", true)?;
    }
    let mut disks = Vec::with_capacity(spec.disks.len());
    for (index, disk) in spec.disks.iter().enumerate() {
        let volume = make_disk(scope, id, index, &source, disk, asked, first)?;
        disks.push(VmDisk { volume, ..disk.clone() });
    }
    let is_test = asked.mode == CloneMode::Test;
    let gone = vm_clone_gone::networks(scope, &spec.nics)?;
    let alone = |nic: &VmNic| is_test || gone.contains(&nic.network);
    let alone = spec.nics.iter().filter(|nic| alone(nic)).map(|nic| nic.network);
    let isolated = network::isolate(scope, id, &asked.name, host, alone)?;
    let mut nics = cards(scope, id, host, &spec.nics, &isolated)?;
    if is_test {
        left_out.extend(vm_clone_gone::shares(&spec.hardware.shares));
    } else {
        left_out.extend(vm_clone_gone::pull(scope, &spec.nics, &mut nics, &gone)?);
    }
    let power = asked.start.then_some(PowerRequest {
        seq: 1,
        action: PowerAction::Start,
        task: scope.entry.task,
        at: scope.entry.at,
        deadline_s: SHUTDOWN_DEADLINE_S,
    });
    let of_snapshot = source.snapshot.as_ref().map(|snapshot| snapshot.spec.name.clone());
    let lineage = descent(from, of_snapshot.clone(), asked.mode, left_out.clone());
    let customization = asked.customization.clone().map(|mut custom| {
        custom.keep_passwords(from.spec.customization.as_ref());
        Customization { run: 1, ..custom }
    });
    let (options, hardware) = carried(spec, is_test);
    let spec = VmSpec {
        name: asked.name.clone(),
        description: asked.description.clone().unwrap_or_else(|| spec.description.clone()),
        scheduled_at: None,
        host,
        placement_epoch: 0,
        autostart: spec.autostart && !is_test,
        disks,
        nics,
        customization,
        snapshots: VmSnapshots::default(),
        options,
        hardware,
        power,
        filing: Filing { folder: filing.folder, notes: filing.notes },
        lineage,
        deleting: None,
        ..spec.clone()
    };
    let meta = Meta { labels: filing.tags, ..scope.created() };
    let vm = Vm { id, meta, spec, status: VmStatus::default() };
    scope.insert(&vm)?;
    let subject = vm.subject();
    scope.start_task(&subject, host)?;
    let of = match of_snapshot {
        Some(snapshot) => format!("snapshot {snapshot} of {}", from.spec.name),
        None => from.spec.name.clone(),
    };
    let without: String = left_out.iter().map(|said| format!(". {}", said.trim_end_matches('.'))).collect();
    scope.accepted(&subject, format!("{} copy of {of}{without}", asked.mode.as_str()))?;
    Ok(Done::started(scope.entry.task, subject))
}

/// Where a copy is filed.
fn filing(scope: &Scope<'_>, from: &Vm, asked: &CloneVm) -> Step<NewFiling> {
    let filing = asked.filing.clone().unwrap_or_else(|| NewFiling {
        folder: from.spec.filing.folder,
        tags: from.meta.labels.clone(),
        notes: from.spec.filing.notes.clone(),
    });
    if filing.folder.is_some() {
        folder::path(scope, filing.folder, "/filing/folder")?;
    }
    Ok(filing)
}

/// What a copy has of the options and the rest of the hardware. Devices of the host and reserved time are one machine's; a
/// shared folder would lead out of the isolation of a test.
fn carried(spec: &VmSpec, is_test: bool) -> (VmOptions, VmHardware) {
    let cpu_share = CpuShare { reservation_percent: None, ..spec.options.cpu_share };
    let shares = if is_test { Vec::new() } else { spec.hardware.shares.clone() };
    let hardware = VmHardware { headroom: spec.hardware.headroom, shares, ..VmHardware::default() };
    (VmOptions { cpu_share, ..spec.options.clone() }, hardware)
}

/// Where a copy comes from.
fn descent(from: &Vm, snapshot: Option<String>, mode: CloneMode, left_out: Vec<String>) -> Lineage {
    let source = CloneSource { vm: from.id, name: from.spec.name.clone(), snapshot, mode, left_out };
    Lineage { template: false, source: Some(source) }
}

/// Cards like those of the source, with addresses of their own; those of `isolated` networks are on these.
fn cards(
    scope: &mut Scope<'_>,
    id: VmId,
    host: HostId,
    of: &[VmNic],
    isolated: &BTreeMap<NetworkId, NetworkId>,
) -> Step<Vec<VmNic>> {
    let mut nics = Vec::with_capacity(of.len());
    for (index, (nic, slot)) in of.iter().zip(nic_slots(of)).enumerate() {
        let mac = derived_mac(id, index);
        let network = match isolated.get(&nic.network) {
            Some(own) => *own,
            None => {
                super::vm_create::free_socket(scope, host, nic.network, &mac, "")?;
                nic.network
            }
        };
        scope.write_nic(id, slot as usize, network, &mac)?;
        nics.push(VmNic { mac, network, ..nic.clone() });
    }
    Ok(nics)
}

/// Finds the source and refuses what can't be copied.
fn look(scope: &Scope<'_>, id: VmId, asked: &CloneVm, first: Option<&NewSnapshot>) -> Step<Source> {
    let vm = scope.get::<Vm>(id)?;
    check_not_deleting(&vm)?;
    let name = &vm.spec.name;
    if vm.status.phase != Phase::Ready {
        let detail = format!("{name} is still being made; wait until it is ready.");
        return Err(Problem::wrong_state(detail).into());
    }
    let Some(wanted) = asked.snapshot else {
        let needs = !vm.spec.lineage.template && !vm.spec.disks.is_empty();
        if needs != first.is_some() {
            let detail = format!("{name} was changed meanwhile; try again.");
            return Err(Problem::new(ProblemKind::Conflict, detail).into());
        }
        if needs {
            snapshot::check_free(scope, &vm)?;
        }
        return Ok(Source { spec: vm.spec.clone(), vm, snapshot: None });
    };
    let there = scope.find::<Snapshot>(wanted)?.filter(|snapshot| snapshot.spec.vm == id);
    let Some(snapshot) = there else {
        return Err(refuse(ProblemKind::Invalid, "/snapshot", format!("{name} has no such snapshot.")));
    };
    if snapshot.status.phase != Phase::Ready {
        let detail = format!("The snapshot {} is not there yet, or is being deleted.", snapshot.spec.name);
        return Err(refuse(ProblemKind::WrongState, "/snapshot", detail));
    }
    Ok(Source { spec: (*snapshot.spec.machine).clone(), vm, snapshot: Some(snapshot) })
}

/// Writes the row of a disk of the copy.
fn make_disk(
    scope: &mut Scope<'_>,
    id: VmId,
    index: usize,
    source: &Source,
    disk: &VmDisk,
    asked: &CloneVm,
    first: Option<&NewSnapshot>,
) -> Step<VolumeId> {
    let gone = || {
        let detail =
            format!("A disk of that time is not there any more, so {} can't be copied.", source.vm.spec.name);
        refuse(ProblemKind::Conflict, "/snapshot", detail)
    };
    let held = scope.find::<Volume>(disk.volume)?.filter(|held| held.spec.vm == Some(source.vm.id));
    let held = held.ok_or_else(gone)?;
    if held.status.phase != Phase::Ready {
        let detail = format!("The disk {} is not ready; wait for it.", held.spec.name);
        return Err(Problem::wrong_state(detail).into());
    }
    let (layer, snapshot) = match (&source.snapshot, first) {
        (Some(of), _) => (Some(*of.spec.layers.get(&held.id).ok_or_else(gone)?), Some(of.id)),
        (None, Some(first)) => (None, Some(first.id)),
        (None, None) => (Some(held.spec.layers.active), None),
    };
    let linked = asked.mode.is_linked();
    let under = volume_layers::depth(scope, &held, layer.unwrap_or(held.spec.layers.active))?;
    if linked && under >= LAYERS_MAX {
        let detail = format!(
            "What {} is copied from lies over {under} layers, and {LAYERS_MAX} are the most. Make a full clone, or delete snapshots \
             of it or of what it is a clone of.",
            asked.name
        );
        return Err(refuse(ProblemKind::Capacity, "/mode", detail));
    }
    let volume = derived_volume(id, index);
    scope.fresh::<Volume>(volume)?;
    let spec = VolumeSpec {
        name: scope.numbered::<Volume>(&asked.name, &format!("-disk{index}"))?,
        host: held.spec.host,
        pool: POOL.into(),
        format: if linked { DiskFormat::Qcow2 } else { held.spec.format },
        size_bytes: held.spec.size_bytes,
        image: None,
        adopted_from: None,
        vm: Some(id),
        task: None,
        layers: Layers::default(),
        origin: Some(VolumeOrigin { volume: held.id, layer, snapshot, linked }),
    };
    let meta = scope.created();
    scope.insert(&Volume { id: volume, meta, spec, status: VolumeStatus::default() })?;
    Ok(volume)
}

/// Makes a template of a machine that is off, or a machine of a template nothing depends on.
pub(crate) fn set_template(
    scope: &mut Scope<'_>,
    id: VmId,
    expect: Option<u64>,
    template: bool,
) -> Step<Done> {
    let mut vm = scope.get::<Vm>(id)?;
    check_not_deleting(&vm)?;
    check_generation(&vm, expect)?;
    let subject = vm.subject();
    let name = &vm.spec.name;
    if vm.spec.lineage.template == template {
        scope.accepted(&subject, "nothing changed")?;
        return Ok(Done::about(subject));
    }
    if template {
        let busy = vm.spec.power.as_ref().is_some_and(|request| request.seq > vm.status.power_done);
        if vm.status.phase != Phase::Ready || vm.status.state.is_active() || busy {
            let detail = format!("{name} must be off to become a template; shut it down first.");
            return Err(Problem::wrong_state(detail).into());
        }
        snapshot::check_free(scope, &vm)?;
    } else {
        let what = format!("{name} can't become a machine, which would change its disks");
        scope.check_no_copies_of(&vm, &what)?;
    }
    vm.spec.lineage.template = template;
    scope.touch(&mut vm);
    scope.update(&vm)?;
    scope.accepted(&subject, if template { "a template" } else { "a machine" })?;
    Ok(Done::about(subject))
}
