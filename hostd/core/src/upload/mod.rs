//! Uploads: whoever takes a file hands its bytes on to the host that keeps it, this one or another.
//!
//! It must not know where the bytes come from: HTTP, a form, a peer.

mod receive;
mod relay;

pub(crate) use receive::give_up;
pub(crate) use relay::serve;

use crate::{Core, Ctx};
use hostd_types::*;
use receive::Receiving;
use relay::Relay;
use serde::{Deserialize, Serialize};

/// What an uploader says beforehand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadRequest {
    /// The host whose pool keeps it, for machines there; the one that is asked when absent.
    pub host: Option<HostId>,
    /// Name of the image.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Bytes that will come, when known; checked against the room in the pool and against what comes.
    pub announced_bytes: Option<u64>,
    /// SHA-256 (hex) that the file must have, when known.
    pub expected_sha256: Option<String>,
}

/// An upload under way. Dropping it unfinished aborts it: the file is removed and the task fails.
pub struct Upload {
    /// The image that will be.
    pub image: ImageId,
    /// The task that tells how far it is.
    pub task: TaskId,
    to: To,
}

/// Where the bytes go.
enum To {
    Here(Receiving),
    There(Relay),
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").field("image", &self.image).finish_non_exhaustive()
    }
}

impl Core {
    /// Starts an upload (a command and its task). The caller feeds it.
    ///
    /// # Errors
    /// The refusal: a bad or taken name, no room; `Unavailable` when the host that is to keep it does not answer.
    pub async fn upload(&self, ctx: &Ctx, request: UploadRequest) -> Result<Upload, Problem> {
        match request.host.filter(|host| *host != self.host()) {
            None => {
                let receiving = self.receive(ctx, request).await?;
                Ok(Upload { image: receiving.image, task: receiving.task, to: To::Here(receiving) })
            }
            Some(host) => {
                let relay = self.relay(host, ctx, request).await?;
                Ok(Upload { image: relay.image, task: relay.task, to: To::There(relay) })
            }
        }
    }
}

impl Upload {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// Why the upload ended: more than announced, no room left, cancelled. Nothing is left behind then.
    pub async fn write(&mut self, chunk: &[u8]) -> Result<(), Problem> {
        match &mut self.to {
            To::Here(receiving) => receiving.write(chunk).await,
            To::There(relay) => relay.write(chunk).await,
        }
    }

    /// Checks the whole file and makes it an image. Dropping the future does not stop that: a client that goes away now
    /// has sent everything.
    ///
    /// # Errors
    /// Why it is none (cut short, another hash, no disk image or ISO); nothing is left behind then. When the state could
    /// not be written, the file stays until it is known what was written.
    pub async fn finish(self) -> Result<Image, Problem> {
        match self.to {
            To::Here(receiving) => receiving.finish().await,
            To::There(relay) => relay.finish().await,
        }
    }

    /// Removes the file and fails the task with `problem`.
    pub async fn fail(self, problem: Problem) {
        match self.to {
            To::Here(receiving) => receiving.fail(problem).await,
            To::There(relay) => relay.fail(problem).await,
        }
    }
}
