//! Customization specifications: what guests are told at their first boot, kept to be used for many machines.

use crate::meta::resource;
use crate::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most specifications of a project.
pub const SPECIFICATIONS_MAX: u64 = 500;

/// What is wanted of a specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpecificationSpec {
    /// Name, unique in the cluster, letter case ignored.
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// What machines get that are made with it. They keep a copy: later changes here are not theirs.
    pub customization: Customization,
}

/// A specification has nothing that could be seen beside what is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SpecificationStatus {}

resource! {
    /// A customization specification.
    Specification, SpecificationId, SpecificationSpec, SpecificationStatus, Kind::Specification
}

/// Body of `POST /api/v1/specifications`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateSpecification {
    /// Name.
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// What machines get.
    pub customization: Customization,
}

/// Body of `PATCH /api/v1/specifications/{id}`; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EditSpecification {
    /// New name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// New text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Another customization in the place of the one that is there; a password that is `kept` stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customization: Option<Customization>,
}

/// Body of `POST /api/v1/specifications/{id}/copy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CopySpecification {
    /// Name of the copy, which has the passwords, too.
    pub name: String,
}
