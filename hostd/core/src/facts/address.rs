//! Where this host can be reached.

use std::ffi::OsStr;
use std::net::IpAddr;
use std::path::Path;

/// Where the kernel shows network interfaces.
const INTERFACES: &str = "/sys/class/net";

/// Addresses of this host that others can reach, IPv4 first; those of guests' own networks only if there are no others.
pub fn addresses() -> Vec<IpAddr> {
    let all = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let (inner, outer): (Vec<_>, Vec<_>) = all
        .filter_map(|a| Some((is_for_guests(&a.interface_name, Path::new(INTERFACES)), ip(a.address?)?)))
        .filter(|(_, ip)| !ip.is_loopback() && !is_link_local(ip))
        .partition(|(for_guests, _)| *for_guests);
    let chosen = if outer.is_empty() { inner } else { outer };
    let mut found: Vec<IpAddr> = chosen.into_iter().map(|(_, ip)| ip).collect();
    found.sort();
    found.dedup();
    found
}

fn ip(address: nix::sys::socket::SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
}

fn is_link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// A guest's tap, or a bridge with no other port than taps: what reaches it comes from guests. A bridge over a card, a
/// bond or a VLAN carries the host's own address.
fn is_for_guests(interface: &str, interfaces: &Path) -> bool {
    let is_tap = |name: &OsStr| interfaces.join(name).join("tun_flags").exists();
    if is_tap(interface.as_ref()) {
        return true;
    }
    match std::fs::read_dir(interfaces.join(interface).join("brif")) {
        Ok(mut ports) => ports.all(|port| port.is_ok_and(|port| is_tap(&port.file_name()))),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_is_the_host_s_when_a_card_is_its_port() {
        let net = tempfile::tempdir().unwrap();
        for there in [
            "eth0",
            "vnet0/tun_flags",
            "qx0lan/brif/eth0",
            "qx0lan/brif/vnet0",
            "qx1nat/brif/vnet0",
            "qx2nat/brif",
        ] {
            std::fs::create_dir_all(net.path().join(there)).unwrap();
        }
        for (interface, for_guests) in
            [("eth0", false), ("qx0lan", false), ("qx1nat", true), ("qx2nat", true), ("vnet0", true)]
        {
            assert_eq!(is_for_guests(interface, net.path()), for_guests, "{interface}");
        }
    }
}
