//! The way to whoever writes `log.db`: a thread; in a simulation a task.

use super::disk::{Disk, Request};
use crate::error::StateError;
use crate::ground::Ground;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Requests are served in order.
pub(crate) enum Queue {
    Thread {
        requests: mpsc::Sender<Request>,
        thread: Mutex<Option<JoinHandle<()>>>,
    },
    #[cfg(feature = "simulation")]
    Task(tokio::sync::mpsc::UnboundedSender<Request>),
}

impl Queue {
    /// Lets `disk` serve.
    pub(crate) fn start(disk: Disk, ground: &Ground) -> std::io::Result<Self> {
        match ground {
            Ground::Threads => {
                let (requests, queue) = mpsc::channel();
                let thread =
                    std::thread::Builder::new().name("log-writer".into()).spawn(|| disk.serve(queue))?;
                Ok(Self::Thread { requests, thread: Mutex::new(Some(thread)) })
            }
            #[cfg(feature = "simulation")]
            Ground::Simulated(simulated) => {
                let (requests, queue) = tokio::sync::mpsc::unbounded_channel();
                tokio::spawn(super::simulated::serve(disk, queue, simulated.clone()));
                Ok(Self::Task(requests))
            }
        }
    }

    /// Hands a request over.
    ///
    /// # Errors
    /// [`StateError::Closed`] when nobody serves any more.
    pub(crate) fn send(&self, request: Request) -> Result<(), StateError> {
        match self {
            Self::Thread { requests, .. } => requests.send(request).map_err(|_| StateError::Closed),
            #[cfg(feature = "simulation")]
            Self::Task(requests) => requests.send(request).map_err(|_| StateError::Closed),
        }
    }

    /// Has what is left written and the database closed.
    pub(crate) async fn close(&self) {
        let (closed, done) = oneshot::channel();
        if self.send(Request::Close(closed)).is_ok() {
            // It is answered, or nobody serves any more and the database is closed by that.
            let _ = done.await;
        }
        let thread = match self {
            Self::Thread { thread, .. } => thread.lock().unwrap_or_else(PoisonError::into_inner).take(),
            #[cfg(feature = "simulation")]
            Self::Task(_) => None,
        };
        if let Some(thread) = thread {
            // A panic of the thread was reported when it happened.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}
