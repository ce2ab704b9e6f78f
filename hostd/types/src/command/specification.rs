//! Commands about customization specifications. No host is asked; all of it is rows.

use crate::*;
use serde::{Deserialize, Serialize};

/// Commands about customization specifications. All need the level [`LIFE`](crate::LIFE).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpecificationCommand {
    /// Make one.
    Create {
        /// Its id.
        id: SpecificationId,
        /// What is asked for.
        specification: CreateSpecification,
    },
    /// Make one that is the same as another, passwords included.
    Copy {
        /// Id of the copy.
        id: SpecificationId,
        /// What is copied.
        from: SpecificationId,
        /// Name of the copy.
        name: String,
    },
    /// Change one; machines keep what they got.
    Edit {
        /// The specification.
        id: SpecificationId,
        /// Refuse when its generation is another (`If-Match`).
        expect: Option<u64>,
        /// What changes.
        edit: EditSpecification,
    },
    /// Delete one; machines keep what they got.
    Delete {
        /// The specification.
        id: SpecificationId,
    },
}

impl SpecificationCommand {
    /// Name of the command in events.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            SpecificationCommand::Create { .. } => "specification.create",
            SpecificationCommand::Copy { .. } => "specification.copy",
            SpecificationCommand::Edit { .. } => "specification.edit",
            SpecificationCommand::Delete { .. } => "specification.delete",
        }
    }

    /// What it is about, as far as the command tells.
    pub fn subject(&self) -> Subject {
        let (id, name) = match self {
            SpecificationCommand::Create { id, specification } => (id, specification.name.as_str()),
            SpecificationCommand::Copy { id, name, .. } => (id, name.as_str()),
            SpecificationCommand::Edit { id, .. } | SpecificationCommand::Delete { id } => (id, ""),
        };
        let name = name.chars().take(name::NAME_MAX).collect();
        Subject { kind: Kind::Specification, id: id.to_string(), name }
    }
}
