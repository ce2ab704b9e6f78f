//! `qx status` and `qx host`

use super::{Session, Stop, cluster, host_device, output, size};
use clap::Subcommand;
use hostd_types::{EditHost, Host, HostFacts};
use hyper::Method;
use serde_json::Value;

#[derive(Debug, Subcommand)]
pub enum HostVerb {
    /// List all hosts of the cluster (* is this one)
    List,
    /// Show its hardware, versions and pools
    Show,
    /// List what is on its buses, and what of it machines can have
    Devices {
        /// Of this host of the cluster
        #[arg(long)]
        host: Option<String>,
        /// Also what joins buses
        #[arg(long)]
        all: bool,
    },
    /// Give it another name, which becomes its hostname
    Rename { name: String },
}

pub async fn status(session: &Session) -> Result<(), Stop> {
    let overview: Value = session.client.get("/api/v1/overview").await?;
    if session.json {
        output::json(&overview);
        return Ok(());
    }
    let host = &overview["host"];
    let vms: Vec<String> =
        overview["vms"].as_object().into_iter().flatten().map(|(state, n)| format!("{n} {state}")).collect();
    let facts: HostFacts = output::typed(host["facts"].clone())?;
    output::facts([
        ("Quantix", overview["version"].as_str().unwrap_or("unknown").into()),
        ("Host", host["spec"]["name"].as_str().unwrap_or("unknown").into()),
        ("Machines", if vms.is_empty() { "none".into() } else { vms.join(", ") }),
        ("libvirt", facts.libvirt_fault.unwrap_or_else(|| "answers".into())),
    ]);
    for notice in overview["notices"].as_array().into_iter().flatten() {
        output::facts([("Notice", notice["text"].as_str().unwrap_or_default().into())]);
    }
    Ok(())
}

pub async fn run_host(session: &Session, verb: HostVerb) -> Result<(), Stop> {
    match verb {
        HostVerb::List => list(session).await,
        HostVerb::Show => show(session).await,
        HostVerb::Devices { host, all } => host_device::list(session, host.as_deref(), all).await,
        HostVerb::Rename { name } => {
            let overview: Value = session.client.get("/api/v1/overview").await?;
            let path = format!("/api/v1/hosts/{}", overview["host"]["id"].as_str().unwrap_or_default());
            let edit = EditHost { name };
            let host: Host = session.client.ask(Method::PATCH, &path, Some(&edit)).await?;
            output::say!("{}: renamed", host.spec.name);
            Ok(())
        }
    }
}

async fn list(session: &Session) -> Result<(), Stop> {
    let view: Value = session.client.get("/api/v1/cluster").await?;
    if session.json {
        output::json(&view["members"]);
        return Ok(());
    }
    cluster::members(&output::typed(view)?);
    Ok(())
}

async fn show(session: &Session) -> Result<(), Stop> {
    let overview: Value = session.client.get("/api/v1/overview").await?;
    let host = overview["host"].clone();
    if session.json {
        output::json(&host);
        return Ok(());
    }
    let facts: HostFacts = output::typed(host["facts"].clone())?;
    let acceleration = match &facts.acceleration {
        hostd_types::Acceleration::Kvm => "KVM".to_owned(),
        hostd_types::Acceleration::Emulation { reason } => format!("software emulation (slow): {reason}"),
    };
    let unknown = || "unknown".to_owned();
    output::facts([
        ("Name", host["spec"]["name"].as_str().unwrap_or("unknown").into()),
        ("Id", host["id"].as_str().unwrap_or("unknown").into()),
        ("Machine", facts.machine.clone().unwrap_or_else(unknown)),
        ("CPU", format!("{}, {} threads", facts.cpu.model, facts.cpu.threads)),
        ("Memory", size::shown(facts.memory_bytes)),
        ("Guests run on", acceleration),
        ("Kernel", facts.versions.kernel.clone()),
        ("libvirt", facts.versions.libvirt.clone().unwrap_or_else(unknown)),
        ("QEMU", facts.versions.qemu.clone().unwrap_or_else(unknown)),
    ]);
    output::facts(facts.pools.iter().map(|p| {
        ("Pool", format!("{}: {} free of {}", p.name, size::shown(p.free_bytes), size::shown(p.total_bytes)))
    }));
    output::facts(facts.nics.iter().filter(|n| n.physical).map(|n| {
        let state = if n.up { "up" } else { "down" };
        ("Card", format!("{} {} {state} {}", n.name, n.mac, n.addresses.join(" ")))
    }));
    Ok(())
}
