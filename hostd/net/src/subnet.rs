//! Choosing a subnet nobody uses. Pure.

use crate::observed::Observed;
use ipnet::{IpNet, Ipv4Net};
use std::net::Ipv4Addr;

/// The first /24 of 10.200.0.0/16 that overlaps no address or route in `seen` (the default route aside) nor `taken`.
pub fn free(seen: &Observed, taken: &[Ipv4Net]) -> Option<Ipv4Net> {
    let addresses = seen.addresses.iter().map(|a| a.net.trunc());
    let routes = seen.routes.iter().map(|(_, r)| r.destination).filter(|d| d.prefix_len() > 0);
    let mut used: Vec<Ipv4Net> = taken.to_vec();
    used.extend(addresses.chain(routes).filter_map(|net| match net {
        IpNet::V4(net) => Some(net),
        IpNet::V6(_) => None,
    }));
    let candidates = (0..=255).map(|third| Ipv4Net::new_assert(Ipv4Addr::new(10, 200, third, 0), 24));
    candidates.into_iter().find(|c| !used.iter().any(|u| u.contains(c) || c.contains(u)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::Address;

    fn net(text: &str) -> Ipv4Net {
        text.parse().expect(text)
    }

    #[test]
    fn the_first_that_overlaps_nothing() {
        let mut seen = Observed::default();
        assert_eq!(free(&seen, &[]), Some(net("10.200.0.0/24")));
        let address = "10.200.0.9/25".parse().expect("address");
        seen.addresses.push(Address { link: 1, net: address, permanent: true });
        assert_eq!(free(&seen, &[net("10.200.1.0/24"), net("10.200.2.128/29")]), Some(net("10.200.3.0/24")));
        assert_eq!(free(&seen, &[net("10.200.0.0/17")]), Some(net("10.200.128.0/24")));
        assert_eq!(free(&seen, &[net("10.0.0.0/8")]), None);
    }
}
