//! What the cluster's pages and API show, and what hosts tell each other when one joins.

use super::certificates::Certificates;
use hostd_types::*;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use utoipa::ToSchema;

/// How this host stands to its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It is the only host.
    Alone,
    /// It is one of several.
    Member,
    /// It is on its way into another cluster, or out of one.
    Moving,
    /// The others removed it; nothing can be changed here until it is a cluster of its own again.
    Removed,
}

/// The cluster as this host sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClusterView {
    /// The cluster; absent while this host moves from one into another.
    pub cluster: Option<ClusterRecord>,
    /// How this host stands to it.
    pub condition: Condition,
    /// This host.
    pub here: HostId,
    /// Who leads, when that is known.
    pub leader: Option<HostId>,
    /// Whether changes are possible, and what would break that.
    pub quorum: Quorum,
    /// The members, by name.
    pub members: Vec<MemberView>,
    /// Hosts that were removed, the newest first.
    pub removed: Vec<RemovedHost>,
    /// How certificates stand.
    pub certificates: Certificates,
    /// What all members know, and who knows less than others.
    #[serde(default)]
    pub level: LevelView,
}

/// The feature level, while versions are mixed and after.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LevelView {
    /// What may be used now.
    pub now: u16,
    /// The newest that any member knows.
    pub known: u16,
    /// The members that know less than that.
    pub behind: Vec<HostId>,
    /// All of this in a sentence; empty when every member knows the same.
    pub text: String,
}

impl LevelView {
    pub(crate) fn of(now: u16, hosts: &[Host]) -> Self {
        let known = hosts.iter().map(|host| host.status.level).max().unwrap_or(now).max(now);
        let behind = behind(hosts, known);
        let text = match behind.is_empty() {
            true => String::new(),
            false => format!(
                "Versions are mixed: the cluster works at level {now} and not yet at {known}, because of {behind}. It can \
                 stay so; what is new comes by itself as soon as every host has been updated."
            ),
        };
        let behind = hosts.iter().filter(|host| host.status.level < known).map(|host| host.id).collect();
        Self { now, known, behind, text }
    }
}

/// Whether there is a majority, and how safe it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Quorum {
    /// Members that vote.
    pub voters: u32,
    /// Of these, how many answer.
    pub reachable: u32,
    /// How many must answer for a change to be possible.
    pub needed: u32,
    /// A majority answers and one leads.
    pub held: bool,
    /// How many more voters may fail.
    pub may_fail: u32,
    /// All of this in a sentence.
    pub text: String,
}

/// What a member does in the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// It orders the changes.
    Leader,
    /// It votes on leaders and confirms changes.
    Voter,
    /// It follows without a vote.
    Learner,
    /// It is not in the group yet, or not any more.
    Outside,
}

impl MemberRole {
    /// The word the API, pages' scripts and the command line have for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            MemberRole::Leader => "leader",
            MemberRole::Voter => "voter",
            MemberRole::Learner => "learner",
            MemberRole::Outside => "outside",
        }
    }
}

/// Whether a member is there, judged by the leader's own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Liveness {
    /// It answered within 5 seconds.
    Up,
    /// It answered within 30 seconds.
    Suspect,
    /// It has been silent for longer, and what needs a lease may run on there.
    Down,
    /// It does not answer, and had no lease for so long that nothing that needs one runs on it. It gets one again when it is
    /// back and has acknowledged that.
    Fenced,
    /// Nothing is known of it here yet.
    Unknown,
}

impl Liveness {
    /// The word the API, pages' scripts and the command line have for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Liveness::Up => "up",
            Liveness::Suspect => "suspect",
            Liveness::Down => "down",
            Liveness::Fenced => "fenced",
            Liveness::Unknown => "unknown",
        }
    }
}

/// How a host stands that does not answer. What is shown of what is on it is as old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Silence {
    /// Whether it may be there.
    pub liveness: Liveness,
    /// Seconds since it was last heard of; absent when it was not, since this host started.
    pub seen_s: Option<u64>,
}

/// A row of something on a host, with how old it is when that host does not answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Aged<T> {
    /// The row.
    #[serde(flatten)]
    pub row: T,
    /// Present while its host does not answer: the row says what was so then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent: Option<Silence>,
}

