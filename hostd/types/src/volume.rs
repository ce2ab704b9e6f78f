//! Volumes: the disks of virtual machines, files of one directory pool.

use crate::meta::resource;
use crate::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Smallest volume, bytes (1 MiB).
pub const VOLUME_MIN_BYTES: u64 = 1 << 20;
/// Largest volume, bytes (64 TiB).
pub const VOLUME_MAX_BYTES: u64 = 64 << 40;

/// Format of a disk file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiskFormat {
    /// QEMU's copy-on-write format.
    #[default]
    Qcow2,
    /// Plain bytes, sparse.
    Raw,
}

impl DiskFormat {
    /// Name as qemu-img and libvirt write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            DiskFormat::Qcow2 => "qcow2",
            DiskFormat::Raw => "raw",
        }
    }
}

/// What is wanted of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VolumeSpec {
    /// Name, unique in the cluster, letter case ignored.
    pub name: String,
    /// The host whose pool holds it.
    pub host: HostId,
    /// The pool: `local`.
    pub pool: String,
    /// File format.
    pub format: DiskFormat,
    /// Size the guest sees, bytes.
    pub size_bytes: u64,
    /// The image it is layered over, if any; that image can't be deleted meanwhile.
    pub image: Option<ImageId>,
    /// The machine it belongs to, if any.
    pub vm: Option<VmId>,
    /// The task of a deletion or of a creation on its own.
    pub task: Option<TaskId>,
    /// The files its data is in.
    #[serde(default, skip_serializing_if = "Layers::is_single")]
    pub layers: Layers,
    /// The layer of another volume that it is over, or copied from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<VolumeOrigin>,
    /// The file that it was before its machine was taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted_from: Option<String>,
}

/// What was last seen of a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VolumeStatus {
    /// Where it is in its life.
    pub phase: Phase,
    /// What is wrong with its file (`the file is missing`), if something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

resource! {
    /// A disk.
    Volume, VolumeId, VolumeSpec, VolumeStatus, Kind::Volume
}

/// Body of `POST /api/v1/volumes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateVolume {
    /// Name.
    pub name: String,
    /// Size, bytes.
    pub size_bytes: u64,
    /// File format.
    #[serde(default)]
    pub format: DiskFormat,
}
