//! The other end of a connection.

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use std::net::{IpAddr, SocketAddr};
use tokio::net::UnixListener;

/// Who is at the other end of the connection, as the kernel tells it. The listeners put it into every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Somebody on the network.
    Network(SocketAddr),
    /// A process on this host, over the Unix socket.
    Local {
        /// Its effective user id; none if the kernel would not say.
        uid: Option<u32>,
    },
}

impl Peer {
    /// The network address, if it is on the network.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            // A listener on `::` sees IPv4 as `::ffff:192.0.2.1`.
            Peer::Network(address) => Some(address.ip().to_canonical()),
            Peer::Local { .. } => None,
        }
    }
}

impl Connected<SocketAddr> for Peer {
    fn connect_info(address: SocketAddr) -> Self {
        Peer::Network(address)
    }
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Peer::Local { uid: stream.io().peer_cred().ok().map(|c| c.uid()) }
    }
}
