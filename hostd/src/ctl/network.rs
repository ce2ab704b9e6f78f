//! `qx network`

use super::lookup::{Hosts, host, id};
use super::{Session, Stop, follow, output};
use crate::http::body::Placed;
use clap::Subcommand;
use hostd_core::Aged;
use hostd_types::{CreateNetwork, Network, NetworkMode};
use hyper::Method;

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List networks
    List {
        /// Only those on this host
        #[arg(long = "host", value_name = "HOST")]
        on: Option<String>,
    },
    /// Make a network: --nat SUBNET, --bridge NIC or --isolated
    Create {
        name: String,
        #[arg(long, default_value = "")]
        description: String,
        /// A private subnet with DHCP behind the host, such as 10.200.0.0/24
        #[arg(long, required_unless_present_any = ["bridge", "isolated"], conflicts_with_all = ["bridge", "isolated"])]
        nat: Option<ipnet::Ipv4Net>,
        /// Guests are on the LAN of this card, such as eth0
        #[arg(long, conflicts_with = "isolated")]
        bridge: Option<String>,
        /// Guests reach each other and nothing else
        #[arg(long)]
        isolated: bool,
        /// The host it is made on; this one by default
        #[arg(long = "host", value_name = "HOST")]
        on: Option<String>,
    },
    /// Delete one that no machine uses
    Delete { id: String },
}

pub async fn run(session: &Session, verb: Verb) -> Result<(), Stop> {
    match verb {
        Verb::List { on } => {
            let headings = ["NAME", "HOST", "MODE", "ACTIVE", "FAULT", "ID"];
            let row = |hosts: &Hosts, Aged { row: network, silent }: Aged<Network>| {
                let mode = match &network.spec.mode {
                    NetworkMode::Nat { subnet } => format!("nat {subnet}"),
                    NetworkMode::Bridged { nic } => format!("bridged {nic}"),
                    NetworkMode::Isolated => "isolated".into(),
                };
                let active = if network.status.active { "yes" } else { "no" };
                [
                    network.spec.name,
                    hosts.name(network.spec.host),
                    mode,
                    output::aged(active, silent),
                    network.status.fault.unwrap_or_default(),
                    network.id.to_string(),
                ]
            };
            output::listed(session, "networks", on.as_deref(), headings, row).await
        }
        Verb::Create { name, description, nat, bridge, isolated, on } => {
            let mode = match (nat, bridge) {
                _ if isolated => NetworkMode::Isolated,
                (Some(subnet), _) => NetworkMode::Nat { subnet },
                (None, nic) => NetworkMode::Bridged { nic: nic.unwrap_or_default() },
            };
            let body = CreateNetwork { name, description, mode };
            let body = Placed { host: host(session, on.as_deref()).await?, what: body };
            let accepted = session.client.ask(Method::POST, "/api/v1/networks", Some(&body)).await?;
            follow::accepted(session, accepted).await
        }
        Verb::Delete { id: name } => {
            let path = format!("/api/v1/networks/{}", id(session, "networks", &name).await?);
            let accepted = session.client.ask(Method::DELETE, &path, None::<&()>).await?;
            follow::accepted(session, accepted).await
        }
    }
}
