//! The one driver of background work: by period and by wake-up, one run at a time, more slowly after failures, with
//! its status visible. A panic ends the run, not the daemon.

use super::{Reconcile, Summary};
use crate::{Core, ReconcilerView};
use futures_util::FutureExt;
use hostd_types::{Problem, ProblemKind, Timestamp};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// Shortest time between a failed run and the next.
const BACKOFF_MIN: Duration = Duration::from_millis(250);
/// Longest time between a failed run and the next.
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// Rest after a run, for each thing looked at; a few times what the look takes.
const REST_EACH: Duration = Duration::from_micros(100);
/// Longest rest.
const REST_MAX: Duration = Duration::from_secs(1);

/// A reconciler being driven.
#[derive(Debug)]
pub(super) struct Driven {
    view: Arc<Mutex<ReconcilerView>>,
}

impl Driven {
    /// Runs `reconciler` now and then until the daemon stops; the core's tracker owns the task.
    pub fn start<R: Reconcile>(core: &Core, reconciler: R, bell: &Arc<Notify>) -> Self {
        let view = ReconcilerView {
            name: reconciler.name().into(),
            last_run: None,
            last_ms: 0.0,
            fault: None,
            summary: String::new(),
        };
        let driven = Self { view: Arc::new(Mutex::new(view)) };
        let (view, bell, stop) = (Arc::clone(&driven.view), Arc::clone(bell), core.0.stop.clone());
        let settled = core.0.settled.subscribe();
        core.0.tracker.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = drive(reconciler, &view, &bell, settled) => {}
            }
        });
        driven
    }
    /// How it is doing.
    pub fn view(&self) -> ReconcilerView {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn drive<R: Reconcile>(
    mut reconciler: R,
    view: &Mutex<ReconcilerView>,
    bell: &Notify,
    mut settled: watch::Receiver<bool>,
) {
    let mut backoff = BACKOFF_MIN;
    loop {
        // A host between two clusters has a state that says nothing of it yet: what it would do by it would be wrong.
        if settled.wait_for(|settled| *settled).await.is_err() {
            return;
        }
        let begun = Instant::now();
        let result = AssertUnwindSafe(reconciler.run()).catch_unwind().await;
        let result = result.unwrap_or_else(|_| {
            Err(Problem::new(ProblemKind::Internal, "A defect ended this run; the host's log says more."))
        });
        record(view, begun, &result);
        match result {
            Ok(summary) => {
                backoff = BACKOFF_MIN;
                tokio::time::sleep(rest(summary.checked)).await;
                let pause = summary.again.map_or(reconciler.period(), |again| again.min(reconciler.period()));
                let _ = tokio::time::timeout(pause, bell.notified()).await;
            }
            Err(problem) => {
                tracing::warn!(reconciler = reconciler.name(), %problem, "a run failed");
                // Not even a wake-up makes it spin.
                tokio::time::sleep(BACKOFF_MIN).await;
                let _ = tokio::time::timeout(backoff, bell.notified()).await;
                backoff = (backoff * 2).min(BACKOFF_MAX);
            }
        }
    }
}

/// How long a reconciler leaves the host alone after a look at `checked` things: what wakes it meanwhile shares the next
/// look, and a stream of changes on a host with many machines does not keep a core busy with looking at all of them.
fn rest(checked: usize) -> Duration {
    REST_EACH.saturating_mul(u32::try_from(checked).unwrap_or(u32::MAX)).min(REST_MAX)
}

fn record(view: &Mutex<ReconcilerView>, begun: Instant, result: &Result<Summary, Problem>) {
    let mut view = view.lock().unwrap_or_else(PoisonError::into_inner);
    view.last_run = Some(Timestamp::now());
    view.last_ms = begun.elapsed().as_secs_f64() * 1000.0;
    match result {
        Ok(summary) => {
            view.fault = None;
            view.summary = summary.to_string();
        }
        Err(problem) => view.fault = Some(problem.detail.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting {
        runs: Arc<Mutex<u32>>,
        done: Arc<Notify>,
    }

    impl Reconcile for Counting {
        fn name(&self) -> &'static str {
            "counting"
        }
        fn period(&self) -> Duration {
            Duration::from_secs(3600)
        }
        async fn run(&mut self) -> Result<Summary, Problem> {
            let run = {
                let mut runs = self.runs.lock().expect("lock");
                *runs += 1;
                *runs
            };
            self.done.notify_one();
            match run {
                1 => Err(Problem::new(ProblemKind::Unavailable, "not yet")),
                2 => panic!("a defect"),
                _ => Ok(Summary { checked: 1, ..Summary::default() }),
            }
        }
    }

    #[test]
    fn a_rest_grows_with_what_there_is_to_look_at() {
        assert_eq!([0, 10, 1000, 1_000_000].map(|n| rest(n).as_millis()), [0, 1, 100, 1000]);
    }

    #[tokio::test]
    async fn failures_and_panics_are_tried_again_and_a_bell_wakes() {
        let (runs, done, bell) = (Arc::new(Mutex::new(0)), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let reconciler = Counting { runs: Arc::clone(&runs), done: Arc::clone(&done) };
        let view = Arc::new(Mutex::new(ReconcilerView {
            name: "counting".into(),
            last_run: None,
            last_ms: 0.0,
            fault: None,
            summary: String::new(),
        }));
        let (seen, rung) = (Arc::clone(&view), Arc::clone(&bell));
        let task = tokio::spawn(async move { drive(reconciler, &seen, &rung, watch::channel(true).1).await });
        for _ in 0..3 {
            done.notified().await;
        }
        bell.notify_one();
        done.notified().await;
        assert_eq!(*runs.lock().expect("lock"), 4);
        task.abort();
        assert_eq!(view.lock().expect("lock").summary, "1 checked, 0 changed");
    }
}
