//! The same request submitted twice acts once: two at the same moment are told apart here, later ones by the log.

use hostd_cluster::Remembered;
use hostd_types::RequestId;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Outcomes kept.
const KEPT: usize = 1024;

/// Requests under way and the latest that ended well.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    slots: HashMap<RequestId, Arc<AsyncMutex<Option<Remembered>>>>,
    order: VecDeque<RequestId>,
}

impl Requests {
    /// Waits until no other submission of `request` is under way. The guard holds the outcome if there is one already;
    /// whoever gets `None` does the work and puts the outcome there.
    pub async fn enter(&self, request: RequestId) -> OwnedMutexGuard<Option<Remembered>> {
        let slot = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            match known.slots.get(&request) {
                Some(slot) => Arc::clone(slot),
                None => {
                    let slot = Arc::new(AsyncMutex::new(None));
                    known.slots.insert(request, Arc::clone(&slot));
                    known.order.push_back(request);
                    if known.order.len() > KEPT
                        && let Some(oldest) = known.order.pop_front()
                    {
                        known.slots.remove(&oldest);
                    }
                    slot
                }
            }
        };
        slot.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostd_types::command::*;
    use hostd_types::*;

    #[tokio::test]
    async fn the_second_of_two_equal_requests_gets_the_first_ones_outcome() {
        let requests = Arc::new(Requests::default());
        let id = RequestId::new();
        let mut first = requests.enter(id).await;
        assert!(first.is_none());
        let other = Arc::clone(&requests);
        let second = tokio::spawn(async move { other.enter(id).await.clone() });
        let asked = Command::Task(TaskCommand::Cancel { id: TaskId::new() });
        let done = Remembered::new(&asked, Outcome { index: 7, task: None, subject: None });
        *first = Some(done.clone());
        drop(first);
        assert_eq!(second.await.expect("second"), Some(done));
        for _ in 0..2 * KEPT {
            drop(requests.enter(RequestId::new()).await);
        }
        assert!(requests.known.lock().expect("lock").slots.len() <= KEPT);
    }
}
