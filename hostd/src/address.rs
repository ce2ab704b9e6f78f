//! Where this host's site can be reached.

use std::net::SocketAddr;

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
        let hosts =
            if self.listen.ip().is_unspecified() { hostd_core::addresses() } else { vec![self.listen.ip()] };
        hosts.into_iter().map(|ip| format!("https://{}", SocketAddr::new(ip, self.listen.port()))).collect()
    }
}
