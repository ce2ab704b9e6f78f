//! Typed identifiers: a bare UUID appears in no signature.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use utoipa::ToSchema;
use uuid::Uuid;

/// The text is not an identifier (a UUID such as `0192c1d4-7b1e-7c3a-9d3e-2f6a1b0c4d5e`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadId;

impl fmt::Display for BadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an identifier (a UUID)")
    }
}

impl std::error::Error for BadId {}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        #[schema(value_type = String, format = "uuid")]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh identifier, ordered by time (UUID version 7, RFC 9562). Never call this in `apply`.
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
            /// Wraps a UUID that came from elsewhere (libvirt, a derivation).
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }
            /// The UUID itself.
            pub const fn uuid(&self) -> Uuid {
                self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                Uuid::parse_str(text).map(Self).map_err(|_| BadId)
            }
        }
    )+};
}

ids! {
    /// A host: one machine running `hostd`.
    HostId,
    /// A cluster of hosts; a host alone is a cluster of one.
    ClusterId,
    /// A join token.
    JoinTokenId,
    /// A virtual machine; the same UUID is its libvirt domain's.
    VmId,
    /// A disk of a virtual machine.
    VolumeId,
    /// A snapshot of a machine's disks.
    SnapshotId,
    /// A layer of a volume.
    LayerId,
    /// An uploaded disk image or ISO.
    ImageId,
    /// A network that virtual machines attach to.
    NetworkId,
    /// Long work somebody can watch.
    TaskId,
    /// A person who can log in.
    UserId,
    /// An API token.
    TokenId,
    /// A link to a machine's consoles.
    ConsoleLinkId,
    /// Somebody at a console, as long as they are.
    ViewerId,
    /// A browser's session.
    SessionId,
    /// A folder of machines.
    FolderId,
    /// A saved view of a list.
    ViewId,
    /// A customization specification.
    SpecificationId,
    /// One submitted request; the same id submitted twice acts once.
    RequestId,
}

impl LayerId {
    /// The layer that a volume was made with.
    pub const BASE: LayerId = LayerId(Uuid::nil());
}

impl Default for LayerId {
    fn default() -> Self {
        Self::BASE
    }
}

/// A member's identity in the replicated log: random, never used again. A host that leaves and joins gets a new one, so
/// that nothing it wrote before is taken for what it writes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, example = "9f86d081884c7d65")]
pub struct NodeId(pub u64);

impl NodeId {
    /// A fresh one. Never call this in `apply`.
    pub fn random() -> Self {
        let (high, low) = Uuid::new_v4().as_u64_pair();
        // Both halves carry fixed bits of the UUID; mixed, every bit is random.
        Self(high ^ low.rotate_left(32))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for NodeId {
    type Err = BadNodeId;
    fn from_str(text: &str) -> Result<Self, BadNodeId> {
        let digits = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        u64::from_str_radix(text, 16).ok().filter(|_| digits).map(Self).ok_or(BadNodeId)
    }
}

/// The text is not a node's identity (16 hexadecimal digits).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadNodeId;

impl fmt::Display for BadNodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a node's identity (16 hexadecimal digits)")
    }
}

impl std::error::Error for BadNodeId {}

// As text: JSON's numbers lose the lower bits of some.
impl Serialize for NodeId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
