//! Networks.

use super::lookup::{enumerate, refuse};
use super::scope::Scope;
use super::{Done, Step};
use hostd_types::command::NetworkCommand;
use hostd_types::*;
use std::collections::BTreeMap;

pub(crate) fn apply(scope: &mut Scope<'_>, command: &NetworkCommand) -> Step<Done> {
    match command {
        NetworkCommand::Create { id, host, network } => create(scope, *id, *host, network),
        NetworkCommand::Delete { id } => delete(scope, *id),
        NetworkCommand::Report { id, status } => report(scope, *id, status),
        NetworkCommand::Deleted { id } => deleted(scope, *id),
        NetworkCommand::CreateFailed { id, problem } => create_failed(scope, *id, problem),
    }
}

fn create(scope: &mut Scope<'_>, id: NetworkId, host: HostId, asked: &CreateNetwork) -> Step<Done> {
    scope.fresh::<Network>(id)?;
    scope.known_host(host)?;
    scope.free_name::<Network>(&asked.name)?;
    for other in networks_on(scope, host)? {
        check_apart(asked, &other)?;
    }
    let spec = NetworkSpec {
        name: asked.name.clone(),
        description: asked.description.clone(),
        host,
        mode: asked.mode.clone(),
        bridge: derived_bridge(id),
        for_clone: None,
        task: Some(scope.entry.task),
    };
    let network = Network { id, meta: scope.created(), spec, status: NetworkStatus::default() };
    scope.insert(&network)?;
    let subject = network.subject();
    scope.start_task(&subject, host)?;
    scope.accepted(&subject, asked.mode.described())?;
    Ok(Done::started(scope.entry.task, subject))
}

/// Makes isolated networks for the clone `vm`, one for each of `of`, the networks of cards of its source. Answers what each is in
/// place of.
pub(super) fn isolate(
    scope: &mut Scope<'_>,
    vm: VmId,
    clone: &str,
    host: HostId,
    of: impl Iterator<Item = NetworkId>,
) -> Step<BTreeMap<NetworkId, NetworkId>> {
    let mut made = BTreeMap::new();
    for network in of {
        if made.contains_key(&network) {
            continue;
        }
        let id = derived_network(vm, made.len());
        scope.fresh::<Network>(id)?;
        let stands_for = scope.find::<Network>(network)?.map(|network| network.spec.name);
        let stands_for = stands_for.unwrap_or_else(|| "a network that is not there any more".into());
        let spec = NetworkSpec {
            name: scope.numbered::<Network>(clone, &format!("-net{}", made.len()))?,
            description: format!("In place of {stands_for}."),
            host,
            mode: NetworkMode::Isolated,
            bridge: derived_bridge(id),
            for_clone: Some(vm),
            task: None,
        };
        let meta = scope.created();
        scope.insert(&Network { id, meta, spec, status: NetworkStatus::default() })?;
        made.insert(network, id);
    }
    Ok(made)
}

/// The clone `vm` is gone: so are its networks, but for those that other machines are plugged into by now.
pub(super) fn drop_isolated(scope: &mut Scope<'_>, vm: &Vm) -> Step {
    for mut network in networks_on(scope, vm.spec.host)? {
        if network.spec.for_clone != Some(vm.id) {
            continue;
        }
        if plugged(scope, network.id)?.is_empty() {
            network.status.phase = Phase::Deleting;
        } else {
            network.spec.for_clone = None;
        }
        scope.update(&network)?;
    }
    Ok(())
}

/// The names of the machines that are plugged into a network.
fn plugged(scope: &Scope<'_>, id: NetworkId) -> Step<Vec<String>> {
    scope.names(
        "SELECT DISTINCT vm.name FROM nic JOIN vm ON vm.id = nic.vm WHERE nic.network = ?1 ORDER BY vm.name",
        id,
    )
}

fn networks_on(scope: &Scope<'_>, host: HostId) -> Step<Vec<Network>> {
    let ids = scope.names("SELECT id FROM network WHERE host = ?1 ORDER BY id", host)?;
    ids.into_iter().map(|id| scope.get::<Network>(id)).collect()
}

