//! Bridged networks: a card becomes a port of a bridge, and what the host had on the card moves to the bridge. The host
//! may be reached over this very card, so the move is one procedure that is verified and undone when it fails.

use crate::Nets;
use crate::desired::{Bridged, LinkName};
use crate::error::NetError;
use crate::observed::Observed;
use crate::plan::{Lent, is_port, plan_bridged, plan_release};
use crate::record;
use crate::step::Step;
use ipnet::IpNet;
use std::path::PathBuf;
use std::time::Duration;

/// How long a DHCP client may take to get the host its address on the other link.
const LEASE_SECONDS: u64 = 15;

fn lent_file(nets: &Nets, bridge: &LinkName) -> PathBuf {
    nets.run_dir.join(format!("{bridge}.lent.json"))
}

/// Makes the network so and returns what is still wrong.
pub async fn ensure(nets: &Nets, wanted: &Bridged) -> Result<Option<String>, NetError> {
    let file = lent_file(nets, &wanted.bridge);
    let mut lent: Option<Lent> = record::load(&file)?;
    if lent.as_ref().is_some_and(|l| l.nic != wanted.nic) {
        remove(nets, &wanted.bridge).await?;
        lent = None;
    }
    let seen = observe(nets, wanted).await?;
    let fresh = lent.is_none();
    let mut lent = lent.unwrap_or_else(|| Lent::of(&wanted.nic, &seen));
    // The operating system may have started a client on the card after it was put into the bridge.
    if let Some(argv) = seen.clients.get(&wanted.nic) {
        lent.client = Some(argv.clone());
    }
    let steps = plan_bridged(wanted, &lent, &seen)?;
    // Only after a refusal had its chance.
    if fresh || !steps.is_empty() {
        record::save(&file, &lent)?;
    }
    if !steps.is_empty() {
        change(nets, wanted, &lent, &seen, &steps).await?;
    }
    let seen = observe(nets, wanted).await?;
    record::save(&file, &lent.refreshed(&wanted.bridge, &seen))?;
    let carrier = seen.link(&wanted.nic).is_some_and(|l| l.carrier);
    Ok((!carrier).then(|| format!("{} has no carrier: is its cable plugged in?", wanted.nic)))
}

async fn observe(nets: &Nets, wanted: &Bridged) -> Result<Observed, NetError> {
    nets.kernel.observe(&[&wanted.nic, &wanted.bridge]).await
}

/// Does `steps` and verifies them. When the card was not in the bridge before and this fails, it gets everything back;
/// a card that was there already stays, because guests may be using it.
async fn change(
    nets: &Nets,
    wanted: &Bridged,
    lent: &Lent,
    before: &Observed,
    steps: &[Step],
) -> Result<(), NetError> {
    let Err(cause) = apply(nets, wanted, lent, steps).await else { return Ok(()) };
    if is_port(wanted, before) {
        return Err(cause);
    }
    tracing::warn!(nic = %wanted.nic, %cause, "bridging failed, undoing it");
    let (nic, cause) = (wanted.nic.clone(), Box::new(cause));
    match release(nets, &wanted.bridge, Some(lent)).await {
        Ok(()) => {
            record::remove(&lent_file(nets, &wanted.bridge))?;
            Err(NetError::Undone { nic, cause })
        }
        Err(undo) => Err(NetError::Stuck { nic, cause, undo: Box::new(undo) }),
    }
}

async fn apply(nets: &Nets, wanted: &Bridged, lent: &Lent, steps: &[Step]) -> Result<(), NetError> {
    for step in steps {
        nets.kernel.apply(step).await?;
    }
    if lent.client.is_some() && lent.addresses.iter().any(|a| matches!(a, IpNet::V4(_))) {
        leased(nets, &wanted.bridge).await?;
    }
    let seen = observe(nets, wanted).await?;
    match plan_bridged(wanted, lent, &seen)?.first() {
        None => Ok(()),
        Some(step) => Err(NetError::Call {
            operation: step.to_string(),
            message: "the kernel did not keep what was set".into(),
        }),
    }
}

/// Waits until the DHCP client of `link` has given it an address.
async fn leased(nets: &Nets, link: &LinkName) -> Result<(), NetError> {
    let has = async || {
        let seen = nets.kernel.observe(&[link]).await?;
        let index = seen.link(link).map(|l| l.index).unwrap_or_default();
        let v4 = seen.given_addresses(index).iter().any(|a| matches!(a, IpNet::V4(_)));
        Ok::<_, NetError>(v4 && seen.clients.contains_key(link))
    };
    let watch = async {
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        loop {
            tick.tick().await;
            if has().await? {
                return Ok(());
            }
        }
    };
    let late = |_| NetError::Late { what: format!("a DHCP lease on {link}"), seconds: LEASE_SECONDS };
    tokio::time::timeout(Duration::from_secs(LEASE_SECONDS), watch).await.unwrap_or_else(|e| Err(late(e)))
}

/// Gives the card back what the bridge holds and removes the bridge: plans until nothing is left to do.
async fn release(nets: &Nets, bridge: &LinkName, lent: Option<&Lent>) -> Result<(), NetError> {
    let mut asked = vec![bridge];
    asked.extend(lent.map(|l| &l.nic));
    let mut failed = None;
    for _round in 0..3 {
        let seen = nets.kernel.observe(&asked).await?;
        let steps = plan_release(bridge, lent, &seen);
        if steps.is_empty() {
            return Ok(());
        }
        // Each step is tried even when one before it failed: the host's own connection may hang on the later ones.
        for step in steps {
            if let Err(e) = nets.kernel.apply(&step).await {
                tracing::warn!(%step, error = %e, "giving a card its addresses back");
                failed.get_or_insert(e);
            }
        }
    }
    let left = plan_release(bridge, lent, &nets.kernel.observe(&asked).await?);
    let kept = |step: &Step| NetError::Call {
        operation: step.to_string(),
        message: "the kernel did not keep what was set".into(),
    };
    left.first().map_or(Ok(()), |step| Err(failed.unwrap_or_else(|| kept(step))))
}

/// Removes the bridged network on `bridge` and gives its card everything back; fine when there is nothing.
pub async fn remove(nets: &Nets, bridge: &LinkName) -> Result<(), NetError> {
    let file = lent_file(nets, bridge);
    let lent: Option<Lent> = record::load(&file)?;
    release(nets, bridge, lent.as_ref()).await?;
    record::remove(&file)
}
