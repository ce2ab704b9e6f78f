//! An upload for another host: this one hands the bytes on, over a stream of its own, and the other one answers as it
//! would its own caller. Both ends are here.
//!
//! Each frame has a length before it and a kind as its first byte. The host that keeps the file tells that the upload has
//! begun, and how it ended, which may be long before the last byte came.

use super::UploadRequest;
use crate::error::internal;
use crate::{Core, Ctx};
use futures_util::{SinkExt, StreamExt};
use hostd_peer::PeerStream;
use hostd_types::*;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf, split};
use tokio::time::timeout;
use tokio_util::bytes::{Bytes, BytesMut};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

/// First byte of a frame with bytes of the file.
const BYTES: u8 = 0;
/// First byte of the frame after the last byte of the file.
const WHOLE: u8 = 1;
/// First byte of a frame that tells why there will be no whole file.
const FAILED: u8 = 2;
/// Bytes of the file in one frame at most.
const PART: usize = 256 << 10;
/// How long a frame that ends an upload is waited for, and what still comes after it is read and dropped.
const LAST: Duration = Duration::from_secs(5);

type From<T> = FramedRead<ReadHalf<T>, LengthDelimitedCodec>;
type To<T> = FramedWrite<WriteHalf<T>, LengthDelimitedCodec>;

/// What the host that keeps the file tells.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    /// The bytes may come.
    Begun { image: ImageId, task: TaskId },
    /// The image is there; the change that says so has this index.
    Ready { image: Box<Image>, index: u64 },
    /// It is none.
    Ended { problem: Problem },
}

/// An upload into the pool of another host. Dropping it unfinished aborts it there.
pub(crate) struct Relay {
    /// The image that will be.
    pub image: ImageId,
    /// The task that tells how far it is.
    pub task: TaskId,
    core: Core,
    /// Name of the host that keeps the file.
    name: String,
    from: From<PeerStream>,
    to: To<PeerStream>,
}

impl Core {
    /// Starts an upload into the pool of another host.
    ///
    /// # Errors
    /// Its refusal; `Unavailable` when it does not answer.
    pub(super) async fn relay(
        &self,
        host: HostId,
        ctx: &Ctx,
        request: UploadRequest,
    ) -> Result<Relay, Problem> {
        let (name, stream) = self.open_upload(host, ctx, request).await?;
        let (mut from, to) = framed(stream);
        match heard(from.next().await, &name)? {
            Told::Begun { image, task } => Ok(Relay { image, task, core: self.clone(), name, from, to }),
            Told::Ended { problem } => Err(problem),
            Told::Ready { .. } => Err(odd(&name)),
        }
    }
}

impl Relay {
    pub async fn write(&mut self, chunk: &[u8]) -> Result<(), Problem> {
        for part in chunk.chunks(PART) {
            self.send(BYTES, part).await?;
        }
        Ok(())
    }

    pub async fn finish(mut self) -> Result<Image, Problem> {
        let tracker = self.core.0.tracker.clone();
        let finished = tracker.spawn(async move {
            self.send(WHOLE, &[]).await?;
            match heard(self.from.next().await, &self.name)? {
                Told::Ready { image, index } => {
                    self.core.catch_up(index).await;
                    Ok(*image)
                }
                Told::Ended { problem } => Err(problem),
                Told::Begun { .. } => Err(odd(&self.name)),
            }
        });
        finished.await.map_err(|error| internal("The upload can't be finished", error))?
    }

    pub async fn fail(mut self, problem: Problem) {
        let tracker = self.core.0.tracker.clone();
        let failed = tracker.spawn(async move {
            let why = serde_json::to_vec(&problem).unwrap_or_default();
            // It may have ended there before, for a reason of its own; and without an answer it is given up there.
            if self.send(FAILED, &why).await.is_ok() {
                let _ = timeout(LAST, self.from.next()).await;
            }
        });
        // A panic there was logged.
        let _ = failed.await;
    }

