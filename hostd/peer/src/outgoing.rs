//! The writing side of a connection for calls, the same at both ends.

use crate::frame::{Frame, FrameError};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A side that had nothing to say for so long says that it is still there.
const IDLE: Duration = Duration::from_secs(1);
/// A side from which no byte came for so long is taken for gone: it should have said three times that it is there.
pub(crate) const SILENCE: Duration = Duration::from_secs(3);
/// Frames waiting to be written, at most.
const WAITING: usize = 32;
/// Calls that may be on their way over one connection. A call takes one place and another for each [`PLACE_BYTES`] of
/// its body, so that the bodies have a limit together, too.
pub(crate) const IN_FLIGHT: usize = 256;
const PLACE_BYTES: usize = 64 << 10;

/// Takes frames to be written.
#[derive(Clone)]
pub(crate) struct Outgoing(mpsc::Sender<(Vec<u8>, bool)>);

impl Outgoing {
    /// A way to a writer, and what that writer reads.
    pub fn channel() -> (Self, mpsc::Receiver<(Vec<u8>, bool)>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// Queues an encoded frame; waits while too many are queued. False when the connection is gone.
    pub async fn send(&self, frame: Vec<u8>) -> bool {
        self.0.send((frame, false)).await.is_ok()
    }

    /// Queues the last frame: after it the connection ends.
    pub async fn end_with(&self, frame: &Frame) -> Result<(), FrameError> {
        let _gone_already = self.0.send((frame.encode()?, true)).await;
        Ok(())
    }
}

/// Writes queued frames until the last, and a sign of life when there are none for a while.
pub(crate) async fn write<W: AsyncWrite + Unpin>(
    mut io: W,
    mut frames: mpsc::Receiver<(Vec<u8>, bool)>,
) -> Result<(), FrameError> {
    let alive = Frame::Alive.encode()?;
    loop {
        match timeout(IDLE, frames.recv()).await {
            Err(_idle) => {
                io.write_all(&alive).await?;
                io.flush().await?;
            }
            Ok(Some((frame, last))) => {
                io.write_all(&frame).await?;
                if last {
                    return Ok(end(&mut io).await?);
                }
                if frames.is_empty() {
                    io.flush().await?;
                }
            }
            Ok(None) => return Ok(end(&mut io).await?),
        }
    }
}

async fn end<W: AsyncWrite + Unpin>(io: &mut W) -> io::Result<()> {
    io.flush().await?;
    io.shutdown().await
}

/// The places a call with a body of so many bytes takes.
pub(crate) fn places(body: usize) -> u32 {
    1 + u32::try_from(body / PLACE_BYTES).unwrap_or(u32::MAX - 1)
}
