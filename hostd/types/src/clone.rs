//! Copies of machines, and templates that copies are made of.

use crate::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// How a copy comes by its disks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CloneMode {
    /// Disks of its own: everything is copied, and nothing is needed of the source afterwards.
    #[default]
    Full,
    /// Disks that hold what differs from the source's. There at once; the source's disks can't go while it is there.
    Linked,
    /// Linked, with its cards on isolated networks of its own: to try something out, and to be thrown away. Cards that share a
    /// network at the source share one here.
    Test,
}

impl CloneMode {
    /// Every choice.
    pub const ALL: [CloneMode; 3] = [CloneMode::Full, CloneMode::Linked, CloneMode::Test];

    /// The word for it in the API and in forms.
    pub const fn as_str(self) -> &'static str {
        match self {
            CloneMode::Full => "full",
            CloneMode::Linked => "linked",
            CloneMode::Test => "test",
        }
    }
    /// Its disks are over those of the source.
    pub const fn is_linked(self) -> bool {
        match self {
            CloneMode::Full => false,
            CloneMode::Linked | CloneMode::Test => true,
        }
    }
}

/// Body of `POST /api/v1/vms/{id}/clone`. The copy is on the host of its source and has the same hardware; identifiers and
/// hardware addresses are new. A drive whose medium is gone is empty; a card whose network is gone is on an isolated network of
/// the copy, with its cable pulled. `lineage.source.left_out` of the copy says so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CloneVm {
    /// Name of the copy.
    pub name: String,
    /// Description; that of the source when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How it comes by its disks.
    #[serde(default)]
    pub mode: CloneMode,
    /// What it is a copy of: this snapshot of the source, with the hardware of that time; what the source is now when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotId>,
    /// How its guest sets itself up, as for a new machine. When absent it is that of the source without fixed addresses, which
    /// a test copy alone keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customization: Option<Customization>,
    /// Folder, tags and notes; those of the source when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filing: Option<NewFiling>,
    /// Ask the running guest's agent to write everything out before.
    #[serde(default)]
    pub quiesce: bool,
    /// Start the copy as soon as it is made.
    #[serde(default)]
    pub start: bool,
}

/// Body of `PUT /api/v1/vms/{id}/template`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetTemplate {
    /// `true`: it is a template, which can be copied and neither started nor changed; `false`: it is a machine.
    pub template: bool,
}

/// Where a machine comes from, and whether others are to come from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lineage {
    /// It is a template.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub template: bool,
    /// What it is a copy of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<CloneSource>,
}

impl Lineage {
    /// It is the default, which is left out of rows.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
    /// It is a test copy.
    pub fn is_test(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.mode == CloneMode::Test)
    }
}

/// What a machine is a copy of, as it was called then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CloneSource {
    /// The machine or template.
    pub vm: VmId,
    /// Its name.
    pub name: String,
    /// The name of the snapshot, when it is a copy of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// How it came by its disks.
    pub mode: CloneMode,
    /// What of its source's hardware was not there any more when it was made, and what it has instead, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// What a volume's content comes from. While a volume has an origin, the layer and all it is over stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VolumeOrigin {
    /// The other volume.
    pub volume: VolumeId,
    /// Its layer; absent until the snapshot that is taken for the copy is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<LayerId>,
    /// The snapshot that has the layer; absent when a template has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotId>,
    /// It is over that layer for good; otherwise the layer is copied, and the origin is forgotten then.
    pub linked: bool,
}

/// The layers of `source` that must stay as they are, because one of `volumes` is over them or copied from them.
pub fn pinned_layers<'a>(
    source: &Volume,
    volumes: impl IntoIterator<Item = &'a Volume>,
) -> BTreeSet<LayerId> {
    let origins = volumes.into_iter().filter_map(|volume| volume.spec.origin.as_ref());
    let layers = origins.filter(|origin| origin.volume == source.id).filter_map(|origin| origin.layer);
    layers.flat_map(|layer| source.spec.layers.chain(layer)).collect()
}
