//! Commands about volumes and images.

use crate::*;
use serde::{Deserialize, Serialize};

/// Commands about volumes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeCommand {
    /// Make an empty, unattached volume. Starts a task.
    Create {
        /// Its id.
        id: VolumeId,
        /// The host whose pool gets it.
        host: HostId,
        /// What is asked for.
        volume: CreateVolume,
    },
    /// Delete an unattached volume. Starts a task.
    Delete {
        /// The volume.
        id: VolumeId,
    },
    /// What its host saw (ready, or a fault); a creation's task ends when it becomes ready.
    Report {
        /// The volume.
        id: VolumeId,
        /// What was seen.
        status: VolumeStatus,
    },
    /// Its file is gone: drop the row; the deletion's task succeeds.
    Deleted {
        /// The volume.
        id: VolumeId,
    },
    /// Making it failed: drop the row; the creation's task fails.
    CreateFailed {
        /// The volume.
        id: VolumeId,
        /// Why.
        problem: Problem,
    },
}

/// Commands about images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageCommand {
    /// An upload begins. Starts a task.
    Create {
        /// Its id.
        id: ImageId,
        /// The host that receives it.
        host: HostId,
        /// Name.
        name: String,
        /// Free text.
        description: String,
        /// Bytes announced, if they were.
        announced_bytes: Option<u64>,
        /// SHA-256 (hex) expected, if one was given.
        expected_sha256: Option<String>,
    },
    /// The upload ended well: the image can be used; its task succeeds.
    Ready {
        /// The image.
        id: ImageId,
        /// What it holds.
        content: ImageContent,
    },
    /// The upload failed and its file is gone: drop the row; its task fails.
    CreateFailed {
        /// The image.
        id: ImageId,
        /// Why.
        problem: Problem,
    },
    /// Delete it; refused while a disk is layered over it or a CD-ROM drive holds it. Starts a task.
    Delete {
        /// The image.
        id: ImageId,
    },
    /// Its file is gone: drop the row; the deletion's task succeeds.
    Deleted {
        /// The image.
        id: ImageId,
    },
    /// What its host saw of its file.
    Report {
        /// The image.
        id: ImageId,
        /// What is wrong, or nothing any more.
        fault: Option<String>,
    },
}
