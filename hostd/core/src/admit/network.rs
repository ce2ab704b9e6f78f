//! Rules for networks.

use super::{Fields, list_names};
use crate::snapshot::Snapshot;
use hostd_types::name::{check_description, check_name};
use hostd_types::*;
use ipnet::{IpNet, Ipv4Net};

/// May this network be made?
pub(super) fn create(network: &CreateNetwork, now: &Snapshot) -> Result<(), Problem> {
    let mut wrong = Fields::default();
    wrong.check("/name", check_name(&network.name));
    wrong.check("/description", check_description(&network.description));
    match &network.mode {
        NetworkMode::Nat { subnet } => wrong.check("/subnet", check_subnet(*subnet, now)),
        NetworkMode::Bridged { nic } => wrong.check("/nic", check_nic(nic, now)),
        NetworkMode::Isolated => {}
    }
    wrong.done()
}

/// May this network be deleted?
pub(super) fn delete(id: NetworkId, now: &Snapshot) -> Result<(), Problem> {
    let network = now.networks.get(&id).ok_or_else(|| Problem::not_found("network", id))?;
    let name = &network.spec.name;
    if !now.vms.is_empty() {
        let vms = list_names(now.vms.iter().map(|vm| vm.spec.name.as_str()));
        let detail = format!("{name} is used by {vms}; delete these machines first.");
        return Err(Problem::new(ProblemKind::Conflict, detail));
    }
    match network.status.phase {
        Phase::Ready => Ok(()),
        Phase::Creating => Err(Problem::wrong_state(format!("{name} is still being made; wait for it."))),
        Phase::Deleting => Err(Problem::wrong_state(format!("{name} is being deleted already."))),
    }
}

fn check_subnet(subnet: Ipv4Net, now: &Snapshot) -> Result<(), String> {
    if !(16..=29).contains(&subnet.prefix_len()) {
        return Err(format!("The subnet's size must be /16 to /29, not /{}.", subnet.prefix_len()));
    }
    if subnet.addr() != subnet.network() {
        return Err(format!("{subnet} is an address inside a subnet; the subnet is {}.", subnet.trunc()));
    }
    if !subnet.network().is_private() || !subnet.broadcast().is_private() {
        return Err("Use a private subnet: in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16.".into());
    }
    for other in now.networks.values() {
        if let NetworkMode::Nat { subnet: taken } = &other.spec.mode
            && overlap(subnet, *taken)
        {
            return Err(format!("{subnet} overlaps {taken} of the network {}.", other.spec.name));
        }
    }
    for link in &now.links {
        for address in &link.addresses {
            if let Ok(IpNet::V4(taken)) = address.parse::<IpNet>()
                && overlap(subnet, taken)
            {
                return Err(format!("{subnet} overlaps {address}, the host's address on {}.", link.name));
            }
        }
    }
    Ok(())
}

fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

fn check_nic(nic: &str, now: &Snapshot) -> Result<(), String> {
    let free = || {
        let cards = now.links.iter().filter(|link| link.physical && link.master.is_none());
        match list_names(cards.map(|link| link.name.as_str())) {
            none if none.is_empty() => "This host has no free card.".to_owned(),
            names => format!("Free cards: {names}."),
        }
    };
    let Some(link) = now.links.iter().find(|link| link.name == nic) else {
        return Err(format!("This host has no such card. {}", free()));
    };
    if !link.physical {
        return Err(format!("{} is not a network card. {}", link.name, free()));
    }
    let user = now.networks.values().find(|other| match &other.spec.mode {
        NetworkMode::Bridged { nic: taken } => taken == nic,
        NetworkMode::Nat { .. } | NetworkMode::Isolated => false,
    });
    if let Some(other) = user {
        return Err(format!("{} carries the network {} already.", link.name, other.spec.name));
    }
    if let Some(bridge) = &link.master {
        return Err(format!("{} is a port of the bridge {bridge}. {}", link.name, free()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::sample;

    fn link(name: &str, physical: bool, address: &str) -> NicFacts {
        NicFacts {
            name: name.into(),
            mac: "02:00:00:00:00:01".into(),
            physical,
            up: true,
            speed_mbit: None,
            driver: None,
            addresses: vec![address.into()],
            master: None,
        }
    }

    fn now() -> Snapshot {
        let taken = sample::nat("default", "10.200.0.0/24");
        let bridged = sample::network("lan", NetworkMode::Bridged { nic: "eth1".into() });
        Snapshot {
            networks: [(taken.id, taken), (bridged.id, bridged)].into(),
            links: vec![
                link("lo", false, "127.0.0.1/8"),
                link("eth0", true, "192.168.7.20/24"),
                link("eth1", true, "fe80::1/64"),
                link("eth2", true, "fe80::2/64"),
            ],
            ..Default::default()
        }
    }

    fn body(mode: NetworkMode) -> CreateNetwork {
        CreateNetwork { name: "net".into(), description: String::new(), mode }
    }

    #[test]
    fn subnets_are_private_whole_and_free() {
        let table = [
            ("10.201.0.0/24", None),
            ("172.16.0.0/16", None),
            ("192.168.8.0/29", None),
            ("10.201.0.0/30", Some("/16 to /29")),
            ("10.0.0.0/8", Some("/16 to /29")),
            ("10.201.0.5/24", Some("10.201.0.0/24")),
            ("8.8.8.0/24", Some("private")),
            ("172.32.0.0/16", Some("private")),
            ("10.200.0.128/25", Some("default")),
            ("10.200.0.0/16", Some("default")),
            ("192.168.7.0/28", Some("eth0")),
            ("192.168.0.0/16", Some("eth0")),
        ];
        for (subnet, refusal) in table {
            let mode = NetworkMode::Nat { subnet: subnet.parse().expect(subnet) };
            match (create(&body(mode), &now()), refusal) {
                (Ok(()), None) => {}
                (Err(problem), Some(word)) => {
                    assert!(problem.at("/subnet").is_some_and(|d| d.contains(word)), "{subnet}: {problem}");
                }
                (answer, _) => panic!("{subnet}: {answer:?}"),
            }
        }
    }

    #[test]
    fn bridges_need_a_free_card() {
        for (nic, refusal) in [
            ("eth0", None),
            ("eth2", None),
            ("eth9", Some("no such card")),
            ("lo", Some("not a network card")),
            ("eth1", Some("lan already")),
            ("<b>", Some("no such card")),
        ] {
            let answer = create(&body(NetworkMode::Bridged { nic: nic.into() }), &now());
            match (answer, refusal) {
                (Ok(()), None) => {}
                (Err(problem), Some(word)) => assert!(problem.detail.contains(word), "{nic}: {problem}"),
                (answer, _) => panic!("{nic}: {answer:?}"),
            }
        }
    }

    #[test]
    fn networks_in_use_stay() {
        let mut now = now();
        let id = *now.networks.keys().next().expect("a network");
        delete(id, &now).expect("unused");
        now.vms = vec![sample::vm("web")];
        assert!(delete(id, &now).expect_err("used").detail.contains("web"));
    }
}
