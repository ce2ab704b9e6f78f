//! The end of an upload that has the pool: a file streams in while its hash is kept; only a whole, checked file becomes an
//! image.
//!
//! However an upload ends (finished, refused, cancelled, dropped by a client that went away, a daemon that stops), its
//! row, its task and its file end together; after a crash the images' reconciler does the same.

use super::UploadRequest;

use crate::admit::image_room;
use crate::error::{disk, internal, storage};
use crate::pool::Pool;
use crate::{Core, Ctx};
use hostd_types::command::*;
use hostd_types::*;
use sha2::{Digest, Sha256};
use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Bytes gathered before they are hashed and written in one go.
const BLOCK: usize = 1 << 20;

/// The file while it grows.
#[derive(Debug)]
struct Part {
    file: File,
    hasher: Sha256,
    written: u64,
    block: Vec<u8>,
}

impl Part {
    /// Hashes and writes what was gathered; blocking.
    fn flush(&mut self, pool: &Pool) -> Result<(), Problem> {
        image_room(self.block.len() as u64, &pool.space().map_err(storage)?)?;
        self.hasher.update(&self.block);
        self.file.write_all(&self.block).map_err(storage)?;
        self.written += self.block.len() as u64;
        self.block.clear();
        Ok(())
    }
}

#[derive(Debug)]
enum State {
    /// Bytes may come; the part is absent while a thread writes it.
    Open(Option<Box<Part>>),
    /// It ended; with the reason if it failed.
    Ended(Option<Problem>),
}

/// An upload into this host's pool. Dropping it unfinished aborts it: the file is removed and the task fails.
pub(crate) struct Receiving {
    /// The image that will be.
    pub image: ImageId,
    /// The task that tells how far it is.
    pub task: TaskId,
    core: Core,
    announced: Option<u64>,
    expected: Option<String>,
    received: u64,
    state: Arc<Mutex<State>>,
    /// Tells the watcher that nobody holds the upload any more: neither its client nor work that ends it.
    held: Arc<DropGuard>,
}

/// An upload whose row is being written. Dropping it, also because its client went away, leaves the row to whoever
/// took over: the upload, or the images' reconciler.
struct Early {
    core: Core,
    entry: TaskId,
}

impl Early {
    fn begin(core: &Core, image: ImageId, total: u64) -> Self {
        let early = Self { core: core.clone(), entry: TaskId::new() };
        core.0.live.begin(early.entry, image, total);
        early
    }
}

impl Drop for Early {
    fn drop(&mut self) {
        self.core.0.live.end(self.entry);
        // The row may be there by now, with nobody to feed it.
        self.core.0.wakes.images.notify_one();
    }
}

impl Core {
    /// Starts an upload into this host's pool (a command and its task). The caller feeds it.
    ///
    /// # Errors
    /// The refusal: a bad or taken name, no room.
    pub(super) async fn receive(&self, ctx: &Ctx, request: UploadRequest) -> Result<Receiving, Problem> {
        let image = ImageId::new();
        let command = ImageCommand::Create {
            id: image,
            host: self.host(),
            name: request.name,
            description: request.description,
            announced_bytes: request.announced_bytes,
            expected_sha256: request.expected_sha256.clone(),
        };
        // Known before the row is, so that the reconciler never takes it for a left-over.
        let early = Early::begin(self, image, request.announced_bytes.unwrap_or(0));
        let task = self.begin_upload(ctx, image, command).await?;
        let cancel = self.0.live.begin(task, image, request.announced_bytes.unwrap_or(0));
        drop(early);
        let state = Arc::new(Mutex::new(State::Open(None)));
        let gone = CancellationToken::new();
        let upload = Receiving {
            image,
            task,
            core: self.clone(),
            announced: request.announced_bytes,
            expected: request.expected_sha256.map(|hex| hex.trim().to_ascii_lowercase()),
            received: 0,
            state: Arc::clone(&state),
            held: Arc::new(gone.clone().drop_guard()),
        };
        upload.watch(cancel, gone);
        match File::create_new(self.0.pool.image_part(image)) {
            Ok(file) => {
                let part = Part { file, hasher: Sha256::new(), written: 0, block: Vec::with_capacity(BLOCK) };
                *state.lock().await = State::Open(Some(Box::new(part)));
                Ok(upload)
            }
            Err(error) => Err(upload.abort(storage(error)).await),
        }
    }

