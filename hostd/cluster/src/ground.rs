//! What the engine stands on: threads that own the databases; in a simulation everything in the thread that asks.

use crate::error::StateError;

/// See the module; cheap to clone.
#[derive(Clone)]
pub(crate) enum Ground {
    /// Every database has a thread of its own, and other work on files runs beside the runtime's threads.
    Threads,
    /// There is one thread, and what takes time on a disk takes the runtime's time.
    #[cfg(feature = "simulation")]
    Simulated(std::sync::Arc<dyn crate::simulation::Disk>),
}

impl Ground {
    /// Runs something that blocks on a file.
    ///
    /// # Errors
    /// What `work` returned, [`StateError::Closed`] when it panicked.
    pub(crate) async fn block<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        match self {
            Self::Threads => tokio::task::spawn_blocking(work).await.unwrap_or(Err(StateError::Closed)),
            #[cfg(feature = "simulation")]
            Self::Simulated(_) => work(),
        }
    }
}
