//! NAT networks: bridge and address, routing, rules, DHCP; in this order, and back in the opposite one.

use crate::Nets;
use crate::desired::{LinkName, Nat};
use crate::dhcp_server::DhcpServer;
use crate::error::NetError;
use crate::firewall::{self, Firewall, Zone};
use crate::isolated;
use crate::observed::LinkKind;
use crate::plan::plan_nat;
use crate::record;
use crate::step::Step;
use std::path::{Path, PathBuf};

const ZONE: &str = ".zone.json";

fn zone_file(run_dir: &Path, bridge: &LinkName) -> PathBuf {
    run_dir.join(format!("{bridge}{ZONE}"))
}

/// Present while the kernel routes only because we switched that on.
fn routing_mark(run_dir: &Path) -> PathBuf {
    run_dir.join("routing-was-off")
}

/// Every NAT network there is on this host, by name of bridge: the rules are for all of them, whichever is asked about.
pub fn zones(run_dir: &Path) -> Result<Vec<Zone>, NetError> {
    let entries = std::fs::read_dir(run_dir)
        .map_err(|e| NetError::call(format!("listing {}", run_dir.display()), &e))?;
    let mut zones: Vec<Zone> = Vec::new();
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().ends_with(ZONE) {
            zones.extend(record::load::<Zone>(&entry.path())?);
        }
    }
    zones.sort_by(|a, b| a.bridge.cmp(&b.bridge));
    Ok(zones)
}

/// Makes the network so and returns what is still wrong, found by looking again.
pub async fn ensure(nets: &Nets, rules: &mut Firewall, nat: &Nat) -> Result<Option<String>, NetError> {
    let seen = nets.kernel.observe(&[]).await?;
    let steps = plan_nat(nat, &seen)?;
    // The rules come before the bridge, so that no guest is ever on it without them.
    let zone = Zone { bridge: nat.bridge.clone(), subnet: nat.subnet, gateway: nat.gateway() };
    record::save(&zone_file(&nets.run_dir, &nat.bridge), &zone)?;
    rules.ensure(&zones(&nets.run_dir)?, &isolated::all(&nets.run_dir)?).await?;
    for step in &steps {
        nets.kernel.apply(step).await?;
    }
    if !firewall::forwarding()? {
        record::write(&routing_mark(&nets.run_dir), b"")?;
        firewall::set_forwarding(true)?;
    }
    let seen = nets.kernel.observe(&[]).await?;
    let server = DhcpServer::new(&nat.bridge, &nets.run_dir, &nets.lease_dir);
    if let Some(bridge) = seen.link(&nat.bridge) {
        server.ensure(nat, bridge.index).await?;
    }
    verify(nets, rules, nat, &server).await
}

async fn verify(
    nets: &Nets,
    rules: &Firewall,
    nat: &Nat,
    server: &DhcpServer,
) -> Result<Option<String>, NetError> {
    let left = plan_nat(nat, &nets.kernel.observe(&[]).await?)?;
    let fault = if let Some(step) = left.first() {
        Some(format!("the kernel did not keep what was set; still open: {step}"))
    } else if !rules.intact().await? {
        Some("the packet rules were changed by something else".into())
    } else if !firewall::forwarding()? {
        Some("the kernel does not route IPv4".into())
    } else if !server.serving() {
        Some("DHCP and DNS stopped right after their start".into())
    } else {
        None
    };
    Ok(fault)
}

/// Removes everything of the NAT network on `bridge`; fine when there is nothing.
pub async fn remove(nets: &Nets, rules: &mut Firewall, bridge: &LinkName) -> Result<(), NetError> {
    DhcpServer::new(bridge, &nets.run_dir, &nets.lease_dir).remove().await?;
    let seen = nets.kernel.observe(&[]).await?;
    if seen.link(bridge).is_some_and(|l| matches!(l.kind, LinkKind::Bridge { .. })) {
        nets.kernel.apply(&Step::DeleteBridge { bridge: bridge.clone() }).await?;
    }
    let file = zone_file(&nets.run_dir, bridge);
    if record::read(&file)?.is_none() {
        return Ok(());
    }
    let mut left = zones(&nets.run_dir)?;
    left.retain(|z| z.bridge != *bridge);
    match rules.ensure(&left, &isolated::all(&nets.run_dir)?).await {
        // A host that can't have rules has none of ours to remove.
        Err(NetError::Unsupported { .. }) => {}
        other => other?,
    }
    let mark = routing_mark(&nets.run_dir);
    if left.is_empty() && record::read(&mark)?.is_some() {
        firewall::set_forwarding(false)?;
        record::remove(&mark)?;
    }
    record::remove(&file)
}