    async fn begin_upload(
        &self,
        ctx: &Ctx,
        image: ImageId,
        command: ImageCommand,
    ) -> Result<TaskId, Problem> {
        let outcome = self.submit(ctx, Command::Image(command)).await?;
        let ours = outcome.subject.is_some_and(|subject| subject.id == image.to_string());
        match outcome.task {
            Some(task) if ours => Ok(task),
            Some(_) | None => {
                let detail =
                    "This upload was sent already; look at its task. To send it again, load the page again.";
                Err(Problem::new(ProblemKind::Conflict, detail))
            }
        }
    }
}

impl Receiving {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// Why the upload ended: more than announced, no room left, cancelled. Nothing is left behind then.
    pub async fn write(&mut self, chunk: &[u8]) -> Result<(), Problem> {
        self.received += chunk.len() as u64;
        if let Some(announced) = self.announced
            && self.received > announced
        {
            let detail =
                format!("More than the announced {announced} bytes arrived; the file changed meanwhile.");
            return Err(self.abort(Problem::field("/file", detail)).await);
        }
        let mut rest = chunk;
        while !rest.is_empty() {
            let taken = self.gather(rest).await?;
            rest = &rest[taken..];
        }
        self.core.0.live.advance(self.task, self.received);
        Ok(())
    }

    /// Adds as much of `bytes` as the block holds; writes the block when it is full.
    async fn gather(&mut self, bytes: &[u8]) -> Result<usize, Problem> {
        let mut state = self.state.lock().await;
        let part = open(&mut state)?;
        let taken = bytes.len().min(BLOCK - part.block.len());
        part.block.extend_from_slice(&bytes[..taken]);
        let full = part.block.len() == BLOCK;
        drop(state);
        if full {
            self.flush().await?;
        }
        Ok(taken)
    }

    async fn flush(&self) -> Result<(), Problem> {
        let result = self.in_thread(|part, pool| part.flush(pool)).await;
        match result {
            Ok(()) => Ok(()),
            Err(problem) => Err(self.abort(problem).await),
        }
    }

    /// Runs blocking work on the part in a thread of its own.
    async fn in_thread(
        &self,
        work: impl FnOnce(&mut Part, &Pool) -> Result<(), Problem> + Send + 'static,
    ) -> Result<(), Problem> {
        let mut state = self.state.lock().await;
        let mut part = match &mut *state {
            State::Open(slot) => slot.take().ok_or_else(|| gone(None))?,
            State::Ended(problem) => return Err(gone(problem.clone())),
        };
        let pool = self.core.0.pool.clone();
        let worked = tokio::task::spawn_blocking(move || {
            let result = work(&mut part, &pool);
            (part, result)
        });
        let (part, result) = worked.await.map_err(|e| internal("The upload can't be written", e))?;
        *state = State::Open(Some(part));
        result
    }

    /// Checks the whole file and makes it an image. Dropping the future does not stop that: a client that goes away now
    /// has sent everything.
    ///
    /// # Errors
    /// Why it is none (cut short, another hash, no disk image or ISO); nothing is left behind then. When the state could
    /// not be written, the file stays until it is known what was written.
    pub async fn finish(self) -> Result<Image, Problem> {
        let tracker = self.core.0.tracker.clone();
        let finished = tracker.spawn(async move { self.settle().await }).await;
        finished.map_err(|error| internal("The upload can't be finished", error))?
    }

    async fn settle(self) -> Result<Image, Problem> {
        let content = match self.check().await {
            Ok(content) => content,
            Err(problem) => return Err(self.abort(problem).await),
        };
        match self.keep(content).await {
            Ok(image) => Ok(image),
            Err(problem) => Err(self.abort(problem).await),
        }
    }

    async fn check(&self) -> Result<ImageContent, Problem> {
        if let Some(announced) = self.announced
            && self.received != announced
        {
            let detail = format!(
                "The upload was cut short: {} of {announced} bytes arrived. Send it again.",
                self.received
            );
            return Err(Problem::field("/file", detail));
        }
        if self.received == 0 {
            return Err(Problem::field("/file", "The file is empty; choose a disk image or an ISO."));
        }
        self.in_thread(|part, pool| {
            part.flush(pool)?;
            part.file.sync_all().map_err(storage)
        })
        .await?;
        let sha256 = {
            let mut state = self.state.lock().await;
            hex::encode(open(&mut state)?.hasher.clone().finalize())
        };
        if let Some(expected) = &self.expected
            && *expected != sha256
        {
            let detail =
                format!("The file's SHA-256 is {sha256}, not the expected one; it was damaged on the way.");
            return Err(Problem::field("/expected_sha256", detail));
        }
        let part = self.core.0.pool.image_part(self.image);
        let found = hostd_virt::disk::inspect(&part).await.map_err(|e| disk("looking at the file", e))?;
        Ok(ImageContent {
            kind: found.kind,
            format: found.format,
            file_bytes: self.received,
            virtual_bytes: found.virtual_bytes,
            sha256,
        })
    }

