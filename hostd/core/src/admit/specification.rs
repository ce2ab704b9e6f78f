//! Rules for customization specifications. Whether a name is free is looked at when the command is applied.

use super::Fields;
use crate::customize;
use crate::snapshot::Snapshot;
use hostd_types::command::SpecificationCommand;
use hostd_types::name::{check_description, check_name};
use hostd_types::*;

/// May this be specified so?
pub(super) fn admit(command: &SpecificationCommand, now: &Snapshot) -> Result<(), Problem> {
    let mut wrong = Fields::default();
    match command {
        SpecificationCommand::Create { specification, .. } => {
            wrong.check("/name", check_name(&specification.name));
            wrong.check("/description", check_description(&specification.description));
            customize::check_specification(&mut wrong, &specification.customization, None);
        }
        SpecificationCommand::Copy { name, .. } => wrong.check("/name", check_name(name)),
        SpecificationCommand::Edit { edit, .. } => {
            if let Some(name) = &edit.name {
                wrong.check("/name", check_name(name));
            }
            if let Some(description) = &edit.description {
                wrong.check("/description", check_description(description));
            }
            if let Some(to) = &edit.customization {
                let before = now.specification.as_ref().map(|before| &before.spec.customization);
                customize::check_specification(&mut wrong, to, before);
            }
        }
        SpecificationCommand::Delete { .. } => {}
    }
    wrong.done()
}
