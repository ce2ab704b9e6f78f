//! From what is wanted and what was seen to the steps between them. Pure: an empty plan means that it is so already,
//! which is also how a change is verified afterwards.

use crate::desired::{Bridged, Isolated, LinkName, Mac, Nat};
use crate::error::Refusal;
use crate::observed::{Link, LinkKind, Observed, Route};
use crate::step::Step;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// What a bridge holds for its card: given back when the network is removed, given again when the bridge was deleted
/// behind our back. The last seen truth, written before the first change and refreshed after every verified one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lent {
    /// The card.
    pub nic: LinkName,
    /// Addresses.
    pub addresses: Vec<IpNet>,
    /// Routes.
    pub routes: Vec<Route>,
    /// The card's DHCP client, when it had one; it owns the IPv4 addresses and routes then.
    pub client: Option<Vec<String>>,
}

impl Lent {
    /// What `nic` has at this moment.
    pub fn of(nic: &LinkName, seen: &Observed) -> Self {
        let index = seen.link(nic).map(|l| l.index).unwrap_or_default();
        Self {
            nic: nic.clone(),
            addresses: seen.given_addresses(index),
            routes: seen.made_routes(index),
            client: seen.clients.get(nic).cloned(),
        }
    }

    /// The same lending with what `bridge` has now.
    pub fn refreshed(&self, bridge: &LinkName, seen: &Observed) -> Self {
        let now = Self::of(bridge, seen);
        Self { nic: self.nic.clone(), client: self.client.clone(), ..now }
    }
}

fn owns(client: bool, address: &IpNet) -> bool {
    client && matches!(address, IpNet::V4(_))
}

/// Steps that make a bridge be there as it should, on; and what it was before.
fn bridge_steps(name: &LinkName, mac: Mac, seen: &Observed) -> Result<Vec<Step>, Refusal> {
    let Some(link) = seen.link(name) else {
        return Ok(vec![
            Step::CreateBridge { bridge: name.clone(), mac },
            Step::LinkUp { link: name.clone() },
        ]);
    };
    let LinkKind::Bridge { stp, forward_delay } = link.kind else {
        return Err(Refusal::NotABridge { name: name.clone() });
    };
    let mut steps = Vec::new();
    if stp || forward_delay != 0 {
        steps.push(Step::SettleBridge { bridge: name.clone() });
    }
    if link.mac != Some(mac) {
        steps.push(Step::SetMac { link: name.clone(), mac });
    }
    if !link.up {
        steps.push(Step::LinkUp { link: name.clone() });
    }
    Ok(steps)
}

/// Steps that make the bridge of a NAT network so.
///
/// # Errors
/// When the bridge's name is taken or the subnet is already behind another link.
pub fn plan_nat(nat: &Nat, seen: &Observed) -> Result<Vec<Step>, Refusal> {
    let bridge = seen.link(&nat.bridge);
    let own = bridge.map(|l| l.index);
    let subnet = IpNet::V4(nat.subnet);
    let clash = |a: &&crate::observed::Address| {
        Some(a.link) != own && (subnet.contains(&a.net.network()) || a.net.contains(&subnet.network()))
    };
    if let Some(other) = seen.addresses.iter().find(clash) {
        return Err(Refusal::SubnetInUse {
            subnet: nat.subnet,
            address: other.net,
            link: seen.name_of(other.link).unwrap_or("another link").into(),
        });
    }
    let mut steps = bridge_steps(&nat.bridge, nat.mac, seen)?;
    let wanted = IpNet::V4(nat.address());
    let has = own.map(|index| seen.given_addresses(index)).unwrap_or_default();
    for address in has.iter().filter(|a| matches!(a, IpNet::V4(_)) && **a != wanted) {
        steps.push(Step::RemoveAddress { link: nat.bridge.clone(), address: *address });
    }
    if !has.contains(&wanted) {
        steps.push(Step::AddAddress { link: nat.bridge.clone(), address: wanted });
    }
    Ok(steps)
}

/// Steps that make the bridge of an isolated network, and take away addresses that somebody gave it.
///
/// # Errors
/// When the bridge's name is taken.
pub fn plan_isolated(wanted: &Isolated, seen: &Observed) -> Result<Vec<Step>, Refusal> {
    let bridge = &wanted.bridge;
    let mut steps = bridge_steps(bridge, wanted.mac, seen)?;
    let has = seen.link(bridge).map(|link| seen.given_addresses(link.index)).unwrap_or_default();
    steps.extend(has.into_iter().map(|address| Step::RemoveAddress { link: bridge.clone(), address }));
    Ok(steps)
}

/// The card of a bridged network, when it may be one.
fn card<'a>(wanted: &Bridged, seen: &'a Observed) -> Result<&'a Link, Refusal> {
    let nic = || wanted.nic.clone();
    let link = seen.link(&wanted.nic).ok_or_else(|| Refusal::NoNic { nic: nic() })?;
    match link.kind {
        LinkKind::Bridge { .. } => return Err(Refusal::NicIsBridge { nic: nic() }),
        LinkKind::Virtual => return Err(Refusal::NotPhysical { nic: nic() }),
        LinkKind::Plain if !link.physical => return Err(Refusal::NotPhysical { nic: nic() }),
        LinkKind::Plain | LinkKind::Veth | LinkKind::Stacked => {}
    }
    if link.wireless {
        return Err(Refusal::Wireless { nic: nic() });
    }
    let bridge = seen.link(&wanted.bridge).map(|l| l.index);
    if let Some(master) = link.master.filter(|m| Some(*m) != bridge) {
        let master = seen.name_of(master).unwrap_or("another link").to_owned();
        return Err(Refusal::Taken { nic: nic(), master });
    }
    if seen.shared.contains(&link.index) {
        return Err(Refusal::SharedRoute { nic: nic() });
    }
    Ok(link)
}

