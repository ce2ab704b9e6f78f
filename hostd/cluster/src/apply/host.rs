//! Hosts report themselves; people name them.

use super::join::was_removed;
use super::lookup::enumerate;
use super::scope::Scope;
use super::{Done, Step, lease};
use hostd_types::command::HostCommand;
use hostd_types::*;

pub(crate) fn apply(scope: &mut Scope<'_>, command: &HostCommand) -> Step<Done> {
    match command {
        HostCommand::Report { id, name, status } => report(scope, *id, name, status),
        HostCommand::Rename { id, name } => rename(scope, *id, name),
        HostCommand::SetLeaving { id, leaving } => set_leaving(scope, *id, *leaving),
        HostCommand::SetRole { id, role } => set_role(scope, *id, *role),
        HostCommand::Fence { id, epoch, leader, term } => lease::fence(scope, *id, *epoch, (*leader, *term)),
        HostCommand::Acknowledge { id, epoch } => lease::acknowledge(scope, *id, *epoch),
    }
}

fn report(scope: &mut Scope<'_>, id: HostId, name: &str, status: &HostStatus) -> Step<Done> {
    let host = match scope.find::<Host>(id)? {
        Some(mut host) => {
            host.status = status.clone();
            scope.update(&host)?;
            host
        }
        None => {
            // A member comes by joining; a report of one that was removed was on its way.
            if scope.cluster()?.is_some() {
                let removed = scope.removed_host(id)?;
                let unknown = || Problem::not_found("host", id);
                return Err(removed.as_ref().map_or_else(unknown, was_removed).into());
            }
            let spec = HostSpec {
                name: name.to_owned(),
                node: None,
                role: HostRole::Host,
                fence_epoch: 0,
                leaving: false,
                state: HostState::New,
            };
            let host = Host { id, meta: scope.created(), spec, status: status.clone() };
            scope.insert(&host)?;
            host
        }
    };
    Ok(Done::about(host.subject()))
}

fn rename(scope: &mut Scope<'_>, id: HostId, name: &str) -> Step<Done> {
    let mut host = scope.get::<Host>(id)?;
    // Other capitals are the same name, and the host's own.
    if !host.spec.name.eq_ignore_ascii_case(name) {
        scope.free_name::<Host>(name)?;
    }
    let before = std::mem::replace(&mut host.spec.name, name.to_owned());
    scope.touch(&mut host);
    scope.update(&host)?;
    let subject = host.subject();
    scope.accepted(&subject, format!("was {before}"))?;
    Ok(Done::about(subject))
}

fn set_leaving(scope: &mut Scope<'_>, id: HostId, leaving: bool) -> Step<Done> {
    let mut host = scope.get::<Host>(id)?;
    host.spec.leaving = leaving;
    scope.touch(&mut host);
    scope.update(&host)?;
    Ok(Done::about(host.subject()))
}

fn set_role(scope: &mut Scope<'_>, id: HostId, role: HostRole) -> Step<Done> {
    let mut host = scope.get::<Host>(id)?;
    if role == HostRole::Witness {
        for table in ["vm", "volume", "image", "network"] {
            let on_it = format!("SELECT name FROM {table} WHERE host = ?1 ORDER BY name");
            let names = scope.names(&on_it, id)?;
            if !names.is_empty() {
                let (name, names) = (&host.spec.name, enumerate(&names));
                let detail = format!("{name} can't be a witness while something is on it: {names}.");
                return Err(Problem::wrong_state(detail).into());
            }
        }
    }
    host.spec.role = role;
    scope.touch(&mut host);
    scope.update(&host)?;
    let subject = host.subject();
    scope.accepted(&subject, role.as_str())?;
    Ok(Done::about(subject))
}