/// Refuses a network that would take a subnet or card of another one of its host.
fn check_apart(asked: &CreateNetwork, other: &Network) -> Step {
    let name = &other.spec.name;
    match (&asked.mode, &other.spec.mode) {
        (NetworkMode::Nat { subnet: a }, NetworkMode::Nat { subnet: b }) => {
            if a.contains(&b.network()) || b.contains(&a.network()) {
                let detail = format!("The subnet overlaps with {b} of the network {name}; choose another.");
                return Err(refuse(ProblemKind::Conflict, "/subnet", detail));
            }
        }
        (NetworkMode::Bridged { nic: a }, NetworkMode::Bridged { nic: b }) => {
            if a == b {
                let detail =
                    format!("The card {a} is in the bridge of the network {name}; use that network.");
                return Err(refuse(ProblemKind::Conflict, "/nic", detail));
            }
        }
        (NetworkMode::Nat { .. }, NetworkMode::Bridged { .. } | NetworkMode::Isolated)
        | (NetworkMode::Bridged { .. }, NetworkMode::Nat { .. } | NetworkMode::Isolated)
        | (NetworkMode::Isolated, _) => {}
    }
    Ok(())
}

fn delete(scope: &mut Scope<'_>, id: NetworkId) -> Step<Done> {
    let mut network = scope.get::<Network>(id)?;
    match network.status.phase {
        Phase::Ready => {}
        Phase::Creating => {
            return Err(Problem::wrong_state("The network is still being made; wait for it.").into());
        }
        Phase::Deleting => return Err(Problem::wrong_state("The network is being deleted already.").into()),
    }
    let plugged = plugged(scope, id)?;
    if !plugged.is_empty() {
        let detail =
            format!("Machines are plugged into this network: {}. Delete them first.", enumerate(&plugged));
        return Err(Problem::new(ProblemKind::Conflict, detail).into());
    }
    network.spec.task = Some(scope.entry.task);
    network.status.phase = Phase::Deleting;
    scope.update(&network)?;
    let subject = network.subject();
    scope.start_task(&subject, network.spec.host)?;
    scope.accepted(&subject, "")?;
    Ok(Done::started(scope.entry.task, subject))
}

fn report(scope: &mut Scope<'_>, id: NetworkId, status: &NetworkStatus) -> Step<Done> {
    let mut network = scope.get::<Network>(id)?;
    let before = std::mem::replace(&mut network.status, status.clone());
    match before.phase {
        // What was seen before the deletion was asked for.
        Phase::Deleting => network.status.phase = Phase::Deleting,
        Phase::Creating => {
            if status.active {
                network.status.phase = Phase::Ready;
                if let Some(task) = network.spec.task.take() {
                    scope.end_task(task, None)?;
                }
            }
        }
        Phase::Ready => network.status.phase = Phase::Ready,
    }
    scope.update(&network)?;
    let subject = network.subject();
    scope.fault_event(&subject, before.fault.as_deref(), status.fault.as_deref())?;
    Ok(Done::about(subject))
}

fn deleted(scope: &mut Scope<'_>, id: NetworkId) -> Step<Done> {
    let network = scope.get::<Network>(id)?;
    if network.status.phase != Phase::Deleting {
        return Err(Problem::wrong_state("Nobody asked to delete this network.").into());
    }
    scope.remove(&network)?;
    if let Some(task) = network.spec.task {
        scope.end_task(task, None)?;
    }
    let subject = network.subject();
    scope.accepted(&subject, "")?;
    Ok(Done::about(subject))
}

fn create_failed(scope: &mut Scope<'_>, id: NetworkId, problem: &Problem) -> Step<Done> {
    let network = scope.get::<Network>(id)?;
    if network.status.phase != Phase::Creating {
        return Err(Problem::wrong_state("This network is not being made.").into());
    }
    scope.remove(&network)?;
    if let Some(task) = network.spec.task {
        scope.end_task(task, Some(problem.clone()))?;
    }
    let subject = network.subject();
    scope.event(scope.entry.command.name(), Some(&subject), EventResult::Failed, problem.detail.clone())?;
    Ok(Done::about(subject))
}
