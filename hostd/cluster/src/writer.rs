//! A thread that owns a database connection: the one writer of that database.

use crate::error::StateError;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

/// Handle of the thread; cheap to clone. The thread ends with the last handle or by [`Writer::close`].
pub(crate) struct Writer<S>(Arc<Inner<S>>);

struct Inner<S> {
    jobs: Mutex<Option<mpsc::Sender<Job<S>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl<S> Clone for Writer<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Send + 'static> Writer<S> {
    /// Moves `owned` into a new thread called `name`.
    pub(crate) fn spawn(name: &str, mut owned: S) -> std::io::Result<Self> {
        let (jobs, work) = mpsc::channel::<Job<S>>();
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
            while let Ok(job) = work.recv() {
                job(&mut owned);
            }
        })?;
        Ok(Self(Arc::new(Inner { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)) })))
    }

    /// Runs `job` on the thread, after everything asked for before.
    ///
    /// # Errors
    /// [`StateError::Closed`] when the thread is gone, else what `job` returned.
    pub(crate) async fn run<T, F>(&self, job: F) -> Result<T, StateError>
    where
        T: Send + 'static,
        F: FnOnce(&mut S) -> Result<T, StateError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let boxed: Job<S> = Box::new(move |owned| {
            // The asker may have gone away; the work is done all the same.
            let _ = answer.send(job(owned));
        });
        let sent = self
            .0
            .jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .is_some_and(|jobs| jobs.send(boxed).is_ok());
        if !sent {
            return Err(StateError::Closed);
        }
        answered.await.unwrap_or(Err(StateError::Closed))
    }

    /// Ends the thread after the jobs that wait, and waits for it; the connection is closed then.
    pub(crate) async fn close(&self) {
        drop(self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic of the thread was reported when it happened.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}
