//! Commands about the cluster itself.

use crate::*;
use serde::{Deserialize, Serialize};

/// Commands about the cluster: who belongs to it, and what its members may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant)] // one an entry
pub enum ClusterCommand {
    /// A host alone becomes a cluster of one. Refused when the state has a cluster already.
    Found {
        /// Its id.
        id: ClusterId,
        /// Its name.
        name: String,
        /// What signs its members' certificates.
        authority: Authority,
        /// The founder.
        host: HostId,
        /// The founder's identity in the log.
        node: NodeId,
    },
    /// Allow commands and tables up to this level. Up to the present one nothing happens; above [`LEVEL`] consensus stops
    /// here.
    Raise {
        /// The level.
        level: u16,
    },
    /// Change the cluster's settings; absent ones stay.
    Edit {
        /// Its name.
        name: Option<String>,
        /// Most members that vote.
        voters: Option<u8>,
    },
    /// Choose the named model that machines in the CPU mode Flexible see; none: what all hosts can run.
    ChooseCpu {
        /// The model.
        model: Option<String>,
    },
    /// Allow one host to join.
    CreateToken {
        /// The token.
        id: JoinTokenId,
        /// BLAKE3 of its secret.
        secret: SecretHash,
        /// When it ends.
        expires_at: Timestamp,
    },
    /// Take a join token back. Refused when it was used.
    RevokeToken {
        /// The token.
        id: JoinTokenId,
    },
    /// A host comes in and uses its token up. The same node with the same token and the same
    /// public key in its status again is the same join.
    Join {
        /// The token.
        token: JoinTokenId,
        /// BLAKE3 of the secret shown.
        secret: SecretHash,
        /// The host.
        host: HostId,
        /// Its identity in the log.
        node: NodeId,
        /// Its hostname: its name, with a number when that is taken.
        name: String,
        /// What it comes for.
        role: HostRole,
        /// What it reports of itself.
        status: HostStatus,
    },
    /// A host brings rows along that it had before it joined or left. What is there already (same id) is left alone; names
    /// that are taken become `name-HOST`, then `name-HOST-2`, and so on.
    Import {
        /// The host.
        host: HostId,
        /// The rows; a large host brings them in several commands, what others refer to first.
        belongings: Belongings,
    },
    /// The majority was lost for ever and this host goes on alone: all others are removed, and what they send as members of
    /// an older generation is refused.
    Recover {
        /// The host that goes on.
        host: HostId,
        /// The generation that begins.
        generation: u64,
    },
    /// Begin to replace the authority that signs certificates. Refused while one is being replaced.
    RotateAuthority {
        /// The new one.
        authority: Authority,
        /// SHA-256 of its certificate, in hexadecimal.
        fingerprint: String,
    },
    /// Go on with the replacement without waiting for these members, which are off.
    RotateWithout {
        /// The members.
        hosts: Vec<HostId>,
    },
    /// The replacement's next phase. Refused while a member is waited for.
    StepRotation {
        /// The phase that ends.
        from: RotationPhase,
    },
    /// A host leaves or is removed: its row and the rows of everything on it are dropped here; machines and disks stay on
    /// the host itself. Refused for the last host.
    Remove {
        /// The host.
        host: HostId,
    },
}
