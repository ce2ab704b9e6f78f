//! The host's network as it was last seen: a plain model, without netlink's types, that the pure stages work on.

use crate::desired::{LinkName, Mac};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What sort of link it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkKind {
    /// A bridge with its settings.
    Bridge {
        /// It runs the spanning tree protocol.
        stp: bool,
        /// Time before a new port forwards, in hundredths of a second.
        forward_delay: u32,
    },
    /// One end of a virtual cable; stands in for a card inside containers and tests.
    Veth,
    /// Several cards as one, or a tagged share of a card: as good as a card.
    Stacked,
    /// Made by software, of no use as the card of a bridge.
    Virtual,
    /// Made by a driver.
    Plain,
}

/// A link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number of it, never reused while the system runs.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Hardware address, when it has one of six bytes.
    pub mac: Option<Mac>,
    /// What sort of link it is.
    pub kind: LinkKind,
    /// It is switched on.
    pub up: bool,
    /// It has a carrier.
    pub carrier: bool,
    /// The link it is a port of.
    pub master: Option<u32>,
    /// A device stands behind it.
    pub physical: bool,
    /// It is wireless.
    pub wireless: bool,
}

/// An address of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The link's index.
    pub link: u32,
    /// The address with its prefix length.
    pub net: IpNet,
    /// It has no end; an address learnt from a router has one.
    pub permanent: bool,
}

impl Address {
    /// The kernel makes it for every link by itself.
    pub fn link_local(&self) -> bool {
        matches!(self.net.addr(), IpAddr::V6(a) if a.is_unicast_link_local())
    }
}

/// A unicast route, without the link it uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where to.
    pub destination: IpNet,
    /// The next router; none means that the destination is on the link itself.
    pub gateway: Option<IpAddr>,
    /// Metric.
    pub metric: Option<u32>,
    /// The address we send from.
    pub source: Option<IpAddr>,
    /// Table.
    pub table: u32,
    /// Who made it, as the kernel's number.
    pub protocol: u8,
    /// Scope, as the kernel's number.
    pub scope: u8,
    /// The gateway counts as on the link although no address says so.
    pub onlink: bool,
}

/// Who made a route: the kernel itself, with an address.
pub const PROTOCOL_KERNEL: u8 = 2;
/// Who made a route: the kernel, told by a router's advertisement.
pub const PROTOCOL_ROUTER: u8 = 9;

impl Route {
    /// Somebody else than the kernel made it, so that it has to be moved by us.
    pub fn movable(&self) -> bool {
        !matches!(self.protocol, PROTOCOL_KERNEL | PROTOCOL_ROUTER)
    }
}

/// Everything seen at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Links.
    pub links: Vec<Link>,
    /// Addresses.
    pub addresses: Vec<Address>,
    /// Unicast routes, with the index of the link each uses.
    pub routes: Vec<(u32, Route)>,
    /// Links that are part of a route over several links.
    pub shared: Vec<u32>,
    /// Command lines of the running DHCP clients that were asked about, by link.
    pub clients: BTreeMap<LinkName, Vec<String>>,
}

impl Observed {
    /// The link named `name`.
    pub fn link(&self, name: &LinkName) -> Option<&Link> {
        self.links.iter().find(|l| l.name == name.as_str())
    }
    /// The name of link `index`.
    pub fn name_of(&self, index: u32) -> Option<&str> {
        self.links.iter().find(|l| l.index == index).map(|l| l.name.as_str())
    }
    /// The addresses of link `index`.
    pub fn addresses_of(&self, index: u32) -> impl Iterator<Item = &Address> {
        self.addresses.iter().filter(move |a| a.link == index)
    }
    /// Lasting addresses of link `index` that somebody gave it.
    pub fn given_addresses(&self, index: u32) -> Vec<IpNet> {
        self.addresses_of(index).filter(|a| a.permanent && !a.link_local()).map(|a| a.net).collect()
    }
    /// Routes over link `index` that somebody made.
    pub fn made_routes(&self, index: u32) -> Vec<Route> {
        self.routes.iter().filter(|(l, r)| *l == index && r.movable()).map(|(_, r)| r.clone()).collect()
    }
}
