//! Histories of a cluster: the engine as it is, on hosts whose clocks, disks and network a seed decides. The same seed is
//! the same history, to the last byte that was sent.
//!
//! A history has a beginning, in which hosts form a cluster; a middle, in which things break while others are asked for;
//! and an end, in which everything is mended and must come to rest. What must hold is in [`book`].

mod air;
mod asks;
mod book;
mod dice;
mod host;
mod leases;
mod moves;
mod platter;
mod story;
mod tally;
mod world;

use std::cell::RefCell;
use std::collections::BTreeMap;

/// What is broken on purpose, to see that it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// The log says that it is on the disk some time before it is.
    SyncsLate,
    /// Requests that acted are not remembered.
    RequestsForgotten,
    /// Requests that were refused are not remembered.
    RefusalsForgotten,
    /// A vote is forgotten when the power goes.
    VotesForgotten,
    /// A leader does not wait until leases have surely ended.
    FencesEarly,
    /// A leader grants leases to hosts that were fenced.
    EpochsUnchecked,
}

impl Flaw {
    /// Something is not remembered, and not by all hosts from the same moment on.
    fn forgets(self) -> bool {
        matches!(self, Self::RequestsForgotten | Self::RefusalsForgotten)
    }
}

/// How a history went.
pub struct History {
    pub violations: Vec<String>,
    /// Hash of all that happened in it.
    pub trace: [u8; 32],
    /// How often what happened in it.
    pub happened: BTreeMap<&'static str, u64>,
}

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Lets the history of `seed` happen; tells it on the standard output with `talk`.
pub fn history(seed: u64, flaw: Flaw, talk: bool) -> History {
    watched(|root| story::tell(seed, flaw, talk, root))
}

/// Lets the history of leases of `seed` happen; tells how many machines were taken over in it, too.
pub fn lease_history(seed: u64, flaw: Flaw, talk: bool) -> (History, usize) {
    let mut takeovers = 0;
    let tell = |root: &std::path::Path| {
        let (history, count) = leases::tell(seed, flaw, talk, root);
        takeovers = count;
        history
    };
    (watched(tell), takeovers)
}

fn watched(tell: impl FnOnce(&std::path::Path) -> History) -> History {
    watch_panics();
    let memory = std::path::Path::new("/dev/shm");
    let root = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let mut history = tell(root.unwrap().path());
    history.violations.extend(PANICS.take().into_iter().map(|what| format!("panic: {what}")));
    history
}

/// Keeps what panics in hosts' tasks; such a panic would end the task and nothing else.
fn watch_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.with_borrow_mut(|panics| panics.push(panic.to_string()));
            before(panic);
        }));
    });
}
