//! `qx vm discovered` and `qx vm adopt`

use super::lookup::{hosts, typed_id};
use super::{Session, Stop, follow, output, size};
use anyhow::anyhow;
use clap::{Args, Subcommand};
use hostd_types::{AdoptVm, DiscoveredView, DiscoveredVm};
use hyper::Method;
use std::collections::BTreeMap;

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List machines that libvirt has and Quantix did not make, with what stands in the way of taking them over
    Discovered,
    /// Take one of them over: its disks become volumes where they are
    Adopt(Adopt),
}

#[derive(Debug, Args)]
pub struct Adopt {
    /// Its name or UUID
    machine: String,
    /// Another name for it
    #[arg(long)]
    name: Option<String>,
    /// Plug the card of this address into this network
    #[arg(long, value_name = "MAC=NETWORK")]
    nic: Vec<String>,
}

pub async fn run(session: &Session, verb: Verb) -> Result<(), Stop> {
    match verb {
        Verb::Discovered => list(session).await,
        Verb::Adopt(asked) => adopt(session, asked).await,
    }
}

async fn list(session: &Session) -> Result<(), Stop> {
    let answer: serde_json::Value = session.client.get("/api/v1/discovered").await?;
    if session.json {
        output::json(&answer);
        return Ok(());
    }
    let view: DiscoveredView = output::typed(answer)?;
    let hosts = hosts(session).await?;
    for vm in &view.items {
        let (state, host) = (vm.state.as_str(), hosts.name(vm.host));
        output::say!("{}  {}  {state}  on {host}  {} CPUs, {} MiB", vm.name, vm.id, vm.cpus, vm.memory_mib);
        for disk in &vm.disks {
            let bytes = disk.size_bytes.map(size::shown).unwrap_or_else(|| "unknown size".into());
            output::say!("  disk {}: {}, {bytes}", disk.target, disk.source);
        }
        for nic in &vm.nics {
            let known = if nic.network.is_some() { "" } else { "; choose a network with --nic" };
            output::say!("  card {}: {}{known}", nic.mac, nic.source);
        }
        for obstacle in &vm.obstacles {
            output::say!("  in the way: {obstacle}");
        }
        for difference in &vm.differences {
            output::say!("  then: {difference}");
        }
    }
    if view.items.is_empty() {
        output::say!("every machine was made by Quantix");
    }
    for host in &view.silent {
        output::say!("{} does not tell", hosts.name(*host));
    }
    Ok(())
}

async fn adopt(session: &Session, asked: Adopt) -> Result<(), Stop> {
    let view: DiscoveredView = session.client.get("/api/v1/discovered").await?;
    let wanted = |vm: &&DiscoveredVm| vm.name == asked.machine || vm.id.to_string() == asked.machine;
    let mut found = view.items.iter().filter(wanted);
    let vm = found.next().ok_or_else(|| anyhow!("there is no discovered machine {:?}", asked.machine))?;
    if found.next().is_some() {
        return Err(anyhow!("several hosts have a machine {:?}; give its UUID", asked.machine).into());
    }
    let mut networks = BTreeMap::new();
    for pair in &asked.nic {
        let (mac, network) = pair.split_once('=').ok_or_else(|| anyhow!("{pair:?} is not MAC=NETWORK"))?;
        networks.insert(mac.to_ascii_lowercase(), typed_id(session, "networks", network).await?);
    }
    let path = format!("/api/v1/discovered/{}/{}/adopt", vm.host, vm.id);
    let body = AdoptVm { name: asked.name, networks };
    let accepted = session.client.ask(Method::POST, &path, Some(&body)).await?;
    follow::accepted(session, accepted).await
}
