//! Lets histories of a cluster happen and counts what went wrong. `cargo xtask lab simulate` runs it.
//!
//! `simulate --from A --seeds N` takes N seeds from A, or 0; `simulate --seed N` tells the history of one; `--traces yes`
//! prints the hash of each, the same for a seed wherever it runs; `--of leases` lets histories of leases
//! happen, `--of both` as many of the whole and of leases; `--flaw late`, `twice`, `refusals` or `votes`, of leases `early` or `epochs`, breaks something on purpose.

#![allow(clippy::unwrap_used)] // The simulation is a test.

#[path = "../tests/simulation/mod.rs"]
mod simulation;

use simulation::{Flaw, history, lease_history};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What was asked for.
struct Asked {
    first: u64,
    count: u64,
    talk: bool,
    traces: bool,
    flaw: Flaw,
    of: &'static [Kind],
}

/// What a history is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Whole,
    Leases,
}

fn asked() -> Option<Asked> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut asked =
        Asked { first: 0, count: 100, talk: false, traces: false, flaw: Flaw::None, of: &[Kind::Whole] };
    for pair in args.chunks(2) {
        let [name, value] = pair else { return None };
        match (name.as_str(), value.as_str()) {
            ("--seeds", count) => asked.count = count.parse().ok()?,
            ("--seed", seed) => {
                asked.first = seed.parse().ok()?;
                (asked.count, asked.talk, asked.traces) = (1, true, true);
            }
            ("--from", seed) => asked.first = seed.parse().ok()?,
            ("--traces", "yes") => asked.traces = true,
            ("--flaw", "late") => asked.flaw = Flaw::SyncsLate,
            ("--flaw", "twice") => asked.flaw = Flaw::RequestsForgotten,
            ("--flaw", "refusals") => asked.flaw = Flaw::RefusalsForgotten,
            ("--flaw", "votes") => asked.flaw = Flaw::VotesForgotten,
            ("--flaw", "early") => asked.flaw = Flaw::FencesEarly,
            ("--flaw", "epochs") => asked.flaw = Flaw::EpochsUnchecked,
            ("--of", "leases") => asked.of = &[Kind::Leases],
            ("--of", "both") => asked.of = &[Kind::Whole, Kind::Leases],
            _ => return None,
        }
    }
    Some(asked)
}

fn main() -> ExitCode {
    let Some(asked) = asked() else {
        eprintln!(
            "usage: simulate [--from SEED] [--seeds COUNT] [--seed SEED] [--traces yes] [--of leases|both] \
             [--flaw late|twice|refusals|votes|early|epochs]"
        );
        return ExitCode::FAILURE;
    };
    let bad: u64 = asked.of.iter().map(|kind| happen(&asked, *kind)).sum();
    println!("{} histories, {bad} violations", asked.count * asked.of.len() as u64);
    if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Lets all histories of one kind happen; tells in how many something went wrong.
fn happen(asked: &Asked, kind: Kind) -> u64 {
    let Asked { first, count, talk, traces, flaw, .. } = *asked;
    let name = match kind {
        Kind::Whole => "seed",
        Kind::Leases => "leases of seed",
    };
    let (next, bad) = (AtomicU64::new(first), Mutex::new(0_u64));
    let happened = Mutex::new(BTreeMap::<_, u64>::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                return;
            }
            let told = match kind {
                Kind::Whole => history(seed, flaw, talk),
                Kind::Leases => lease_history(seed, flaw, talk).0,
            };
            let mut bad = bad.lock().unwrap();
            if traces {
                println!("{name} {seed} is {}", blake3::Hash::from(told.trace).to_hex());
            }
            for (what, often) in &told.happened {
                *happened.lock().unwrap().entry(*what).or_default() += often;
            }
            *bad += u64::from(!told.violations.is_empty());
            for what in &told.violations {
                println!("{name} {seed}: {what}");
            }
        }
    };
    // A history is one thread's; several happen at once.
    let threads = if talk { 1 } else { std::thread::available_parallelism().map_or(1, usize::from) };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    for (what, often) in happened.into_inner().unwrap() {
        println!("{often:>9} {what}");
    }
    let bad = bad.into_inner().unwrap();
    if asked.of.len() > 1 {
        let about = if kind == Kind::Leases { "leases" } else { "the whole" };
        println!("of {about}: {count}, with something wrong {bad}");
    }
    bad
}
