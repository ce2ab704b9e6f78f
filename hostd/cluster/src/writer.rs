//! The one writer of a database: a thread that owns the connection.

use crate::error::StateError;
use crate::ground::Ground;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

/// Handle of the writer; cheap to clone. It ends with the last handle or by [`Writer::close`].
pub(crate) struct Writer<S>(Arc<Place<S>>);

/// Where the jobs run.
enum Place<S> {
    /// In a thread.
    Thread { jobs: Mutex<Option<mpsc::Sender<Job<S>>>>, thread: Mutex<Option<JoinHandle<()>>> },
    /// Where they are asked for.
    #[cfg(feature = "simulation")]
    Here(Mutex<Option<S>>),
}

impl<S> Clone for Writer<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Send + 'static> Writer<S> {
    /// Moves `owned` into a new thread called `name`, where `ground` has threads.
    pub(crate) fn spawn(name: &str, mut owned: S, ground: &Ground) -> std::io::Result<Self> {
        match ground {
            Ground::Threads => {
                let (jobs, work) = mpsc::channel::<Job<S>>();
                let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
                    while let Ok(job) = work.recv() {
                        job(&mut owned);
                    }
                })?;
                let (jobs, thread) = (Mutex::new(Some(jobs)), Mutex::new(Some(thread)));
                Ok(Self(Arc::new(Place::Thread { jobs, thread })))
            }
            #[cfg(feature = "simulation")]
            Ground::Simulated(_) => Ok(Self(Arc::new(Place::Here(Mutex::new(Some(owned)))))),
        }
    }

    /// Runs `job` after everything asked for before.
    ///
    /// # Errors
    /// [`StateError::Closed`] when the writer has ended, else what `job` returned.
    pub(crate) async fn run<T, F>(&self, job: F) -> Result<T, StateError>
    where
        T: Send + 'static,
        F: FnOnce(&mut S) -> Result<T, StateError> + Send + 'static,
    {
        let jobs = match &*self.0 {
            Place::Thread { jobs, .. } => jobs,
            #[cfg(feature = "simulation")]
            Place::Here(owned) => {
                let mut owned = owned.lock().unwrap_or_else(PoisonError::into_inner);
                return owned.as_mut().map_or(Err(StateError::Closed), job);
            }
        };
        let (answer, answered) = oneshot::channel();
        let boxed: Job<S> = Box::new(move |owned| {
            // The asker may have gone away; the work is done all the same.
            let _ = answer.send(job(owned));
        });
        let sent = jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .is_some_and(|jobs| jobs.send(boxed).is_ok());
        if !sent {
            return Err(StateError::Closed);
        }
        answered.await.unwrap_or(Err(StateError::Closed))
    }

    /// Ends the writer after the jobs that wait; the connection is closed then.
    pub(crate) async fn close(&self) {
        let thread = match &*self.0 {
            Place::Thread { jobs, thread } => {
                drop(jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
                thread.lock().unwrap_or_else(PoisonError::into_inner).take()
            }
            #[cfg(feature = "simulation")]
            Place::Here(owned) => {
                drop(owned.lock().unwrap_or_else(PoisonError::into_inner).take());
                None
            }
        };
        if let Some(thread) = thread {
            // A panic of the thread was reported when it happened.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}
