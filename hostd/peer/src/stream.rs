//! Streams of bytes between hosts: a connection of their own, so that a console's or an upload's bytes wait for nobody's
//! frames.

use crate::frame::{Frame, FrameError};
use crate::greeting;
use crate::places::Place;
use hostd_types::NodeId;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A stream of bytes to or from a peer. It fails when this host gets another identity, and an end without a goodbye of
/// the other side is an error, too. [`shutdown`](tokio::io::AsyncWriteExt::shutdown) ends the own direction.
pub struct PeerStream {
    io: TlsStream<TcpStream>,
    epoch: CancellationToken,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    _place: Option<Place<NodeId>>,
}

/// A stream that a peer wants and that was not answered yet. Dropping it hangs up.
pub struct Door(PeerStream);

impl PeerStream {
    pub(crate) fn new(
        io: impl Into<TlsStream<TcpStream>>,
        epoch: &CancellationToken,
        place: Option<Place<NodeId>>,
    ) -> Self {
        let ended = Box::pin(epoch.clone().cancelled_owned());
        Self { io: io.into(), epoch: epoch.clone(), ended, _place: place }
    }
}

impl Door {
    pub(crate) fn new(stream: PeerStream) -> Self {
        Self(stream)
    }

    /// Lets the peer in: after this, bytes flow.
    ///
    /// # Errors
    /// The peer is gone.
    pub async fn accept(self) -> io::Result<PeerStream> {
        let Self(mut stream) = self;
        send(&mut stream, &Frame::Accepted).await?;
        Ok(stream)
    }

    /// Tells the peer why not.
    pub async fn refuse(self, text: impl Into<String>) {
        let Self(mut stream) = self;
        let _gone_already = send(&mut stream, &Frame::Refused { removed: false, text: text.into() }).await;
        let _gone_already = tokio::io::AsyncWriteExt::shutdown(&mut stream).await;
    }
}

async fn send(stream: &mut PeerStream, frame: &Frame) -> io::Result<()> {
    greeting::send(stream, frame).await.map_err(|error| match error {
        FrameError::Io(error) => error,
        FrameError::TooLong(..) | FrameError::Senseless(_) | FrameError::Silent(_) | FrameError::Closed => {
            io::Error::other(error)
        }
    })
}

fn another_identity() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "this host's identity in the cluster changed")
}

impl AsyncRead for PeerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ended.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(another_identity()));
        }
        Pin::new(&mut self.io).poll_read(cx, into)
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.epoch.is_cancelled() {
            return Poll::Ready(Err(another_identity()));
        }
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
