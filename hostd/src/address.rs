//! Where this host can be reached.

use std::net::{IpAddr, SocketAddr};

/// Where the pages are, and the certificate they are served with.
#[derive(Debug, Clone)]
pub struct Site {
    /// The address listened on.
    pub listen: SocketAddr,
    /// SHA-256 of the certificate, `AB:CD:…`.
    pub fingerprint: String,
}

impl Site {
    /// The addresses to type into a browser: one for each address of this host, if it listens on all of them.
    pub fn urls(&self) -> Vec<String> {
        let hosts = if self.listen.ip().is_unspecified() { addresses() } else { vec![self.listen.ip()] };
        hosts.into_iter().map(|ip| format!("https://{}", SocketAddr::new(ip, self.listen.port()))).collect()
    }
}

/// Addresses of this host that others can reach, IPv4 first; none of the bridges and taps of guests.
pub fn addresses() -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = nix::ifaddrs::getifaddrs()
        .into_iter()
        .flatten()
        .filter(|a| !is_for_guests(&a.interface_name))
        .filter_map(|a| ip(a.address?))
        .filter(|ip| !ip.is_loopback() && !is_link_local(ip))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The machine's name, `quantix` if it has none.
pub fn hostname() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|n| n.into_string().ok()).unwrap_or_default();
    if name.is_empty() { "quantix".into() } else { name }
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

/// Our NAT bridges carry the networks' id; a bridge over a physical card carries the host's own address.
fn is_for_guests(interface: &str) -> bool {
    interface.starts_with("vnet") || interface.starts_with("virbr")
}