    async fn keep(&self, content: ImageContent) -> Result<Image, Problem> {
        let mut state = self.state.lock().await;
        open(&mut state)?;
        let (part, whole) = (self.core.0.pool.image_part(self.image), self.core.0.pool.image(self.image));
        std::fs::set_permissions(&part, Permissions::from_mode(0o444)).map_err(storage)?;
        std::fs::rename(&part, &whole).map_err(storage)?;
        Pool::sync_dir(&whole).map_err(storage)?;
        let ready = Command::Image(ImageCommand::Ready { id: self.image, content });
        self.core.report(ready).await?;
        *state = State::Ended(None);
        self.core.0.live.end(self.task);
        let image = self.core.store().image(self.image).await?;
        image.ok_or_else(|| Problem::not_found("image", self.image))
    }

    /// Removes the file and fails the task with `problem`.
    pub async fn fail(self, problem: Problem) {
        self.abort(problem).await;
    }

    /// Goes on to its end when whoever asked goes away meanwhile: HTTP/2 drops a request's future with its stream.
    async fn abort(&self, problem: Problem) -> Problem {
        let (core, image, task) = (self.core.clone(), self.image, self.task);
        let (state, held, why) = (Arc::clone(&self.state), Arc::clone(&self.held), problem.clone());
        let ended = self.core.0.tracker.spawn(async move {
            let why = abort(&core, image, task, &state, problem).await;
            drop(held); // until here, so that the watcher can't be first with a reason of its own
            why
        });
        ended.await.unwrap_or(why)
    }

    /// Aborts when somebody cancels the task, the daemon stops or the client is `gone`, even while no bytes come.
    fn watch(&self, cancel: CancellationToken, gone: CancellationToken) {
        let (core, image, task) = (self.core.clone(), self.image, self.task);
        let state = Arc::clone(&self.state);
        self.core.0.tracker.spawn(async move {
            let stop = core.0.stop.clone();
            let why = tokio::select! {
                () = gone.cancelled() => "the sender went away before the end",
                () = cancel.cancelled() => "somebody cancelled it",
                () = stop.cancelled() => "the host's daemon was stopped",
            };
            let detail = format!("The upload was interrupted: {why}.");
            abort(&core, image, task, &state, Problem::new(ProblemKind::Cancelled, detail)).await;
        });
    }
}

/// The part of an open upload.
fn open(state: &mut State) -> Result<&mut Part, Problem> {
    match state {
        State::Open(Some(part)) => Ok(part),
        State::Open(None) => Err(gone(None)),
        State::Ended(problem) => Err(gone(problem.clone())),
    }
}

fn gone(problem: Option<Problem>) -> Problem {
    problem.unwrap_or_else(|| Problem::new(ProblemKind::Cancelled, "The upload has ended."))
}

/// Drops the row of an image that will never be, fails its task and removes its files. A file that was kept goes only
/// once the row is gone: until then the row may still become ready, and then it is the image.
///
/// # Errors
/// When a file can't be removed, or the row does not go: the image became ready, or the state can't be written.
pub(crate) async fn give_up(core: &Core, image: ImageId, problem: Problem) -> Result<(), Problem> {
    let pool = &core.0.pool;
    Pool::discard(vec![pool.image_part(image)]).await.map_err(storage)?;
    core.report(Command::Image(ImageCommand::CreateFailed { id: image, problem })).await?;
    Pool::discard(vec![pool.image(image)]).await.map_err(storage)
}

/// Ends an upload that did not end yet: removes its files, drops its row, fails its task. Answers why it ended.
async fn abort(core: &Core, image: ImageId, task: TaskId, state: &Mutex<State>, problem: Problem) -> Problem {
    {
        let mut state = state.lock().await;
        match &*state {
            State::Ended(ended) => return ended.clone().unwrap_or(problem),
            State::Open(_) => *state = State::Ended(Some(problem.clone())),
        }
    }
    if let Err(refused) = give_up(core, image, problem.clone()).await {
        tracing::warn!(%refused, %image, "an upload can't be ended; the images' reconciler goes on with it");
    }
    core.0.live.end(task);
    core.0.wakes.images.notify_one();
    tracing::info!(%image, %problem, "an upload ended unfinished");
    problem
}
