//! The switch between the hosts of a fleet: a bridge in a network of its own, whose ports can be unplugged and whose
//! frames can be lost from one host to another.

use crate::namespaces::Namespaces;
use anyhow::Result;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::Ipv4Addr;

/// Name of a host's card on the switch.
pub const CARD: &str = "lan0";
/// Prefix length of the switch's subnet.
const PREFIX: u8 = 16;

/// A running switch.
#[derive(Debug)]
pub struct Hub {
    network: Namespaces,
    /// Ports (from, to) between which frames are lost.
    lost: BTreeSet<(String, String)>,
}

impl Hub {
    /// Switches it on.
    ///
    /// # Errors
    /// When the kernel refuses the namespace or the bridge.
    pub fn start() -> Result<Self> {
        let network = Namespaces::network()?;
        // It floods like a plain switch: no querier tells it who listens to which group.
        let lines =
            "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\nlink set br0 up\n";
        network.feed_network("ip", &["-batch", "-"], lines)?;
        Ok(Self { network, lost: BTreeSet::new() })
    }

    /// Connects `host` to the port `name` with an address. A port of that name goes away with the host it led to.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn plug(&self, name: &str, host: &Namespaces, address: Ipv4Addr) -> Result<()> {
        let (pid, shown) = (host.pid(), self.network.run("ip", &["-br", "link", "show"])?);
        if shown.lines().any(|line| line.split(['@', ' ']).next() == Some(name)) {
            self.ip(&format!("link del {name}\n"))?;
        }
        self.ip(&format!(
            "link add {name} type veth peer name {CARD} netns {pid}\nlink set {name} master br0 addrgenmode none\n\
             link set {name} up\n"
        ))?;
        let lines = format!(
            "link set {CARD} addrgenmode none\nlink set {CARD} up\naddr add {address}/{PREFIX} dev {CARD}\n"
        );
        host.feed_network("ip", &["-batch", "-"], &lines)
    }

    /// Gives a host another address instead of the one it has.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn readdress(host: &Namespaces, address: Ipv4Addr) -> Result<()> {
        let lines = format!("addr flush dev {CARD}\naddr add {address}/{PREFIX} dev {CARD}\n");
        host.feed_network("ip", &["-batch", "-"], &lines)
    }

    /// Pulls the cable out of a port, or puts it back.
    ///
    /// # Errors
    /// When there is no such port.
    pub fn set_port(&self, name: &str, on: bool) -> Result<()> {
        self.ip(&format!("link set {name} {}\n", if on { "up" } else { "down" }))
    }

    /// Whether frames from one port to another get lost from now on.
    ///
    /// # Errors
    /// When the kernel can't filter frames.
    pub fn set_way(&mut self, from: &str, to: &str, open: bool) -> Result<()> {
        let way = (from.to_owned(), to.to_owned());
        if open {
            self.lost.remove(&way);
        } else {
            self.lost.insert(way);
        }
        self.write_rules()
    }

    /// Lets every frame pass again.
    ///
    /// # Errors
    /// When the kernel can't filter frames.
    pub fn open_all_ways(&mut self) -> Result<()> {
        self.lost.clear();
        self.write_rules()
    }

    fn write_rules(&self) -> Result<()> {
        let mut rules = String::from(
            "table bridge cuts\ndelete table bridge cuts\ntable bridge cuts {\n\
             chain forward {\ntype filter hook forward priority 0; policy accept;\n",
        );
        for (from, to) in &self.lost {
            let _ = writeln!(rules, "iifname {from} oifname {to} drop");
        }
        rules.push_str("}\n}\n");
        self.network.feed_network("nft", &["-f", "-"], &rules)
    }

    fn ip(&self, lines: &str) -> Result<()> {
        self.network.feed_network("ip", &["-batch", "-"], lines)
    }
}
