//! One change of the host's network.

use crate::desired::{LinkName, Mac};
use crate::observed::Route;
use ipnet::IpNet;
use std::fmt;

/// One change; links are named, because an index may not exist yet when the step is planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Makes a bridge: no spanning tree, no forward delay.
    CreateBridge {
        /// Its name.
        bridge: LinkName,
        /// Its hardware address.
        mac: Mac,
    },
    /// Switches spanning tree and forward delay of a bridge off.
    SettleBridge {
        /// The bridge.
        bridge: LinkName,
    },
    /// Gives a link a hardware address.
    SetMac {
        /// The link.
        link: LinkName,
        /// The address.
        mac: Mac,
    },
    /// Switches a link on.
    LinkUp {
        /// The link.
        link: LinkName,
    },
    /// Makes a link a port of a bridge.
    Attach {
        /// The port.
        port: LinkName,
        /// The bridge.
        bridge: LinkName,
    },
    /// Removes a bridge; its ports become free, its addresses and routes go with it.
    DeleteBridge {
        /// The bridge.
        bridge: LinkName,
    },
    /// Gives a link an address.
    AddAddress {
        /// The link.
        link: LinkName,
        /// The address.
        address: IpNet,
    },
    /// Takes an address from a link.
    RemoveAddress {
        /// The link.
        link: LinkName,
        /// The address.
        address: IpNet,
    },
    /// Adds a route over a link.
    AddRoute {
        /// The link.
        link: LinkName,
        /// The route.
        route: Route,
    },
    /// Removes a route over a link.
    RemoveRoute {
        /// The link.
        link: LinkName,
        /// The route.
        route: Route,
    },
    /// Ends the DHCP client of a link.
    StopClient {
        /// The link.
        link: LinkName,
    },
    /// Starts a DHCP client on a link.
    StartClient {
        /// The link.
        link: LinkName,
        /// Its command line.
        argv: Vec<String>,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::CreateBridge { bridge, .. } => write!(f, "making the bridge {bridge}"),
            Step::SettleBridge { bridge } => write!(f, "switching spanning tree of {bridge} off"),
            Step::SetMac { link, mac } => write!(f, "setting the hardware address of {link} to {mac}"),
            Step::LinkUp { link } => write!(f, "switching {link} on"),
            Step::Attach { port, bridge } => write!(f, "making {port} a port of {bridge}"),
            Step::DeleteBridge { bridge } => write!(f, "removing the bridge {bridge}"),
            Step::AddAddress { link, address } => write!(f, "adding {address} to {link}"),
            Step::RemoveAddress { link, address } => write!(f, "removing {address} from {link}"),
            Step::AddRoute { link, route } => {
                write!(f, "adding the route to {} over {link}", route.destination)
            }
            Step::RemoveRoute { link, route } => {
                write!(f, "removing the route to {} over {link}", route.destination)
            }
            Step::StopClient { link } => write!(f, "ending the DHCP client of {link}"),
            Step::StartClient { link, .. } => write!(f, "starting a DHCP client on {link}"),
        }
    }
}
