//! How a disk or a network card behaves: caching, limits, its place in the boot order.

use crate::vm_options::{is_default, words};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How one disk behaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct DiskOptions {
    /// What is kept in the host's memory; the best that its file system can do when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<DiskCache>,
    /// How the host reads and writes; QEMU's default when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io: Option<DiskIo>,
    /// What the guest discards gives its room back.
    #[serde(skip_serializing_if = "Clone::clone")]
    pub discard: bool,
    /// Its place before all that the boot order names by kind, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<u32>,
    /// Most that it may read and write.
    #[serde(skip_serializing_if = "is_default")]
    pub limits: DiskLimits,
}

impl Default for DiskOptions {
    fn default() -> Self {
        Self { cache: None, io: None, discard: true, boot: None, limits: DiskLimits::default() }
    }
}

/// What of a disk is kept in the host's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiskCache {
    /// Nothing; the disk's own cache is used.
    None,
    /// Reads and writes; a write counts when the guest flushes.
    Writeback,
    /// Reads; a write counts when it is on the disk.
    Writethrough,
    /// Nothing; a write counts when it is on the disk.
    Directsync,
}

/// How the host reads and writes for a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiskIo {
    /// By threads, with any cache.
    Threads,
    /// By Linux AIO, which needs cache `none` or `directsync`.
    Native,
    /// By io_uring.
    IoUring,
}

words! {
    DiskCache { None = "none", Writeback = "writeback", Writethrough = "writethrough", Directsync = "directsync" }
    DiskIo { Threads = "threads", Native = "native", IoUring = "io_uring" }
}

/// Most that a disk may read and write a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct DiskLimits {
    /// Reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_iops: Option<Rate>,
    /// Writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_iops: Option<Rate>,
    /// Bytes read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<Rate>,
    /// Bytes written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_bytes: Option<Rate>,
}

impl DiskLimits {
    /// Each with its name in the API and libvirt's.
    pub fn named(&self) -> [(&'static str, &'static str, Option<Rate>); 4] {
        [
            ("read_iops", "read_iops_sec", self.read_iops),
            ("write_iops", "write_iops_sec", self.write_iops),
            ("read_bytes", "read_bytes_sec", self.read_bytes),
            ("write_bytes", "write_bytes_sec", self.write_bytes),
        ]
    }
}

/// A limit, with what may be more for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rate {
    /// Most in a second.
    #[schema(minimum = 1)]
    pub per_second: u64,
    /// Most in a second while it had less before; never less than `per_second`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u64>,
    /// How long that may last, seconds; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst_seconds: Option<u64>,
}

/// How one network card behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct NicOptions {
    /// Its place before all that the boot order names by kind, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<u32>,
    /// Most that it receives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbound: Option<Bandwidth>,
    /// Most that it sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound: Option<Bandwidth>,
}

/// A limit of a card's traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Bandwidth {
    /// Most over time, KiB a second.
    #[schema(minimum = 1)]
    pub average_kib: u32,
    /// Most in a burst, KiB a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_kib: Option<u32>,
    /// How much may come at that speed, KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst_kib: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_say_nothing_and_the_words_are_those_of_the_wire() {
        assert_eq!(serde_json::to_value(DiskOptions::default()).unwrap(), serde_json::json!({}));
        assert_eq!(serde_json::from_str::<DiskOptions>("{}").unwrap(), DiskOptions::default());
        assert_eq!(serde_json::to_value(NicOptions::default()).unwrap(), serde_json::json!({}));
        for cache in DiskCache::ALL {
            assert_eq!(serde_json::to_value(cache).unwrap(), cache.as_str());
        }
        for io in DiskIo::ALL {
            assert_eq!(serde_json::to_value(io).unwrap(), io.as_str());
        }
    }
}
