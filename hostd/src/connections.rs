//! Connections from the network, counted: nobody on it can take them all, and one that says nothing is closed.
//!
//! Without limits a few hundred idle connections use up the process's file descriptors, and with them the Unix socket
//! that the local console and `qx` need.

use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;

/// Connections of everybody together.
const OPEN_MAX: usize = 512;
/// Connections of one address; a browser needs a handful, an office behind one address some dozens.
const OPEN_MAX_EACH: usize = 96;
/// Time for the first byte of the first request.
const FIRST_BYTE: Duration = Duration::from_secs(10);
/// Time for the head of a request, and between two requests.
const HEAD: Duration = Duration::from_secs(75);
/// How often an HTTP/2 connection is probed, and how long its answer may take.
const PROBE: Duration = Duration::from_secs(20);
/// File descriptors this process wants: all connections, and plenty for guests' consoles, databases and programs.
const FILES: u64 = 16_384;

/// Raises the limit of open files as far as it is allowed.
pub fn allow_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let wanted = FILES.min(hard).max(soft);
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)
    });
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files can't be raised");
    }
}

/// Sets the times that HTTP itself allows.
pub fn set_times(builder: &mut Builder<TokioExecutor>) {
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(PROBE).keep_alive_timeout(PROBE);
}

/// Accepts TLS connections while there is room.
#[derive(Clone)]
pub struct Counted {
    tls: RustlsAcceptor,
    open: Open,
}

impl Counted {
    /// With no connection yet.
    pub fn new(config: RustlsConfig) -> Self {
        Self { tls: RustlsAcceptor::new(config), open: Open::default() }
    }
}

type Accepting<S> = Pin<Box<dyn Future<Output = io::Result<(Watched, S)>> + Send>>;

impl<S: Send + 'static> Accept<TcpStream, S> for Counted {
    type Stream = Watched;
    type Service = S;
    type Future = Accepting<S>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let (tls, open) = (self.tls.clone(), self.open.clone());
        Box::pin(async move {
            let place = open.enter(stream.peer_addr()?.ip().to_canonical())?;
            let (stream, service) = tls.accept(stream, service).await?;
            Ok((Watched { stream, silent: Some(Box::pin(sleep(FIRST_BYTE))), _place: place }, service))
        })
    }
}

/// The open connections by address; cheap to clone.
#[derive(Clone, Default)]
struct Open(Arc<Mutex<HashMap<IpAddr, usize>>>);

impl Open {
    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more from `address`.
    fn enter(&self, address: IpAddr) -> io::Result<Place> {
        let mut counts = self.counts();
        let (all, own) = (counts.values().sum::<usize>(), counts.get(&address).copied().unwrap_or(0));
        if all >= OPEN_MAX || own >= OPEN_MAX_EACH {
            tracing::debug!(%address, all, own, "refused a connection: too many are open");
            return Err(io::Error::other("too many connections"));
        }
        counts.insert(address, own + 1);
        Ok(Place { open: self.clone(), address })
    }
}

/// A connection's place, free again when this is dropped.
struct Place {
    open: Open,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.open.counts();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// A connection that must say something in time.
pub struct Watched {
    stream: TlsStream<TcpStream>,
    /// Until the first byte came.
    silent: Option<Pin<Box<Sleep>>>,
    _place: Place,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, into);
        if into.filled().len() > before {
            self.silent = None;
        } else if read.is_pending()
            && let Some(silent) = &mut self.silent
            && silent.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_can_not_take_every_place() {
        let open = Open::default();
        let address = |n: u8| IpAddr::from([192, 0, 2, n]);
        let mut held: Vec<Place> =
            (0..OPEN_MAX_EACH).map(|_| open.enter(address(1)).expect("room")).collect();
        assert!(open.enter(address(1)).is_err());
        held.push(open.enter(address(2)).expect("room for others"));
        for n in 3..=255 {
            held.extend((0..OPEN_MAX_EACH).map_while(|_| open.enter(address(n)).ok()));
        }
        assert_eq!(held.len(), OPEN_MAX);
        held.clear();
        assert!(open.counts().is_empty());
    }
}
