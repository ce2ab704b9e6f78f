//! What is wanted of the host's network, checked: the only way from a [`Network`] into this crate, so that no name or
//! subnet reaches the kernel, a path or a rule set without having passed here.

use crate::error::Refusal;
use hostd_types::{Network, NetworkMode};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv4Addr;

/// The name of a link, safe in a path, a configuration file and a rule set: 1 to 15 of `A-Z a-z 0-9 . _ -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinkName(String);

impl LinkName {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`Refusal::BadName`] when it could not be a link's name.
    pub fn new(text: &str) -> Result<Self, Refusal> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let good = (1..=15).contains(&text.len())
            && text.chars().all(allowed)
            && text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if good {
            Ok(Self(text.into()))
        } else {
            Err(Refusal::BadName { name: text.chars().take(40).collect() })
        }
    }
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for LinkName {
    type Error = Refusal;
    fn try_from(text: String) -> Result<Self, Refusal> {
        Self::new(&text)
    }
}

impl From<LinkName> for String {
    fn from(name: LinkName) -> String {
        name.0
    }
}

/// A hardware address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A private subnet behind the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nat {
    /// Its bridge.
    pub bridge: LinkName,
    /// Its subnet.
    pub subnet: Ipv4Net,
    /// The bridge's hardware address: fixed, so that guests' neighbour entries outlive a healed bridge.
    pub mac: Mac,
}

impl Nat {
    /// The host's own address in the subnet: its first.
    pub fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.subnet.network()) + 1)
    }
    /// The gateway with the subnet's prefix length.
    pub fn address(&self) -> Ipv4Net {
        Ipv4Net::new(self.gateway(), self.subnet.prefix_len()).expect("the prefix length comes from a subnet")
    }
}

/// A bridge that has a card of the host as a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridged {
    /// The bridge.
    pub bridge: LinkName,
    /// The card.
    pub nic: LinkName,
}

/// A bridge that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Isolated {
    /// The bridge.
    pub bridge: LinkName,
    /// Its hardware address.
    pub mac: Mac,
}

/// What is wanted of one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Desired {
    /// Behind address translation.
    Nat(Nat),
    /// On the LAN.
    Bridged(Bridged),
    /// Guests among themselves.
    Isolated(Isolated),
}

/// Checks `network`.
///
/// # Errors
/// When a name or the subnet can't be used.
pub fn desired(network: &Network) -> Result<Desired, Refusal> {
    let bridge = LinkName::new(&network.spec.bridge)?;
    match &network.spec.mode {
        NetworkMode::Nat { subnet } => {
            if !(16..=29).contains(&subnet.prefix_len()) || subnet.addr() != subnet.network() {
                return Err(Refusal::BadSubnet { subnet: *subnet });
            }
            Ok(Desired::Nat(Nat { bridge, subnet: *subnet, mac: own_mac(network) }))
        }
        NetworkMode::Bridged { nic } => Ok(Desired::Bridged(Bridged { bridge, nic: LinkName::new(nic)? })),
        NetworkMode::Isolated => Ok(Desired::Isolated(Isolated { bridge, mac: own_mac(network) })),
    }
}

/// The hardware address of a bridge without a card. 0x02: locally administered, one station; the rest is the random end of the
/// network's id.
fn own_mac(network: &Network) -> Mac {
    let id = *network.id.uuid().as_bytes();
    Mac([0x02, id[11], id[12], id[13], id[14], id[15]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_a_path_or_a_rule_are_refused() {
        for bad in ["", "..", ".", "a/b", "eth0\n", "eth0;", "\"", "-f", "sixteen-letters-", "ünter"] {
            assert!(matches!(LinkName::new(bad), Err(Refusal::BadName { .. })), "{bad:?}");
        }
        for good in ["eth0", "qx0123456789abc", "enp0s31f6", "eth0.12", "br_lan"] {
            assert_eq!(LinkName::new(good).expect(good).as_str(), good);
        }
    }
}
