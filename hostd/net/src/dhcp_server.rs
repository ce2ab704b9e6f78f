//! One dnsmasq per NAT network: DHCP and DNS on the network's bridge and nowhere else. It is started detached, so that
//! a restart of the daemon does not touch it, and found again by its pid file and command line.

use crate::desired::Nat;
use crate::error::NetError;
use crate::process::{Process, base_name};
use crate::record;
use hostd_run::{Run, RunError};
use rustix::process::Signal;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// How long a fresh dnsmasq may take to hold its ports.
const READY_SECONDS: u64 = 10;

/// The DHCP server of one network.
#[derive(Debug)]
pub struct DhcpServer {
    config: PathBuf,
    pid_file: PathBuf,
    leases: PathBuf,
}

impl DhcpServer {
    /// The server of the network on `bridge`; touches nothing.
    pub fn new(bridge: &crate::desired::LinkName, run_dir: &Path, lease_dir: &Path) -> Self {
        Self {
            config: run_dir.join(format!("{bridge}.dnsmasq.conf")),
            pid_file: run_dir.join(format!("{bridge}.dnsmasq.pid")),
            leases: lease_dir.join(format!("{bridge}.leases")),
        }
    }

    /// Its lease file.
    pub fn leases(&self) -> &Path {
        &self.leases
    }

    /// Its configuration for `nat` on the bridge with number `index`: a bridge made anew has another number, and a
    /// server that listened on the old one must be started anew.
    fn config(&self, nat: &Nat, index: u32) -> String {
        let (first, last) = range(nat);
        let count = u32::from(last) - u32::from(first) + 1;
        let lines = [
            format!("# Made by hostd for link {index}; changes are overwritten."),
            "port=53".into(),
            format!("interface={}", nat.bridge),
            "except-interface=lo".into(),
            "bind-dynamic".into(),
            "user=nobody".into(),
            format!("pid-file={}", self.pid_file.display()),
            format!("dhcp-leasefile={}", self.leases.display()),
            format!("dhcp-range={first},{last},{},12h", nat.subnet.netmask()),
            format!("dhcp-option=option:router,{}", nat.gateway()),
            format!("dhcp-lease-max={count}"),
            "dhcp-authoritative".into(),
            "no-hosts".into(),
            "resolv-file=/etc/resolv.conf".into(),
            "domain-needed".into(),
            "bogus-priv".into(),
            String::new(),
        ];
        lines.join("\n")
    }

    fn argument(&self) -> String {
        format!("--conf-file={}", self.config.display())
    }

    /// The running server, also when its pid file was lost.
    fn running(&self) -> Option<Process> {
        let wanted = self.argument();
        let ours = |argv: &[String]| base_name(&argv[0]) == "dnsmasq" && argv.contains(&wanted);
        Process::by_file(&self.pid_file, ours).or_else(|| Process::search(ours))
    }

    /// Makes it run with the configuration for `nat`; restarts it when it has another one or is not serving.
    ///
    /// # Errors
    /// When it can't be started or does not serve in time.
    pub async fn ensure(&self, nat: &Nat, index: u32) -> Result<(), NetError> {
        let wanted = self.config(nat, index);
        let old = self.running();
        if old.as_ref().is_some_and(serves)
            && record::read(&self.config)?.as_deref() == Some(wanted.as_bytes())
        {
            return Ok(());
        }
        // The new configuration takes its place after the old process has ended: whatever interrupts this, a running
        // server and the file agree, or nothing runs.
        if let Some(old) = old {
            old.end(Signal::TERM).await?;
        }
        record::write(&self.config, wanted.as_bytes())?;
        start(&self.argument()).await?;
        let what = format!("DHCP and DNS on {}", nat.bridge);
        crate::wait::until(&what, READY_SECONDS, || self.serving()).await
    }

    /// It runs and holds the ports of DHCP and DNS.
    pub fn serving(&self) -> bool {
        self.running().as_ref().is_some_and(serves)
    }

