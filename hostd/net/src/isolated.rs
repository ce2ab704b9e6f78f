//! Isolated networks: a bridge whose guests reach each other and nothing else, not even this host.
//!
//! A bridge without an address is not enough: the kernel answers on any link for all addresses of the host, and routes what
//! comes in. So packet rules drop what would leave the bridge or reach the host, and the link has neither IPv6 nor ARP.

use crate::Nets;
use crate::desired::{Isolated, LinkName};
use crate::error::NetError;
use crate::firewall::Firewall;
use crate::observed::LinkKind;
use crate::plan::plan_isolated;
use crate::step::Step;
use crate::{nat, record};
use std::path::{Path, PathBuf};

const MARK: &str = ".isolated";
/// What the host must not do on the bridge: have an address by itself, answer for addresses it has elsewhere. Family, setting, and
/// the value that mutes.
const MUTE: [(&str, &str, &str); 2] = [("ipv6", "disable_ipv6", "1"), ("ipv4", "arp_ignore", "8")];

fn mark(run_dir: &Path, bridge: &LinkName) -> PathBuf {
    run_dir.join(format!("{bridge}{MARK}"))
}

fn knob(family: &str, name: &str, bridge: &LinkName) -> PathBuf {
    Path::new("/proc/sys/net").join(family).join("conf").join(bridge.as_str()).join(name)
}

/// The bridges of all isolated networks of this host, by name.
pub fn all(run_dir: &Path) -> Result<Vec<LinkName>, NetError> {
    let entries = std::fs::read_dir(run_dir)
        .map_err(|e| NetError::call(format!("listing {}", run_dir.display()), &e))?;
    let names = entries
        .flatten()
        .filter_map(|entry| LinkName::new(entry.file_name().to_string_lossy().strip_suffix(MARK)?).ok());
    let mut bridges: Vec<LinkName> = names.collect();
    bridges.sort();
    Ok(bridges)
}

/// Makes the network so and returns what is still wrong, found by looking again.
pub async fn ensure(
    nets: &Nets,
    rules: &mut Firewall,
    wanted: &Isolated,
) -> Result<Option<String>, NetError> {
    let steps = plan_isolated(wanted, &nets.kernel.observe(&[]).await?)?;
    // The rules come before the bridge, so that no guest is ever on it without them.
    record::write(&mark(&nets.run_dir, &wanted.bridge), b"")?;
    rules.ensure(&nat::zones(&nets.run_dir)?, &all(&nets.run_dir)?).await?;
    let on = |step: &Step| matches!(step, Step::LinkUp { .. });
    for step in steps.iter().filter(|step| !on(step)) {
        nets.kernel.apply(step).await?;
    }
    mute(&wanted.bridge)?;
    for step in steps.iter().filter(|step| on(step)) {
        nets.kernel.apply(step).await?;
    }
    let left = plan_isolated(wanted, &nets.kernel.observe(&[]).await?)?;
    if let Some(step) = left.first() {
        return Ok(Some(format!("the kernel did not keep what was set; still open: {step}")));
    }
    Ok((!rules.intact().await?).then(|| "the packet rules were changed by something else".into()))
}

/// A kernel without IPv6 has nothing to mute there.
fn mute(bridge: &LinkName) -> Result<(), NetError> {
    for (family, name, muted) in MUTE {
        let file = knob(family, name, bridge);
        let now = match std::fs::read_to_string(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            other => other.map_err(|e| NetError::call(format!("reading {}", file.display()), &e))?,
        };
        if now.trim() != muted {
            std::fs::write(&file, muted)
                .map_err(|e| NetError::call(format!("writing {}", file.display()), &e))?;
        }
    }
    Ok(())
}

/// Removes everything of the isolated network on `bridge`; fine when there is nothing.
pub async fn remove(nets: &Nets, rules: &mut Firewall, bridge: &LinkName) -> Result<(), NetError> {
    let seen = nets.kernel.observe(&[]).await?;
    if seen.link(bridge).is_some_and(|l| matches!(l.kind, LinkKind::Bridge { .. })) {
        nets.kernel.apply(&Step::DeleteBridge { bridge: bridge.clone() }).await?;
    }
    let file = mark(&nets.run_dir, bridge);
    if record::read(&file)?.is_none() {
        return Ok(());
    }
    let mut left = all(&nets.run_dir)?;
    left.retain(|other| other != bridge);
    match rules.ensure(&nat::zones(&nets.run_dir)?, &left).await {
        // A host that can't have rules has none of ours to remove.
        Err(NetError::Unsupported { .. }) => {}
        other => other?,
    }
    record::remove(&file)
}