/// A member with what is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MemberView {
    /// The host.
    #[serde(flatten)]
    pub host: Host,
    /// What it does.
    pub role: MemberRole,
    /// Whether it is there.
    pub liveness: Liveness,
    /// Seconds since it was last heard of; what is shown of it is as old.
    pub seen_s: Option<u64>,
    /// Seconds its lease lasts at most; absent while it has none.
    #[serde(default)]
    pub lease_s: Option<u64>,
    /// Where a person said on this host that it is.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub told_address: Option<SocketAddr>,
    /// Log entries it is behind.
    pub lag: Option<u64>,
    /// What it last told of itself.
    pub pulse: Option<HostPulse>,
    /// Number of its machines.
    pub vms: u64,
    /// What happens when it fails now.
    pub what_if: String,
}

/// What a host tells the others of itself every two seconds; nothing of it is in the log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HostPulse {
    /// Milliseconds within which 99 of 100 commits of its log are on its disk.
    pub fsync_p99_ms: f64,
    /// Its load.
    pub sample: Option<HostSample>,
    /// Bytes of memory it has.
    pub memory_bytes: u64,
    /// CPU threads it has.
    pub threads: u32,
    /// Its pool.
    pub pool: Option<PoolFacts>,
    /// What is wrong with it, in words.
    #[serde(default)]
    pub faults: Vec<String>,
}

/// A fresh join token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewJoinToken {
    /// The token.
    pub token: JoinToken,
    /// The text to carry to the other host, `qxj1_…`; it can't be shown again.
    pub text: String,
}

/// What joining will do, before anything changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JoinPreview {
    /// The cluster.
    pub cluster: ClusterId,
    /// Its name.
    pub name: String,
    /// Names of its hosts.
    pub members: Vec<String>,
    /// The name this host has, and the one it will have there.
    pub host: Clash,
    /// What this host knows about its machine: what the cluster gets with it.
    pub facts: HostFacts,
    /// The newest feature level its version knows.
    pub level: u16,
    /// What comes along.
    pub belongings: Belongings,
    /// Names that will change.
    pub clashes: Vec<Clash>,
    /// Why it can't join as things are.
    pub blockers: Vec<String>,
    /// What else will be different.
    pub notes: Vec<String>,
}

/// What a host that wants to join tells a member.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct AdmissionRequest {
    /// The join token.
    pub token: JoinTokenId,
    /// Its secret, in hexadecimal.
    pub secret: String,
    /// The host.
    pub host: HostId,
    /// Its hostname.
    pub name: String,
    /// What it comes for.
    pub role: HostRole,
    /// What it reports of itself.
    pub status: HostStatus,
    /// Its identity in the cluster's log.
    pub node: NodeId,
    /// The request for its certificate, PEM; empty for a preview.
    #[serde(default)]
    pub csr_pem: String,
    /// What it brings along, for a preview.
    #[serde(default)]
    pub belongings: Belongings,
}

impl std::fmt::Debug for AdmissionRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdmissionRequest").field("host", &self.host).finish_non_exhaustive()
    }
}

/// What a member answers to a host that asks what joining would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AdmissionPreview {
    /// Its name.
    pub name: String,
    /// Names of its hosts.
    pub members: Vec<String>,
    /// The name the host will have.
    pub host_name: String,
    /// Names that will change.
    pub clashes: Vec<Clash>,
    /// Why the host can't join.
    pub blockers: Vec<String>,
}

/// What makes a host a member.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Admission {
    /// Its certificate followed by its authority's, PEM.
    pub chain_pem: String,
    /// All authorities it may trust, PEM.
    pub authorities: Vec<String>,
    /// The cluster's secret.
    #[schema(value_type = String)]
    pub secret: hostd_peer::Secret,
    /// The cluster's generation.
    pub generation: u64,
    /// Where the members are.
    pub members: Vec<MemberAddress>,
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admission").field("members", &self.members).finish_non_exhaustive()
    }
}

/// What this host proves with that it is a member.
#[derive(Debug, Clone)]
pub struct MemberChain {
    /// The name that hosts ask for when they want to join.
    pub name: String,
    /// Its certificate followed by its authority's, PEM.
    pub chain_pem: String,
    /// The certificate's key, PEM.
    pub key_pem: crate::Secret,
}

/// Where a member is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberAddress {
    /// Its identity in the log.
    pub node: NodeId,
    /// Where others reach it.
    pub addresses: Vec<String>,
}
