//! Addresses of guests' cards, and network configurations that somebody wrote himself.

use super::user_data::check_text;
use super::yaml::{self, Yaml};
use crate::admit::Fields;
use hostd_types::*;
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Most entries of a list of one card.
const LIST_MAX: usize = 16;

/// Notes what is wrong with the addresses of cards, below `at`; `macs` are those of the machine, when it is known.
pub(super) fn check_cards(wrong: &mut Fields, at: &str, cards: &[GuestCard], macs: Option<&[String]>) {
    let mut seen = BTreeSet::new();
    for (index, card) in cards.iter().enumerate() {
        let at = format!("{at}/cards/{index}");
        if let Some(macs) = macs {
            if card.mac.is_empty() && !card.is_plain() {
                wrong.add(&at, "The machine has no network card in this place.");
            } else if !card.mac.is_empty() && !macs.contains(&card.mac) {
                wrong.add(format!("{at}/mac"), "The machine has no network card with this address.");
            }
        }
        if !card.mac.is_empty() && !seen.insert(&card.mac) {
            wrong.add(format!("{at}/mac"), "This card is listed twice.");
        }
        check_card(wrong, &at, card);
    }
}

fn check_card(wrong: &mut Fields, at: &str, card: &GuestCard) {
    let GuestCard { mac: _, addresses, gateways, nameservers, search } = card;
    for (name, list) in
        [("addresses", addresses), ("gateways", gateways), ("nameservers", nameservers), ("search", search)]
    {
        if list.len() > LIST_MAX {
            wrong.add(format!("{at}/{name}"), format!("{LIST_MAX} are the most."));
            return;
        }
    }
    let mut nets = Vec::new();
    for address in addresses {
        match address.parse::<IpNet>() {
            Ok(net) if usable(&net) => nets.push(net),
            Ok(net) => {
                let what = if net.addr() == net.network() { "a network" } else { "a broadcast" };
                wrong.add(format!("{at}/addresses"), format!("{address} is {what}, not the address of a card."));
            }
            Err(_) => wrong.add(
                format!("{at}/addresses"),
                format!("{address} is no address with the length of its network, such as 192.0.2.10/24 or 2001:db8::10/64."),
            ),
        }
    }
    let mut families = BTreeSet::new();
    for gateway in gateways {
        let at = format!("{at}/gateways");
        match gateway.parse::<IpAddr>() {
            Err(_) => wrong.add(at, format!("{gateway} is no IP address.")),
            Ok(ip) if !families.insert(ip.is_ipv4()) => {
                wrong.add(at, "There is one gateway of each family at most.")
            }
            Ok(IpAddr::V6(ip)) if ip.is_unicast_link_local() => {}
            Ok(ip) if nets.iter().any(|net| net.contains(&ip) && net.addr() != ip) => {}
            Ok(_) if addresses.is_empty() => {
                wrong.add(at, "A card that gets its address by DHCP gets its gateway too.")
            }
            Ok(_) => wrong.add(at, format!("{gateway} is in none of the networks of the card's addresses.")),
        }
    }
    for server in nameservers.iter().filter(|server| server.parse::<IpAddr>().is_err()) {
        wrong.add(format!("{at}/nameservers"), format!("{server} is no IP address."));
    }
    for domain in search {
        if super::hostname::resolve(domain, "", "").as_deref() != Ok(domain.as_str()) || domain.is_empty() {
            wrong.add(format!("{at}/search"), format!("{domain} is no domain."));
        }
    }
}

/// It can be a card's: neither the network itself nor its broadcast, where it has these.
fn usable(net: &IpNet) -> bool {
    match net {
        IpNet::V4(net) => {
            net.prefix_len() >= 31 || (net.addr() != net.network() && net.addr() != net.broadcast())
        }
        IpNet::V6(net) => net.prefix_len() >= 127 || net.addr() != net.network(),
    }
}