    /// Sends one frame, unless the other host ends the upload first.
    async fn send(&mut self, kind: u8, bytes: &[u8]) -> Result<(), Problem> {
        let frame = Bytes::from([&[kind], bytes].concat());
        let told = tokio::select! {
            biased;
            told = self.from.next() => told,
            sent = self.to.send(frame) => match sent {
                Ok(()) => return Ok(()),
                Err(_) => timeout(LAST, self.from.next()).await.unwrap_or(None),
            },
        };
        match heard(told, &self.name)? {
            Told::Ended { problem } => Err(problem),
            Told::Begun { .. } | Told::Ready { .. } => Err(odd(&self.name)),
        }
    }
}

/// Receives an upload that another member hands on.
pub(crate) async fn serve(
    core: &Core,
    ctx: &Ctx,
    request: UploadRequest,
    stream: impl AsyncRead + AsyncWrite + Send,
) {
    let (mut from, mut to) = framed(stream);
    let told = match take(core, ctx, request, &mut from, &mut to).await {
        Ok(image) => Told::Ready { image: Box::new(image), index: *core.0.cluster.revision().borrow() },
        Err(problem) => Told::Ended { problem },
    };
    if tell(&mut to, &told).await.is_ok() {
        // Bytes that nobody read would make the system drop the answer.
        let _ = timeout(LAST, async { while let Some(Ok(_)) = from.next().await {} }).await;
    }
}

async fn take<T: AsyncRead + AsyncWrite + Send>(
    core: &Core,
    ctx: &Ctx,
    request: UploadRequest,
    from: &mut From<T>,
    to: &mut To<T>,
) -> Result<Image, Problem> {
    let mut upload = core.receive(ctx, request).await?;
    let cut = |_| Problem::new(ProblemKind::Cancelled, "The host that took the upload went away.");
    tell(to, &Told::Begun { image: upload.image, task: upload.task }).await.map_err(cut)?;
    loop {
        // An upload that is dropped here is given up, with the reason that its sender went away.
        let frame = from.next().await.ok_or(()).and_then(|frame| frame.map_err(drop)).map_err(cut)?;
        let ended = match frame.split_first() {
            Some((&BYTES, bytes)) => match upload.write(bytes).await {
                Ok(()) => continue,
                Err(problem) => problem,
            },
            Some((&WHOLE, _)) => return upload.finish().await,
            Some((&FAILED, why)) => serde_json::from_slice(why).unwrap_or_else(|_| unknown()),
            Some(_) | None => unknown(),
        };
        upload.fail(ended.clone()).await;
        return Err(ended);
    }
}

fn framed<T: AsyncRead + AsyncWrite>(stream: T) -> (From<T>, To<T>) {
    let codec = LengthDelimitedCodec::builder().max_frame_length(PART + 1).new_codec();
    let (read, write) = split(stream);
    (FramedRead::new(read, codec.clone()), FramedWrite::new(write, codec))
}

async fn tell<T: AsyncRead + AsyncWrite>(to: &mut To<T>, told: &Told) -> Result<(), ()> {
    let text = serde_json::to_vec(told).map_err(drop)?;
    to.send(Bytes::from(text)).await.map_err(drop)
}

/// What the host called `name` told, if it is still there.
fn heard(frame: Option<std::io::Result<BytesMut>>, name: &str) -> Result<Told, Problem> {
    let Some(Ok(frame)) = frame else {
        let detail = format!(
            "{name} stopped answering. Look at Images whether the file is there before you send it again."
        );
        return Err(Problem::new(ProblemKind::Unavailable, detail));
    };
    serde_json::from_slice(&frame).map_err(|_| odd(name))
}

fn odd(name: &str) -> Problem {
    Problem::new(
        ProblemKind::Unsupported,
        format!("{name} runs a version that takes uploads otherwise. Update it."),
    )
}

fn unknown() -> Problem {
    Problem::new(
        ProblemKind::Cancelled,
        "The host that took the upload ended it without a reason that can be read.",
    )
}
