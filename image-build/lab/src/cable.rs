//! A cable from this machine into a private host, on a subnet that no other test bed of the machine uses.

use crate::namespaces::{Namespaces, feed};
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::net::Ipv4Addr;
use std::process::Command;

/// Subnets of four addresses in 10.213.0.0/16.
const SLOTS: u32 = 1 << 14;

/// A cable that is plugged in. The kernel removes it with the host's network; the subnet is free again once this is
/// dropped or its process is gone.
#[derive(Debug)]
pub struct Cable {
    /// The host's address on it.
    pub address: Ipv4Addr,
    /// A locked file stands for the subnet.
    _slot: Flock<File>,
}

impl Cable {
    /// Plugs a cable into `host`, where it is called `uplink0`.
    ///
    /// # Errors
    /// When the kernel refuses the link or all subnets are in use.
    pub fn plug(host: &Namespaces) -> Result<Self> {
        let (number, slot) = take_slot()?;
        let base = u32::from(Ipv4Addr::new(10, 213, 0, 0)) + number * 4;
        let (near, address) = (Ipv4Addr::from(base + 1), Ipv4Addr::from(base + 2));
        let (outer, pid) = (format!("qx{number}"), host.pid());
        // No IPv6 address may come seconds later: Chromium drops what it is loading when the machine's network changes.
        let lines = format!(
            "link add {outer} type veth peer name uplink0 netns {pid}\nlink set {outer} addrgenmode none\n\
             addr add {near}/30 dev {outer}\nlink set {outer} up\n"
        );
        let mut ip = Command::new("ip");
        ip.args(["-batch", "-"]);
        feed(ip, &lines).context("laying a cable")?;
        host.feed_network(
            "ip",
            &["-batch", "-"],
            &format!("addr add {address}/30 dev uplink0\nlink set uplink0 up\n"),
        )?;
        Ok(Self { address, _slot: slot })
    }
}

/// Takes a free subnet; the search begins at another place in each process.
fn take_slot() -> Result<(u32, Flock<File>)> {
    let dir = std::env::temp_dir().join("quantix-cables");
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    for step in 0..SLOTS {
        let number = (std::process::id() + step) % SLOTS;
        let file = OpenOptions::new().create(true).append(true).open(dir.join(number.to_string()))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(slot) if !std::path::Path::new("/sys/class/net").join(format!("qx{number}")).exists() => {
                return Ok((number, slot));
            }
            // In use, or its last user is just being taken down.
            Ok(_) | Err((_, Errno::EWOULDBLOCK)) => {}
            Err((_, error)) => return Err(error).context("locking a subnet"),
        }
    }
    bail!("all {SLOTS} subnets of test beds are in use")
}