/// Checks a network configuration; empty is none.
///
/// # Errors
/// A sentence about what is wrong, with the line where there is one.
pub(super) fn check_raw(text: &str) -> Result<(), String> {
    check_text(text)?;
    if text.is_empty() {
        return Ok(());
    }
    let Yaml::Map(mut fields) = yaml::parse(text)? else {
        return Err("A network configuration is a mapping with version: 2 and ethernets.".into());
    };
    if let [(name, Yaml::Map(inner))] = fields.as_slice()
        && name == "network"
    {
        fields = inner.clone();
    }
    let of = |name: &str| fields.iter().find(|(there, _)| there == name).map(|(_, value)| value);
    match (of("version"), of("config"), of("ethernets")) {
        (None, _, _) => Err("It begins with its version: version: 2 (or 1).".into()),
        (Some(Yaml::Number), Some(Yaml::List(_)), None) => Ok(()),
        (Some(Yaml::Number), None, Some(Yaml::Map(_)) | None) => Ok(()),
        (Some(Yaml::Number), _, _) => {
            Err("With version 1 config is a list, with version 2 ethernets is a mapping.".into())
        }
        (Some(_), _, _) => Err("The version is a number: 2 (or 1).".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(card: GuestCard) -> Vec<String> {
        let mut wrong = Fields::default();
        check_cards(&mut wrong, "", &[card], Some(&["52:54:00:00:00:01".into()]));
        wrong.done().err().map_or_else(Vec::new, |p| {
            p.errors.into_iter().map(|e| format!("{} {}", e.pointer, e.detail)).collect()
        })
    }

    fn card(addresses: &[&str], gateways: &[&str]) -> GuestCard {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        GuestCard {
            mac: "52:54:00:00:00:01".into(),
            addresses: texts(addresses),
            gateways: texts(gateways),
            ..GuestCard::default()
        }
    }

    #[test]
    fn addresses_are_those_of_cards_and_gateways_lie_beside_them() {
        for good in [
            card(&[], &[]),
            card(&["192.0.2.10/24", "2001:db8::5/64"], &["192.0.2.1", "fe80::1"]),
            card(&["192.0.2.10/31"], &["192.0.2.11"]),
        ] {
            assert_eq!(told(good), Vec::<String>::new());
        }
        for (bad, say) in [
            (card(&["192.0.2.10"], &[]), "/cards/0/addresses 192.0.2.10 is no address"),
            (card(&["192.0.2.0/24"], &[]), "is a network"),
            (card(&["192.0.2.255/24"], &[]), "is a broadcast"),
            (card(&["192.0.2.10/24"], &["198.51.100.1"]), "in none of the networks"),
            (card(&["192.0.2.10/24"], &["192.0.2.1", "192.0.2.2"]), "one gateway of each family"),
            (card(&[], &["192.0.2.1"]), "gets its gateway too"),
            (GuestCard { nameservers: vec!["dns".into()], ..card(&[], &[]) }, "/cards/0/nameservers dns"),
            (GuestCard { search: vec!["a b".into()], ..card(&[], &[]) }, "/cards/0/search a b"),
            (GuestCard { mac: "52:54:00:00:00:02".into(), ..card(&[], &[]) }, "/cards/0/mac"),
            (GuestCard { mac: String::new(), ..card(&["192.0.2.10/24"], &[]) }, "in this place"),
        ] {
            let told = told(bad);
            assert!(told.len() == 1 && told[0].contains(say), "{say}: {told:?}");
        }
    }

    #[test]
    fn a_raw_configuration_has_a_version() {
        for good in [
            "",
            "version: 2\nethernets: {a: {dhcp4: true}}\n",
            "network:\n  version: 1\n  config: []\n",
            "version: 2\n",
        ] {
            assert_eq!(check_raw(good), Ok(()), "{good}");
        }
        for bad in ["ethernets: {}", "- a", "version: two", "version: 2\nethernets: []", "a: b: c"] {
            assert!(check_raw(bad).is_err(), "{bad}");
        }
    }
}
