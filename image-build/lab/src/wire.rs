//! The network between booted appliances: a QEMU without a machine whose hub connects one card of each, and hands out
//! addresses until it is told to stop. Nothing leaves it.

use crate::machine::{free_port, listens};
use crate::qmp::Qmp;
use anyhow::{Context, Result};
use serde_json::json;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// The subnet; the first appliance to ask gets 10.78.0.15.
const SUBNET: &str = "10.78.0.0/24";
/// Time until the ports take connections.
const READY: Duration = Duration::from_secs(20);

/// One appliance's end of a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lan {
    /// The port of the loopback address its card is connected to.
    pub port: u16,
    /// Counts the appliances on the wire from 0.
    pub number: u8,
}

/// A running hub. Dropping it ends it.
#[derive(Debug)]
pub struct Wire {
    _child: Child,
    qmp: Qmp,
    ends: Vec<Lan>,
}

impl Wire {
    /// Connects `count` appliances; what QEMU says goes into `wire.log` in `dir`.
    ///
    /// # Errors
    /// When QEMU does not start.
    pub async fn start(dir: &Path, count: u8) -> Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        let said = std::fs::File::create(dir.join("wire.log")).context("creating wire.log")?;
        let socket = dir.join("wire.sock");
        let mut command = Command::new("qemu-system-x86_64");
        command.args(["-nodefaults", "-display", "none", "-machine", "none"]);
        command.arg("-qmp").arg(format!("unix:{},server=on,wait=off", socket.display()));
        command.arg("-netdev").arg(format!("user,id=dhcp,restrict=on,ipv6=off,net={SUBNET}"));
        command.args(["-netdev", "hubport,id=hub-dhcp,hubid=0,netdev=dhcp"]);
        let mut ends = Vec::new();
        for number in 0..count {
            let port = free_port()?;
            command.arg("-netdev").arg(format!("socket,id=lan{number},listen=127.0.0.1:{port}"));
            command.arg("-netdev").arg(format!("hubport,id=hub{number},hubid=0,netdev=lan{number}"));
            ends.push(Lan { port, number });
        }
        command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said).kill_on_drop(true);
        let child = command.spawn().context("starting qemu-system-x86_64")?;
        for end in &ends {
            listens(end.port, READY).await.context("the wire between the appliances")?;
        }
        let qmp = Qmp::connect(&socket).await.context("the wire between the appliances")?;
        Ok(Self { _child: child, qmp, ends })
    }

    /// Stops handing out addresses, when everybody has one: QEMU's own network takes every packet of the hub for its own
    /// and refuses the connections between the appliances.
    ///
    /// # Errors
    /// When QEMU does not do it.
    pub async fn end_dhcp(&mut self) -> Result<()> {
        self.qmp.command("set_link", json!({"name": "dhcp", "up": false})).await.map(drop)
    }

    /// Its ends, one for each appliance.
    pub fn ends(&self) -> &[Lan] {
        &self.ends
    }
}

impl Lan {
    /// The arguments of QEMU's card `lan` at this end.
    pub fn args(self) -> Vec<String> {
        let Self { port, number } = self;
        vec![
            "-netdev".into(),
            format!("socket,id=lan,connect=127.0.0.1:{port}"),
            "-device".into(),
            format!("virtio-net-pci,id=lan-card,netdev=lan,mac=52:54:00:78:00:{number:02x}"),
        ]
    }
}
