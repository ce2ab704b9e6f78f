//! Lines for the audit trail alone.

use super::scope::Scope;
use super::{Done, Step};
use hostd_types::command::AuditCommand;

pub(crate) fn audit(scope: &mut Scope<'_>, command: &AuditCommand) -> Step<Done> {
    scope.event(command.action.clone(), command.subject.as_ref(), command.result, command.detail.clone())?;
    Ok(Done { task: None, subject: command.subject.clone() })
}