    /// Ends it and removes its files.
    ///
    /// # Errors
    /// When it does not end or a file can't be removed.
    pub async fn remove(&self) -> Result<(), NetError> {
        if let Some(process) = self.running() {
            process.end(Signal::TERM).await?;
        }
        for file in [&self.pid_file, &self.config, &self.leases] {
            record::remove(file)?;
        }
        Ok(())
    }
}

/// The addresses for guests: all of the subnet but the gateway.
fn range(nat: &Nat) -> (Ipv4Addr, Ipv4Addr) {
    let first = u32::from(nat.gateway()) + 1;
    let last = u32::from(nat.subnet.broadcast()) - 1;
    (first.into(), last.into())
}

/// dnsmasq puts itself into the background and tells what is wrong before that.
async fn start(argument: &str) -> Result<(), NetError> {
    match Run::new("dnsmasq").arg(argument).output().await {
        Ok(_silence) => Ok(()),
        Err(RunError::Start { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Err(NetError::Unsupported {
                feature: "the program dnsmasq (package dnsmasq-base)",
                message: source.to_string(),
            })
        }
        Err(other) => Err(NetError::call("starting DHCP and DNS", &other)),
    }
}

/// `process` holds UDP ports 67 and 53.
fn serves(process: &Process) -> bool {
    let directory = format!("/proc/{}", process.pid());
    let Ok(table) = std::fs::read_to_string(format!("{directory}/net/udp")) else { return false };
    let Ok(files) = std::fs::read_dir(format!("{directory}/fd")) else { return false };
    let targets = files.flatten().filter_map(|f| std::fs::read_link(f.path()).ok());
    let sockets: Vec<String> = targets.map(|t| t.to_string_lossy().into_owned()).collect();
    let holds = |port: u16| {
        udp_sockets(&table, port).any(|inode| sockets.iter().any(|s| *s == format!("socket:[{inode}]")))
    };
    holds(67) && holds(53)
}

/// The inodes of the sockets bound to `port` in the kernel's table of UDP sockets.
fn udp_sockets(table: &str, port: u16) -> impl Iterator<Item = &str> {
    let suffix = format!(":{port:04X}");
    table.lines().skip(1).filter_map(move |line| {
        let mut fields = line.split_ascii_whitespace();
        fields.nth(1).filter(|local| local.ends_with(&suffix))?;
        fields.nth(7)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::{LinkName, Mac};

    #[test]
    fn the_range_is_the_subnet_without_the_gateway() {
        let nat = |subnet: &str| Nat {
            bridge: LinkName::new("qx0").expect("name"),
            subnet: subnet.parse().expect(subnet),
            mac: Mac([2, 0, 0, 0, 0, 1]),
        };
        let ends = |subnet: &str| {
            let (first, last) = range(&nat(subnet));
            format!("{first} {last}")
        };
        assert_eq!(ends("10.200.0.0/24"), "10.200.0.2 10.200.0.254");
        assert_eq!(ends("10.200.0.8/29"), "10.200.0.10 10.200.0.14");
        assert_eq!(ends("172.20.0.0/16"), "172.20.0.2 172.20.255.254");
        let server = DhcpServer::new(&nat("10.200.0.0/24").bridge, Path::new("/r"), Path::new("/l"));
        let text = server.config(&nat("10.200.0.0/24"), 7);
        assert!(
            text.contains("\ninterface=qx0\n") && text.contains("\ndhcp-leasefile=/l/qx0.leases\n"),
            "{text}"
        );
        assert_ne!(text, server.config(&nat("10.200.0.0/24"), 8), "a bridge made anew");
    }

    #[test]
    fn sockets_are_found_by_port() {
        let table = "  sl  local_address rem_address   st tx rx tr tm retrnsmt uid timeout inode\n \
            10: 00000000:0043 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 4242 2 0 0\n \
            11: 0100C80A:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 4243 2 0 0\n";
        assert_eq!(udp_sockets(table, 67).collect::<Vec<_>>(), ["4242"]);
        assert_eq!(udp_sockets(table, 53).collect::<Vec<_>>(), ["4243"]);
        assert_eq!(udp_sockets(table, 68).count(), 0);
    }
}
