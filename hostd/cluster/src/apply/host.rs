//! Hosts report themselves; nothing else changes them.

use super::scope::Scope;
use super::{Done, Step};
use hostd_types::command::HostCommand;
use hostd_types::*;

pub(crate) fn apply(scope: &mut Scope<'_>, command: &HostCommand) -> Step<Done> {
    let HostCommand::Report { id, name, status } = command;
    let host = match scope.find::<Host>(*id)? {
        Some(mut host) => {
            if host.spec.name != *name {
                host.spec.name.clone_from(name);
                scope.touch(&mut host);
            }
            host.status = status.clone();
            scope.update(&host)?;
            host
        }
        None => {
            let spec = HostSpec { name: name.clone() };
            let host = Host { id: *id, meta: scope.created(), spec, status: status.clone() };
            scope.insert(&host)?;
            host
        }
    };
    Ok(Done::about(host.subject()))
}
