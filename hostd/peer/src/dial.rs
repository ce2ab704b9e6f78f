//! Connecting to a node: all its known addresses are tried, and the first that proves to be the node wins.

use crate::LinkError;
use crate::certificate::{member_name, server_name};
use crate::credentials::{ALPN, Credentials};
use crate::frame::Purpose;
use crate::greeting;
use crate::shared::Shared;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hostd_types::NodeId;
use rustix::net::sockopt;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::client::TlsStream;

/// Time for an attempt with all addresses.
const ATTEMPT: Duration = Duration::from_secs(5);
/// The next address is tried when the one before has not succeeded in this time.
const STAGGER: Duration = Duration::from_millis(250);
/// The kernel asks a silent peer after so long, so often, so many times; a backstop for streams, which have no frames.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(5), Duration::from_secs(2), 3);
/// Milliseconds for which bytes may stay unacknowledged.
const UNACKNOWLEDGED_MS: u32 = 10_000;

/// Connects to `to` as the identity in use, and greets.
pub(crate) async fn dial(
    shared: &Shared,
    credentials: &Credentials,
    to: NodeId,
    purpose: Purpose,
) -> Result<TlsStream<TcpStream>, LinkError> {
    let addresses = shared.book().candidates(to);
    if addresses.is_empty() {
        return Err(LinkError::Unreachable(format!("no address of node {to} is known")));
    }
    let racing = race(addresses, |address| one(shared, credentials, to, purpose, address));
    let (address, io) = tokio::select! {
        () = credentials.epoch.cancelled() => return Err(LinkError::Outside),
        result = timeout(ATTEMPT, racing) => {
            result.map_err(|_| LinkError::Unreachable("no connection in time".into()))??
        }
    };
    shared.book().prove(to, address);
    shared.hear(to);
    Ok(io)
}

/// Tries addresses one after the other, each a little after the one before; the first success wins. So does the first
/// node that proves to be the right one and refuses.
pub(crate) async fn race<T, F>(
    addresses: Vec<SocketAddr>,
    attempt: impl Fn(SocketAddr) -> F,
) -> Result<(SocketAddr, T), LinkError>
where
    F: Future<Output = Result<T, LinkError>>,
{
    let attempt = &attempt;
    let try_one = |address| async move { (address, attempt(address).await) };
    let (mut left, mut running) = (addresses.into_iter(), FuturesUnordered::new());
    let mut failures = Vec::new();
    running.extend(left.next().map(try_one));
    loop {
        tokio::select! {
            done = running.next() => match done {
                Some((address, Ok(won))) => return Ok((address, won)),
                Some((address, Err(LinkError::Unreachable(why)))) => {
                    failures.push(format!("{address}: {why}"));
                    running.extend(left.next().map(try_one));
                }
                Some((_, Err(refused))) => return Err(refused),
                None => return Err(LinkError::Unreachable(failures.join("; "))),
            },
            () = sleep(STAGGER), if left.len() > 0 => running.extend(left.next().map(try_one)),
        }
    }
}

async fn one(
    shared: &Shared,
    credentials: &Credentials,
    to: NodeId,
    purpose: Purpose,
    address: SocketAddr,
) -> Result<TlsStream<TcpStream>, LinkError> {
    let failed = |why: &dyn std::fmt::Display| LinkError::Unreachable(why.to_string());
    let tcp = TcpStream::connect(address).await.map_err(|e| failed(&e))?;
    tune(&tcp).map_err(|e| failed(&e))?;
    let name = server_name(member_name(credentials.identity.cluster(), to)).map_err(|e| failed(&e))?;
    let mut io = credentials.connector.connect(name, tcp).await.map_err(|e| failed(&e))?;
    if io.get_ref().1.alpn_protocol() != Some(ALPN) {
        return Err(failed(&"it does not speak the protocol of peers"));
    }
    greeting::knock(&mut io, credentials, purpose, shared.local.port()).await?;
    Ok(io)
}

/// Small frames go out at once, and a peer that vanished is noticed by the kernel.
pub(crate) fn tune(tcp: &TcpStream) -> std::io::Result<()> {
    let (idle, interval, count) = KEEPALIVE;
    tcp.set_nodelay(true)?;
    sockopt::set_socket_keepalive(tcp, true)?;
    sockopt::set_tcp_keepidle(tcp, idle)?;
    sockopt::set_tcp_keepintvl(tcp, interval)?;
    sockopt::set_tcp_keepcnt(tcp, count)?;
    Ok(sockopt::set_tcp_user_timeout(tcp, UNACKNOWLEDGED_MS)?)
}
