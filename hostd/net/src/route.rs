//! Routes between netlink's messages and our model.

use crate::observed::Route;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteType, RouteVia,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The links a route over several links uses.
pub fn shared_links(message: &RouteMessage) -> Vec<u32> {
    let hops = message.attributes.iter().filter_map(|a| match a {
        RouteAttribute::MultiPath(hops) => Some(hops),
        _other => None,
    });
    hops.flatten().map(|hop| hop.interface_index).collect()
}

/// A unicast route with the link it uses; none for other kinds and families.
pub fn read(message: &RouteMessage) -> Option<(u32, Route)> {
    let header = &message.header;
    if header.kind != RouteType::Unicast {
        return None;
    }
    let any: IpNet = match header.address_family {
        AddressFamily::Inet => {
            Ipv4Net::new(Ipv4Addr::UNSPECIFIED, header.destination_prefix_length).ok()?.into()
        }
        AddressFamily::Inet6 => {
            Ipv6Net::new(Ipv6Addr::UNSPECIFIED, header.destination_prefix_length).ok()?.into()
        }
        _other => return None,
    };
    let mut link = None;
    let mut route = Route {
        destination: any,
        gateway: None,
        metric: None,
        source: None,
        table: header.table.into(),
        protocol: header.protocol.into(),
        scope: header.scope.into(),
        onlink: header.flags.contains(RouteFlags::Onlink),
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(a) => {
                route.destination = IpNet::new(ip(a)?, header.destination_prefix_length).ok()?;
            }
            RouteAttribute::Gateway(a) => route.gateway = ip(a),
            RouteAttribute::Via(RouteVia::Inet6(a)) => route.gateway = Some((*a).into()),
            RouteAttribute::PrefSource(a) => route.source = ip(a),
            RouteAttribute::Priority(metric) => route.metric = Some(*metric),
            RouteAttribute::Table(table) => route.table = *table,
            RouteAttribute::Oif(index) => link = Some(*index),
            _not_needed => {}
        }
    }
    Some((link?, route))
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(a) => Some((*a).into()),
        RouteAddress::Inet6(a) => Some((*a).into()),
        _other => None,
    }
}

/// The message that adds or removes `route` over link `index`.
pub fn message(route: &Route, index: u32) -> RouteMessage {
    let mut message = RouteMessage::default();
    let v4 = matches!(route.destination, IpNet::V4(_));
    message.header.address_family = if v4 { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.destination_prefix_length = route.destination.prefix_len();
    message.header.protocol = route.protocol.into();
    message.header.scope = route.scope.into();
    message.header.kind = RouteType::Unicast;
    if route.onlink {
        message.header.flags = RouteFlags::Onlink;
    }
    // The header holds small table numbers only; the attribute holds them all.
    message.header.table = u8::try_from(route.table).unwrap_or_default();
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Table(route.table));
    attributes.push(RouteAttribute::Oif(index));
    if route.destination.prefix_len() > 0 {
        attributes.push(RouteAttribute::Destination(route.destination.addr().into()));
    }
    match route.gateway {
        Some(IpAddr::V6(a)) if v4 => attributes.push(RouteAttribute::Via(RouteVia::Inet6(a))),
        Some(gateway) => attributes.push(RouteAttribute::Gateway(gateway.into())),
        None => {}
    }
    if let Some(source) = route.source {
        attributes.push(RouteAttribute::PrefSource(source.into()));
    }
    if let Some(metric) = route.metric {
        attributes.push(RouteAttribute::Priority(metric));
    }
    message
}
