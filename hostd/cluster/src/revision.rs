//! How far this host has applied the log.

use std::sync::Arc;
use tokio::sync::{Notify, watch};

/// Index of the last entry applied, and those who wait for it; cheap to clone.
#[derive(Clone)]
pub(crate) struct Revision {
    index: watch::Sender<u64>,
    /// Wakes in the order of waiting; a watch wakes several in an order that is chance, and chance has no seed in tokio.
    news: Arc<Notify>,
}

impl Revision {
    pub(crate) fn new(index: u64) -> Self {
        Self { index: watch::Sender::new(index), news: Arc::default() }
    }

    /// The index now.
    pub(crate) fn now(&self) -> u64 {
        *self.index.borrow()
    }

    /// It is `index` from now on.
    pub(crate) fn set(&self, index: u64) {
        self.index.send_replace(index);
        self.news.notify_waiters();
    }

    /// Waits until it is `index` or more.
    pub(crate) async fn reaches(&self, index: u64) {
        loop {
            let news = self.news.notified();
            if self.now() >= index {
                return;
            }
            news.await;
        }
    }

    /// For listeners outside.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.index.subscribe()
    }
}
