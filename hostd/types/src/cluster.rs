//! The cluster: what all its members share, and how another host gets in.

use crate::meta::resource;
use crate::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Seconds a join token is valid at most.
pub const JOIN_TOKEN_MAX_S: u32 = 24 * 3600;

/// What is wanted of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClusterSpec {
    /// Name, for people; the first host's name at first.
    pub name: String,
    /// Most members that vote: 3, 5 or 7. The rest follow as learners.
    pub voters: u8,
    /// The named model that machines in the CPU mode Flexible see; what all hosts can run when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_model: Option<String>,
}

/// What the cluster is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClusterStatus {
    /// Commands and tables up to this level may be used: every member knows them.
    pub level: u16,
    /// Counts recoveries by hand: members of an older generation are refused and must join again.
    pub generation: u64,
    /// Authorities whose certificates are valid, the one that signs last. Two during a rotation.
    pub authorities: Vec<Authority>,
    /// The replacement of the authority, while it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
}

/// A replacement of the authority under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rotation {
    /// What is awaited.
    pub phase: RotationPhase,
    /// SHA-256 of the new authority's certificate, in hexadecimal.
    pub fingerprint: String,
    /// When it began.
    pub began: Timestamp,
    /// Members that are not waited for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<HostId>,
}

/// What a replacement of the authority waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RotationPhase {
    /// Every member trusts the new authority besides the old one, which still signs.
    Trusting,
    /// The new one signs; every member has a certificate by it. Then the old one is dropped.
    Renewing,
}

impl Rotation {
    /// The members it waits for, of all `hosts`.
    pub fn waits_for<'a>(&self, hosts: &'a [Host]) -> Vec<&'a Host> {
        let ready = |status: &HostStatus| match self.phase {
            RotationPhase::Trusting => status.trusts.contains(&self.fingerprint),
            RotationPhase::Renewing => status.authority.as_ref() == Some(&self.fingerprint),
        };
        hosts.iter().filter(|host| !self.without.contains(&host.id) && !ready(&host.status)).collect()
    }
}

resource! {
    /// The cluster.
    ClusterRecord, ClusterId, ClusterSpec, ClusterStatus, Kind::Cluster
}

/// A certificate authority of the cluster.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Authority {
    /// Its certificate, PEM.
    pub certificate: String,
    /// Its key, encrypted with the secret that members keep outside the state.
    #[schema(ignore)]
    pub sealed_key: String,
    /// When it ends.
    pub ends: Timestamp,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("ends", &self.ends).finish_non_exhaustive()
    }
}

/// Permission for one host to join, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JoinToken {
    /// Identifier (not the secret).
    pub id: JoinTokenId,
    /// Bookkeeping.
    pub meta: Meta,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Who joined with it.
    pub used_by: Option<JoinTokenUse>,
}

/// Who joined with a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JoinTokenUse {
    /// The host.
    pub host: HostId,
    /// Its identity in the log.
    pub node: NodeId,
    /// The fingerprint of the key it asked for a certificate over: with another one, asking again is another join.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// Its name.
    pub name: String,
    /// When.
    pub at: Timestamp,
}

/// A member that was removed. It is told so when it comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RemovedHost {
    /// Its identity in the log, never used again.
    pub node: NodeId,
    /// The host.
    pub host: HostId,
    /// Its name then.
    pub name: String,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: Actor,
}

/// Rows of one host that move with it from one cluster into another, with their ids.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Belongings {
    /// Its networks.
    pub networks: Vec<Network>,
    /// Its images.
    pub images: Vec<Image>,
    /// Its volumes.
    pub volumes: Vec<Volume>,
    /// Its machines.
    pub vms: Vec<Vm>,
    /// Their snapshots.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub snapshots: Vec<Snapshot>,
}

impl Belongings {
    /// A disk has more than its first layer, or is over that of another. Its rows must not be written without what tells of the others: what is in
    /// those would be lost.
    pub(crate) fn has_layers(&self) -> bool {
        !self.snapshots.is_empty()
            || self
                .volumes
                .iter()
                .any(|volume| !volume.spec.layers.is_single() || volume.spec.origin.is_some())
    }

    /// A network is isolated, which older members can't read.
    pub(crate) fn has_isolated(&self) -> bool {
        self.networks.iter().any(|network| network.spec.mode == NetworkMode::Isolated)
    }
}

/// A name that another thing of the cluster has already, and the name it will get instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Clash {
    /// What it is.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// The name it has.
    pub name: String,
    /// The name it will have.
    pub becomes: String,
}
