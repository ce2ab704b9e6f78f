//! The caller's end of a connection: many calls at once, their answers in any order.

use crate::LinkError;
use crate::frame::{self, Body, Frame, FrameError, MOST};
use crate::outgoing::{self, IN_FLIGHT, Outgoing, SILENCE};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

type Waiting = HashMap<u64, oneshot::Sender<Result<Vec<u8>, LinkError>>>;

/// A connection over which calls go out.
pub(crate) struct Calls {
    out: Outgoing,
    waiting: Mutex<Waiting>,
    next: AtomicU64,
    places: Semaphore,
    closed: CancellationToken,
    why: OnceLock<LinkError>,
    /// When it was made.
    pub since: Instant,
}

/// Why a call has no answer.
pub(crate) enum CallError {
    /// The connection was gone before the request went out: another may be tried.
    Unsent,
    /// As the caller is told.
    Link(LinkError),
}

impl Calls {
    /// Takes a connection whose greeting is done. It lives until `epoch` ends or the peer is gone; `heard` is told of
    /// every frame.
    pub fn start<S, H>(io: S, epoch: &CancellationToken, tasks: &TaskTracker, heard: H) -> Arc<Self>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
        H: Fn() + Send + 'static,
    {
        let (out, frames) = Outgoing::channel();
        let calls = Arc::new(Self {
            out,
            waiting: Mutex::default(),
            next: AtomicU64::new(0),
            places: Semaphore::new(IN_FLIGHT),
            closed: epoch.child_token(),
            why: OnceLock::new(),
            since: Instant::now(),
        });
        let (own, (reading, writing)) = (calls.clone(), tokio::io::split(io));
        tasks.spawn(async move {
            let why = tokio::select! {
                () = own.closed.cancelled() => LinkError::Lost("this host closed it".into()),
                why = own.read(reading, heard) => why,
                end = outgoing::write(writing, frames) => match end {
                    Ok(()) => LinkError::Lost("this host closed it".into()),
                    Err(error) => LinkError::Lost(error.to_string()),
                },
            };
            own.end(why);
        });
        calls
    }

    /// Sends a request and waits for its answer. Dropping this forgets the answer; the peer may still act.
    pub async fn call(&self, body: &[u8]) -> Result<Vec<u8>, CallError> {
        let places = self.places.acquire_many(outgoing::places(body.len()));
        let _place = tokio::select! {
            () = self.closed.cancelled() => return Err(CallError::Unsent),
            // The semaphore is never closed; if it were, the connection would be as good as gone.
            places = places => places.map_err(|_| CallError::Unsent)?,
        };
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let frame = Frame::Call { id, body: Body(body.to_vec()) }.encode();
        let frame = frame.map_err(|_| CallError::Link(LinkError::TooLong(body.len())))?;
        let (sender, answer) = oneshot::channel();
        self.waiting().insert(id, sender);
        let _entry = Entry { calls: self, id };
        // Who ends the connection closes it first and empties the map then: one of the two sees this call.
        if self.closed.is_cancelled() || !self.out.send(frame).await {
            return Err(CallError::Unsent);
        }
        let lost = || LinkError::Lost("it ended".into());
        answer.await.unwrap_or_else(|_| Err(lost())).map_err(CallError::Link)
    }

    /// Why the connection ended; `None` while it lives.
    pub fn ended(&self) -> Option<LinkError> {
        let closed = self.closed.is_cancelled();
        closed.then(|| self.why.get().cloned().unwrap_or(LinkError::Lost("this host closed it".into())))
    }

    async fn read<R: AsyncRead + Unpin>(&self, mut io: R, heard: impl Fn()) -> LinkError {
        loop {
            let frame = match frame::read(&mut io, MOST, SILENCE).await {
                Ok(frame) => frame,
                Err(error) => return LinkError::Lost(error.to_string()),
            };
            heard();
            match frame {
                Frame::Alive => {}
                Frame::Answer { id, body } => self.settle(id, Ok(body.0)),
                Frame::Failed { id, text } => self.settle(id, Err(LinkError::Failed(text))),
                Frame::Refused { removed: true, text } => return LinkError::Removed(text),
                Frame::Refused { removed: false, text } => return LinkError::Refused(text),
                Frame::Hello { .. }
                | Frame::Welcome { .. }
                | Frame::Call { .. }
                | Frame::Open { .. }
                | Frame::Accepted => {
                    let wrong = FrameError::Senseless("it does not belong here".into());
                    return LinkError::Lost(wrong.to_string());
                }
            }
        }
    }

    /// Hands over an answer, if somebody still waits for it.
    fn settle(&self, id: u64, answer: Result<Vec<u8>, LinkError>) {
        if let Some(waiting) = self.waiting().remove(&id) {
            let _gone = waiting.send(answer);
        }
    }

    fn end(&self, why: LinkError) {
        let why = self.why.get_or_init(|| why);
        self.closed.cancel();
        for (_, waiting) in self.waiting().drain() {
            let _gone = waiting.send(Err(why.clone()));
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that waits for its answer; not any more when dropped.
struct Entry<'a> {
    calls: &'a Calls,
    id: u64,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.calls.waiting().remove(&self.id);
    }
}
