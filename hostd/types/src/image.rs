//! Images: disk images and ISOs that people upload. An image never changes once it is ready.

use crate::meta::resource;
use crate::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an image is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageKind {
    /// Disks are layered over it.
    Disk,
    /// Goes into a CD-ROM drive.
    Iso,
}

/// What is wanted of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImageSpec {
    /// Name, unique in the cluster, letter case ignored.
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// The host that holds the file.
    pub host: HostId,
    /// Bytes the uploader announced, when it did.
    pub announced_bytes: Option<u64>,
    /// SHA-256 (hex) the uploader expects, when it gave one.
    pub expected_sha256: Option<String>,
    /// The upload's task, later the deletion's.
    pub task: TaskId,
}

/// What was found when the upload ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImageContent {
    /// Disk image or ISO.
    pub kind: ImageKind,
    /// Format of the file.
    pub format: DiskFormat,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Size a guest sees, bytes.
    pub virtual_bytes: u64,
    /// SHA-256 of the file, hex.
    pub sha256: String,
}

/// What was last seen of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImageStatus {
    /// Where it is in its life; `creating` while it is uploaded.
    pub phase: Phase,
    /// What it holds, once ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ImageContent>,
    /// What is wrong with its file, if something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

resource! {
    /// An uploaded disk image or ISO.
    Image, ImageId, ImageSpec, ImageStatus, Kind::Image
}