/// The card is a port of the bridge.
pub fn is_port(wanted: &Bridged, seen: &Observed) -> bool {
    let bridge = seen.link(&wanted.bridge).map(|l| l.index);
    bridge.is_some() && seen.link(&wanted.nic).and_then(|l| l.master) == bridge
}

/// Steps that put the card into the bridge and move to it what the card has, and what the bridge owes by `lent`.
///
/// # Errors
/// When the card can't be bridged or the bridge's name is taken.
pub fn plan_bridged(wanted: &Bridged, lent: &Lent, seen: &Observed) -> Result<Vec<Step>, Refusal> {
    let (nic, bridge) = (&wanted.nic, &wanted.bridge);
    let card = card(wanted, seen)?;
    let mac = card.mac.ok_or_else(|| Refusal::NotPhysical { nic: nic.clone() })?;
    let existing = seen.link(bridge).map(|l| l.index);
    let mut steps = Vec::new();
    if seen.clients.contains_key(nic) {
        steps.push(Step::StopClient { link: nic.clone() });
    }
    // A client of a bridge that was deleted listens on a link that is no more, even if a new one has its name.
    let stale = existing.is_none() && seen.clients.contains_key(bridge);
    if stale {
        steps.push(Step::StopClient { link: bridge.clone() });
    }
    steps.extend(bridge_steps(bridge, mac, seen)?);
    if !card.up {
        steps.push(Step::LinkUp { link: nic.clone() });
    }
    if existing.is_none() || card.master != existing {
        steps.push(Step::Attach { port: nic.clone(), bridge: bridge.clone() });
    }

    for route in seen.made_routes(card.index) {
        steps.push(Step::RemoveRoute { link: nic.clone(), route });
    }
    for address in seen.addresses_of(card.index).filter(|a| !a.link_local()) {
        steps.push(Step::RemoveAddress { link: nic.clone(), address: address.net });
    }

    // Until the client runs on the bridge, the addresses it got go along, so that the host is cut off as shortly as
    // can be; from then on they are the client's.
    let owed = |a: &IpNet| !owns(lent.client.is_some(), a);
    let mut addresses = seen.given_addresses(card.index);
    addresses.extend(lent.addresses.iter().copied().filter(owed));
    let mut routes = seen.made_routes(card.index);
    routes.extend(lent.routes.iter().filter(|r| owed(&r.destination)).cloned());
    steps.extend(give(bridge, existing, addresses, routes, seen));

    if let Some(argv) = &lent.client
        && (stale || !seen.clients.contains_key(bridge))
    {
        let argv = crate::dhcp_client::moved(argv, nic, bridge);
        steps.push(Step::StartClient { link: bridge.clone(), argv });
    }
    Ok(steps)
}

/// Steps that give `link` what it lacks of `addresses` and `routes`, in an order in which each can work.
fn give(
    link: &LinkName,
    index: Option<u32>,
    addresses: Vec<IpNet>,
    mut routes: Vec<Route>,
    seen: &Observed,
) -> Vec<Step> {
    let has = index.map(|i| seen.given_addresses(i)).unwrap_or_default();
    let uses = index.map(|i| seen.made_routes(i)).unwrap_or_default();
    let mut steps: Vec<Step> = Vec::new();
    for address in addresses.into_iter().filter(|a| !has.contains(a)) {
        steps.push(Step::AddAddress { link: link.clone(), address });
    }
    // A gateway must be reachable when its route is added.
    routes.sort_by_key(|r| r.gateway.is_some());
    for route in routes.into_iter().filter(|r| !uses.contains(r)) {
        steps.push(Step::AddRoute { link: link.clone(), route });
    }
    let mut unique: Vec<Step> = Vec::new();
    for step in steps {
        if !unique.contains(&step) {
            unique.push(step);
        }
    }
    unique
}

/// Steps that give the card back what the bridge holds and remove the bridge. Also undoes half a move.
///
/// A DHCP client starts by taking the IPv4 addresses from its link, so it is started first, and only when it runs and got
/// none is the card given the last known ones: done means that a plan made after these steps is empty.
pub fn plan_release(bridge: &LinkName, lent: Option<&Lent>, seen: &Observed) -> Vec<Step> {
    let existing = seen.link(bridge).filter(|l| matches!(l.kind, LinkKind::Bridge { .. }));
    let mut steps = Vec::new();
    if seen.clients.contains_key(bridge) {
        steps.push(Step::StopClient { link: bridge.clone() });
    }
    let mut addresses = existing.map(|l| seen.given_addresses(l.index)).unwrap_or_default();
    let mut routes = existing.map(|l| seen.made_routes(l.index)).unwrap_or_default();
    if existing.is_some() {
        steps.push(Step::DeleteBridge { bridge: bridge.clone() });
    }
    let Some(lent) = lent else { return steps };
    let Some(card) = seen.link(&lent.nic) else { return steps };
    if !card.up {
        steps.push(Step::LinkUp { link: lent.nic.clone() });
    }
    addresses.extend(lent.addresses.iter().copied());
    routes.extend(lent.routes.iter().cloned());
    if let Some(argv) = &lent.client {
        let runs = seen.clients.contains_key(&lent.nic);
        let leased = seen.given_addresses(card.index).iter().any(|a| matches!(a, IpNet::V4(_)));
        if !runs {
            steps.push(Step::StartClient { link: lent.nic.clone(), argv: argv.clone() });
        }
        let own = !runs || leased;
        addresses.retain(|a| !owns(own, a));
        routes.retain(|r| !owns(own, &r.destination));
    }
    steps.extend(give(&lent.nic, Some(card.index), addresses, routes, seen));
    steps
}
