//! The host's packet rules for NAT and isolated networks: one table `inet quantix`, replaced as a whole in one transaction, so that
//! there is no moment with half of the rules. Its text is made of checked link names and subnets only.
//!
//! Guests may go out and get answers; nobody outside starts a connection to them, nor do guests of other NAT networks.
//! Of the host they reach DHCP, DNS and ping on their gateway, and nothing else on any of its addresses: not the
//! management API. IPv6 is not served on NAT networks and is dropped.

use crate::desired::LinkName;
use crate::error::NetError;
use hostd_run::{Run, RunError};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::net::Ipv4Addr;

/// A NAT network as the rules see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// Its bridge.
    pub bridge: LinkName,
    /// Its subnet.
    pub subnet: Ipv4Net,
    /// The host's address in it.
    pub gateway: Ipv4Addr,
}

/// The transaction that makes the rules exactly those of `zones` and of the bridges of `isolated` networks; none at all without
/// either.
pub fn rules(zones: &[Zone], isolated: &[LinkName]) -> String {
    // Declaring the table first makes deleting it work whether or not it was there.
    let mut text = String::from("table inet quantix\ndelete table inet quantix\n");
    if zones.is_empty() && isolated.is_empty() {
        return text;
    }
    let (mut input, mut forward, mut nat) = (String::new(), String::new(), String::new());
    for bridge in isolated {
        isolated_rules(bridge, &mut input, &mut forward).expect("writing to a string can't fail");
    }
    for zone in zones {
        zone_rules(zone, &mut input, &mut forward, &mut nat).expect("writing to a string can't fail");
    }
    let chain = |name: &str, hook: &str, rules: &str| {
        format!("  chain {name} {{\n    type {hook}; policy accept;\n{rules}  }}\n")
    };
    text.push_str("table inet quantix {\n");
    text.push_str(&chain("guest_to_host", "filter hook input priority filter", &input));
    text.push_str(&chain("guest_traffic", "filter hook forward priority filter", &forward));
    text.push_str(&chain("guest_translation", "nat hook postrouting priority srcnat", &nat));
    text.push_str("}\n");
    text
}

fn zone_rules(zone: &Zone, input: &mut String, forward: &mut String, nat: &mut String) -> std::fmt::Result {
    let Zone { bridge, subnet, gateway } = zone;
    writeln!(input, "    iifname \"{bridge}\" meta nfproto ipv6 drop")?;
    writeln!(input, "    iifname \"{bridge}\" ct state established,related accept")?;
    writeln!(input, "    iifname \"{bridge}\" udp dport 67 accept")?;
    writeln!(input, "    iifname \"{bridge}\" ip daddr {gateway} udp dport 53 accept")?;
    writeln!(input, "    iifname \"{bridge}\" ip daddr {gateway} tcp dport 53 accept")?;
    writeln!(input, "    iifname \"{bridge}\" ip daddr {gateway} icmp type echo-request accept")?;
    writeln!(input, "    iifname \"{bridge}\" reject with icmpx admin-prohibited")?;

    // Frames between two guests of one bridge pass here when the kernel filters bridged traffic too.
    writeln!(forward, "    iifname \"{bridge}\" oifname \"{bridge}\" accept")?;
    writeln!(forward, "    iifname \"{bridge}\" meta nfproto ipv6 drop")?;
    writeln!(forward, "    iifname \"{bridge}\" ip saddr != {subnet} drop")?;
    writeln!(forward, "    oifname \"{bridge}\" ct state established,related accept")?;
    writeln!(forward, "    oifname \"{bridge}\" reject with icmpx admin-prohibited")?;
    // What is left of a guest's traffic goes out, unless a line of another network rejects it.

    writeln!(nat, "    ip saddr {subnet} oifname != \"{bridge}\" masquerade")
}

/// They come first: what another network accepts is still dropped here.
fn isolated_rules(bridge: &LinkName, input: &mut String, forward: &mut String) -> std::fmt::Result {
    writeln!(input, "    iifname \"{bridge}\" drop")?;
    // Frames between two of its guests, when the kernel filters bridged traffic too.
    writeln!(forward, "    iifname \"{bridge}\" oifname \"{bridge}\" accept")?;
    writeln!(forward, "    iifname \"{bridge}\" drop")?;
    writeln!(forward, "    oifname \"{bridge}\" drop")
}

/// The rules as they were when last replaced: what was asked for and how the kernel shows it.
#[derive(Debug, Default)]
pub struct Firewall {
    applied: Option<(String, String)>,
}

impl Firewall {
    /// Makes the rules those of `zones` and `isolated`; does nothing when they are so. The first call of a process replaces them once.
    ///
    /// # Errors
    /// When nft is not there or refuses.
    pub async fn ensure(&mut self, zones: &[Zone], isolated: &[LinkName]) -> Result<(), NetError> {
        let wanted = rules(zones, isolated);
        let same = |(asked, shown): &(String, String), now: &Option<String>| {
            *asked == wanted && (Some(shown) == now.as_ref())
        };
        if let Some(applied) = &self.applied
            && same(applied, &shown().await?)
        {
            return Ok(());
        }
        nft(Run::new("nft").args(["-f", "-"]).input(wanted.clone())).await?;
        self.applied = shown().await?.map(|text| (wanted, text));
        Ok(())
    }

    /// The kernel has the rules last asked for.
    pub async fn intact(&self) -> Result<bool, NetError> {
        let now = shown().await?;
        Ok(self.applied.as_ref().is_some_and(|(_, text)| Some(text) == now.as_ref()))
    }
}

/// The table as the kernel shows it; none when there is none.
async fn shown() -> Result<Option<String>, NetError> {
    let list = Run::new("nft").args(["-n", "list", "tables"]);
    let tables = nft(list).await?;
    if !tables.lines().any(|l| l.trim() == "table inet quantix") {
        return Ok(None);
    }
    nft(Run::new("nft").args(["-n", "list", "table", "inet", "quantix"])).await.map(Some)
}

async fn nft(run: Run) -> Result<String, NetError> {
    let lacking = ["Operation not supported", "No such file or directory", "Protocol not supported"];
    match run.output().await {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(RunError::Start { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Err(NetError::Unsupported {
                feature: "the program nft (package nftables)",
                message: source.to_string(),
            })
        }
        Err(RunError::Failed { stderr, .. }) if lacking.iter().any(|l| stderr.contains(l)) => {
            Err(NetError::Unsupported {
                feature: "packet rules with address translation (kernel modules nf_tables, nft_ct, nft_masq, nft_reject_inet)",
                message: stderr,
            })
        }
        Err(other) => Err(NetError::call("setting packet rules", &other)),
    }
}

const FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

/// The kernel routes IPv4.
pub fn forwarding() -> Result<bool, NetError> {
    let text = std::fs::read_to_string(FORWARD)
        .map_err(|e| NetError::Unsupported { feature: "IPv4 routing", message: format!("{FORWARD}: {e}") })?;
    Ok(text.trim() == "1")
}

/// Switches the routing of IPv4.
pub fn set_forwarding(on: bool) -> Result<(), NetError> {
    let text = if on { "1" } else { "0" };
    std::fs::write(FORWARD, text).map_err(|e| NetError::call(format!("writing {FORWARD}"), &e))
}
