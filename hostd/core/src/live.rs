//! Work under way on this host: how far it is and how to stop it. Volatile, never in the log.

use hostd_types::*;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

/// Changes a slow listener may lag behind before it must read everything again.
const CHANGES_KEPT: usize = 1024;
/// Progress is told at most this often.
const TOLD_EVERY: Duration = Duration::from_millis(500);

/// One upload under way.
#[derive(Debug)]
struct Work {
    image: ImageId,
    progress: Progress,
    cancel: CancellationToken,
    told: Instant,
}

/// What listeners are told.
#[derive(Debug, Clone)]
enum Told {
    Changed(Change),
    /// This many changes were lost before they came here.
    Missed(u64),
}

/// Changes as they happen, for one listener.
#[derive(Debug)]
pub struct Changes(broadcast::Receiver<Told>);

impl Changes {
    /// The next change.
    ///
    /// # Errors
    /// `Lagged` with the number of changes missed, by this listener or on the way to it: it must read everything again;
    /// `Closed` when there will be no more.
    pub async fn recv(&mut self) -> Result<Change, RecvError> {
        match self.0.recv().await? {
            Told::Changed(change) => Ok(change),
            Told::Missed(count) => Err(RecvError::Lagged(count)),
        }
    }
}

/// Work under way, by task, and the stream of changes.
#[derive(Debug)]
pub(crate) struct Live {
    work: Mutex<HashMap<TaskId, Work>>,
    /// Work that nobody can stop: how far it is.
    measured: Mutex<HashMap<TaskId, (Progress, Instant)>>,
    changes: broadcast::Sender<Told>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            work: Mutex::default(),
            measured: Mutex::default(),
            changes: broadcast::channel(CHANGES_KEPT).0,
        }
    }
}

impl Live {
    fn work(&self) -> MutexGuard<'_, HashMap<TaskId, Work>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Notes an upload; the token is cancelled when somebody asks to stop it.
    pub fn begin(&self, task: TaskId, image: ImageId, total: u64) -> CancellationToken {
        let cancel = CancellationToken::new();
        let progress = Progress { done: 0, total };
        let work = Work { image, progress, cancel: cancel.clone(), told: Instant::now() };
        self.work().insert(task, work);
        cancel
    }
    /// Notes how far it is; tells listeners now and then.
    pub fn advance(&self, task: TaskId, done: u64) {
        let mut image = None;
        if let Some(work) = self.work().get_mut(&task) {
            work.progress.done = done;
            if work.told.elapsed() >= TOLD_EVERY {
                work.told = Instant::now();
                image = Some(work.image);
            }
        }
        if let Some(image) = image {
            self.tell(Kind::Task, task);
            self.tell(Kind::Image, image);
        }
    }
    /// Notes how far work is that nobody can stop; tells listeners now and then.
    pub fn measure(&self, task: TaskId, progress: Progress) {
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        let told = measured.get(&task).map(|(_, told)| *told).filter(|told| told.elapsed() < TOLD_EVERY);
        measured.insert(task, (progress, told.unwrap_or_else(Instant::now)));
        drop(measured);
        if told.is_none() {
            self.tell(Kind::Task, task);
        }
    }
    /// It ended.
    pub fn end(&self, task: TaskId) {
        self.work().remove(&task);
        self.measured.lock().unwrap_or_else(PoisonError::into_inner).remove(&task);
    }
    /// Asks the work of `task` to stop; false when there is none here.
    pub fn cancel(&self, task: TaskId) -> bool {
        self.work().get(&task).map(|work| work.cancel.cancel()).is_some()
    }
    /// How far a task is.
    pub fn progress(&self, task: TaskId) -> Option<Progress> {
        let measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        let known = measured.get(&task).map(|(progress, _)| *progress);
        drop(measured);
        known.or_else(|| self.work().get(&task).map(|work| work.progress))
    }
    /// An upload of this image is under way.
    pub fn uploading(&self, image: ImageId) -> bool {
        self.work().values().any(|work| work.image == image)
    }
    /// How far the upload of an image is.
    pub fn upload_progress(&self, image: ImageId) -> Option<Progress> {
        self.work().values().find(|work| work.image == image).map(|work| work.progress)
    }
    /// Tells that something volatile changed.
    pub fn tell(&self, kind: Kind, id: impl ToString) {
        self.forward(Change { kind, id: id.to_string(), index: 0 });
    }
    /// Passes a change on to all listeners; nobody listening is fine.
    pub fn forward(&self, change: Change) {
        let _ = self.changes.send(Told::Changed(change));
    }
    /// Tells all listeners that changes were lost on the way to them.
    pub fn missed(&self, count: u64) {
        let _ = self.changes.send(Told::Missed(count));
    }
    /// Changes from now on.
    pub fn changes(&self) -> Changes {
        Changes(self.changes.subscribe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn listeners_notice_what_was_missed() {
        let live = Live::default();
        let mut changes = live.changes();
        live.missed(3);
        live.tell(Kind::Host, "h");
        assert_eq!(changes.recv().await, Err(RecvError::Lagged(3)));
        assert_eq!(changes.recv().await.map(|change| change.kind), Ok(Kind::Host));
        for _ in 0..=CHANGES_KEPT {
            live.tell(Kind::Host, "h");
        }
        assert_eq!(changes.recv().await, Err(RecvError::Lagged(1)));
        drop(live);
        while changes.recv().await.is_ok() {}
        assert_eq!(changes.recv().await, Err(RecvError::Closed));
    }

    #[test]
    fn work_is_known_while_it_lasts() {
        let live = Live::default();
        let (task, image) = (TaskId::new(), ImageId::new());
        let cancel = live.begin(task, image, 10);
        live.advance(task, 4);
        assert_eq!(live.progress(task), Some(Progress { done: 4, total: 10 }));
        assert!(live.uploading(image) && live.upload_progress(image).is_some());
        assert!(live.cancel(task) && cancel.is_cancelled());
        live.end(task);
        assert!(!live.cancel(task) && !live.uploading(image));
    }
}
