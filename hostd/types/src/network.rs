//! Networks that virtual machines attach to.

use crate::meta::resource;
use crate::*;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use utoipa::ToSchema;

/// How a network reaches the world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum NetworkMode {
    /// A private subnet with DHCP; the host translates addresses.
    Nat {
        /// The subnet, /16 to /29; the host takes its first address.
        #[schema(value_type = String, example = "10.200.0.0/24")]
        subnet: Ipv4Net,
    },
    /// A bridge on a physical card: guests are on the LAN.
    Bridged {
        /// Name of the card, such as `eth0`.
        nic: String,
    },
    /// A bridge with no way out and without an address of the host: guests reach each other, and nobody else.
    Isolated,
}

impl NetworkMode {
    /// In words, for people.
    pub fn described(&self) -> String {
        match self {
            NetworkMode::Nat { subnet } => format!("NAT, {subnet}"),
            NetworkMode::Bridged { nic } => format!("bridged to {nic}"),
            NetworkMode::Isolated => "isolated".into(),
        }
    }
}

/// What is wanted of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkSpec {
    /// Name, unique in the cluster, letter case ignored.
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// The host it is on.
    pub host: HostId,
    /// How it reaches the world.
    #[serde(flatten)]
    pub mode: NetworkMode,
    /// Name of its bridge on the host, at most 15 bytes.
    pub bridge: String,
    /// The clone it was made for; it goes with that, unless other machines are plugged in then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_clone: Option<VmId>,
    /// The task of the creation or deletion under way.
    pub task: Option<TaskId>,
}

/// What was last seen of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkStatus {
    /// Where it is in its life.
    pub phase: Phase,
    /// The bridge is up and, for NAT, DHCP answers.
    pub active: bool,
    /// What is wrong, if something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

resource! {
    /// A network.
    Network, NetworkId, NetworkSpec, NetworkStatus, Kind::Network
}

/// Body of `POST /api/v1/networks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateNetwork {
    /// Name.
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// How it reaches the world.
    #[serde(flatten)]
    pub mode: NetworkMode,
}

/// An address dnsmasq leased to a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lease {
    /// The guest's hardware address.
    pub mac: String,
    /// The address.
    #[schema(value_type = String, format = "ipv4")]
    pub address: Ipv4Addr,
    /// The name the guest gave.
    pub hostname: Option<String>,
    /// When the lease ends.
    pub expires_at: Timestamp,
}

/// The id of isolated network `index` of the clone `vm`: the clone's id with the index mixed into its random part, so
/// that a repeated `apply` yields the same network. Its end, of which the bridge's name is made, differs for each.
pub fn derived_network(vm: VmId, index: usize) -> NetworkId {
    let mut bytes = *vm.uuid().as_bytes();
    bytes[8] ^= 0x10;
    bytes[15] = bytes[15].wrapping_add(u8::try_from(index % 256).unwrap_or(0));
    NetworkId::from_uuid(uuid::Uuid::from_bytes(bytes))
}

/// Name of the bridge of network `id`: `qx` and eleven characters of its random part (an interface name holds 15 bytes).
pub fn derived_bridge(id: NetworkId) -> String {
    let hex = id.uuid().simple().to_string();
    format!("qx{}", &hex[hex.len() - 11..])
}
