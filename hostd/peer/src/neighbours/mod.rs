//! Finding hosts on the same network by multicast DNS. Nothing is sent or listened to but while somebody looks: a
//! [`Search`] asks and answers as long as it lives.
//!
//! What neighbours say is a hint for people. It proves nothing, and nothing secret is in it.

mod message;

use hostd_types::{ClusterId, HostId};
use message::Heard;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Where multicast DNS is spoken.
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const PORT: u16 = 5353;
/// How often it is asked.
const ASK_EVERY: Duration = Duration::from_secs(3);
/// How long a neighbour is shown after it was last heard.
const FORGET: Duration = Duration::from_secs(15);
/// Neighbours kept at most.
const KEPT: usize = 256;

/// What a host says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// The host.
    pub host: HostId,
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its name.
    pub name: String,
    /// The port of its site.
    pub port: u16,
}

/// A neighbour with where it was heard from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it says of itself.
    pub neighbour: Neighbour,
    /// Its site.
    pub site: SocketAddr,
}

/// A search under way; it ends when this is dropped.
#[derive(Debug)]
pub struct Search {
    found: Arc<Mutex<BTreeMap<HostId, (Found, Instant)>>>,
    _end: DropGuard,
}

impl Search {
    /// Asks on the networks of `addresses` (IPv4), and answers others who ask with `me`. Needs a tokio runtime; the work is
    /// spawned on `tasks` and ends with `stop`, too.
    ///
    /// # Errors
    /// On none of the networks multicast is possible.
    pub fn start(
        me: Neighbour,
        addresses: &[IpAddr],
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> io::Result<Self> {
        let found = Arc::<Mutex<BTreeMap<HostId, (Found, Instant)>>>::default();
        let end = stop.child_token();
        let mut refused = io::Error::new(io::ErrorKind::AddrNotAvailable, "this host has no IPv4 address");
        let mut open = 0;
        for address in addresses {
            let IpAddr::V4(address) = address else { continue };
            match socket(*address) {
                Ok(socket) => {
                    open += 1;
                    let (me, found, end) = (me.clone(), found.clone(), end.clone());
                    tasks.spawn(async move {
                        let _ = end.run_until_cancelled(talk(socket, me, found)).await;
                    });
                }
                Err(error) => refused = error,
            }
        }
        if open == 0 {
            return Err(refused);
        }
        Ok(Self { found, _end: end.drop_guard() })
    }

    /// Who was heard within the last seconds, by name.
    pub fn found(&self) -> Vec<Found> {
        let mut known = lock(&self.found);
        known.retain(|_, (_, at)| at.elapsed() < FORGET);
        let mut found: Vec<Found> = known.values().map(|(found, _)| found.clone()).collect();
        found.sort_by(|a, b| {
            (&a.neighbour.name, a.neighbour.host).cmp(&(&b.neighbour.name, b.neighbour.host))
        });
        found
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A socket on the network of `address`, beside those of other programs.
fn socket(address: Ipv4Addr) -> io::Result<(UdpSocket, Ipv4Addr)> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    // Bound to the group's own address, it hears this group alone.
    socket.bind(&SocketAddr::V4(SocketAddrV4::new(GROUP, PORT)).into())?;
    socket.join_multicast_v4(&GROUP, &address)?;
    socket.set_multicast_if_v4(&address)?;
    socket.set_multicast_ttl_v4(255)?;
    socket.set_multicast_loop_v4(false)?;
    Ok((UdpSocket::from_std(socket.into())?, address))
}

async fn talk(
    (socket, address): (UdpSocket, Ipv4Addr),
    me: Neighbour,
    known: Arc<Mutex<BTreeMap<HostId, (Found, Instant)>>>,
) {
    let group = SocketAddr::V4(SocketAddrV4::new(GROUP, PORT));
    let (question, answer) = (message::question(), message::answer(&me, address));
    let mut ticks = tokio::time::interval(ASK_EVERY);
    let mut buffer = [0; message::MOST];
    loop {
        let (length, from) = tokio::select! {
            _ = ticks.tick() => {
                // A network that is down takes nothing; the next time it may.
                let _ = socket.send_to(&question, group).await;
                let _ = socket.send_to(&answer, group).await;
                continue;
            }
            received = socket.recv_from(&mut buffer) => match received {
                Ok(received) => received,
                Err(error) => {
                    tracing::debug!(%error, "a look for neighbours failed");
                    ticks.tick().await;
                    continue;
                }
            },
        };
        match message::read(&buffer[..length]) {
            Some(Heard::Question) => {
                let _ = socket.send_to(&answer, group).await;
            }
            Some(Heard::Host(neighbour)) if neighbour.host != me.host => {
                let site = SocketAddr::new(from.ip(), neighbour.port);
                let mut known = lock(&known);
                if known.len() < KEPT || known.contains_key(&neighbour.host) {
                    known.insert(neighbour.host, (Found { neighbour, site }, Instant::now()));
                }
            }
            Some(Heard::Host(_)) | None => {}
        }
    }
}
