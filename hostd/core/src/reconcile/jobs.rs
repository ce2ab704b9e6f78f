//! Work on single things, at the same time but one at a time for each, so that a slow one holds up no other.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, Semaphore};
use tokio_util::task::TaskTracker;

/// Jobs by the thing they work on.
#[derive(Debug)]
pub(super) struct Jobs<K> {
    busy: Arc<Mutex<HashSet<K>>>,
    room: Arc<Semaphore>,
    tracker: TaskTracker,
    bell: Arc<Notify>,
}

/// Frees its thing and wakes the reconciler, also when the job panics.
struct Busy<K: Copy + Eq + Hash> {
    key: K,
    busy: Arc<Mutex<HashSet<K>>>,
    bell: Arc<Notify>,
}

impl<K: Copy + Eq + Hash> Drop for Busy<K> {
    fn drop(&mut self) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
        self.bell.notify_one();
    }
}

impl<K: Copy + Eq + Hash + Send + 'static> Jobs<K> {
    /// At most `most` jobs at the same time; each rings `bell` when it ends. `tracker` awaits them at shutdown.
    pub fn new(most: usize, tracker: &TaskTracker, bell: &Arc<Notify>) -> Self {
        Self {
            busy: Arc::default(),
            room: Arc::new(Semaphore::new(most)),
            tracker: tracker.clone(),
            bell: Arc::clone(bell),
        }
    }
    fn set(&self) -> MutexGuard<'_, HashSet<K>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Things being worked on. What is read after this call of a thing not among them is not about to be changed by a
    /// job.
    pub fn busy(&self) -> HashSet<K> {
        self.set().clone()
    }
    /// Works on `key`, unless that is being done already.
    pub fn start(&self, key: K, work: impl Future<Output = ()> + Send + 'static) {
        let room = Arc::clone(&self.room);
        self.start_now(key, async move {
            let _permit = room.acquire_owned().await;
            work.await;
        });
    }
    /// The same however many others there are: for what takes no time, or waits for what may hang.
    pub fn start_now(&self, key: K, work: impl Future<Output = ()> + Send + 'static) {
        if !self.set().insert(key) {
            return;
        }
        let guard = Busy { key, busy: Arc::clone(&self.busy), bell: Arc::clone(&self.bell) };
        self.tracker.spawn(async move {
            let _guard = guard;
            work.await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_job_a_thing_and_a_bell_at_its_end() {
        let (tracker, bell) = (TaskTracker::new(), Arc::new(Notify::new()));
        let jobs = Jobs::new(2, &tracker, &bell);
        let (go, count) = (Arc::new(Notify::new()), Arc::new(Mutex::new(0)));
        for _ in 0..3 {
            let (go, count) = (Arc::clone(&go), Arc::clone(&count));
            jobs.start(1, async move {
                go.notified().await;
                *count.lock().expect("lock") += 1;
            });
        }
        jobs.start(2, async { panic!("a defect") });
        bell.notified().await;
        assert!(jobs.busy().contains(&1));
        go.notify_one();
        bell.notified().await;
        assert_eq!(*count.lock().expect("lock"), 1);
        assert!(jobs.busy().is_empty());
    }

    #[tokio::test]
    async fn what_must_not_wait_does_not() {
        let (tracker, bell) = (TaskTracker::new(), Arc::new(Notify::new()));
        let jobs = Jobs::new(1, &tracker, &bell);
        jobs.start(1, std::future::pending());
        jobs.start(2, async {});
        jobs.start_now(3, async {});
        bell.notified().await;
        assert_eq!(
            jobs.busy(),
            HashSet::from([1, 2]),
            "the second waits for the first, the third for nobody"
        );
    }
}
