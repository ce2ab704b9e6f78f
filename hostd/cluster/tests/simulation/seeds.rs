//! Five hundred histories and a hundred of leases, and that what is broken on purpose is found.

use crate::simulation::{Flaw, History, history, lease_history};
use std::collections::BTreeSet;
use std::ops::Range;

/// Histories of one test; tests run beside each other.
const PART: u64 = 25;

/// What must happen in every part.
const EVENTS: [&str; 17] = [
    "histories of 3 hosts",
    "histories of 5 hosts",
    "histories of 9 hosts",
    "power cuts",
    "orderly stops",
    "networks that split",
    "hosts cut off",
    "hosts cut off one way",
    "ways cut one way",
    "bad networks",
    "slow disks",
    "processes that stood still",
    "machines that slept",
    "clocks that jumped",
    "hosts that joined",
    "hosts that were removed",
    "snapshots made",
];

fn check(part: u64) {
    let mut all = BTreeSet::new();
    for seed in part * PART..(part + 1) * PART {
        let History { violations, happened, .. } = history(seed, Flaw::None, false);
        assert!(violations.is_empty(), "seed {seed}: {violations:#?}");
        all.extend(happened.into_keys());
    }
    let missing: Vec<&str> = EVENTS.into_iter().filter(|what| !all.contains(what)).collect();
    assert!(missing.is_empty(), "these never happened: {missing:?}");
}

macro_rules! parts {
    ($check:ident, $($name:ident: $part:literal,)*) => {$(
        #[test]
        fn $name() {
            $check($part);
        }
    )*};
}

parts! {
    check,
    nothing_goes_wrong_in_part_0: 0, nothing_goes_wrong_in_part_1: 1, nothing_goes_wrong_in_part_2: 2,
    nothing_goes_wrong_in_part_3: 3, nothing_goes_wrong_in_part_4: 4, nothing_goes_wrong_in_part_5: 5,
    nothing_goes_wrong_in_part_6: 6, nothing_goes_wrong_in_part_7: 7, nothing_goes_wrong_in_part_8: 8,
    nothing_goes_wrong_in_part_9: 9, nothing_goes_wrong_in_part_10: 10, nothing_goes_wrong_in_part_11: 11,
    nothing_goes_wrong_in_part_12: 12, nothing_goes_wrong_in_part_13: 13, nothing_goes_wrong_in_part_14: 14,
    nothing_goes_wrong_in_part_15: 15, nothing_goes_wrong_in_part_16: 16, nothing_goes_wrong_in_part_17: 17,
    nothing_goes_wrong_in_part_18: 18, nothing_goes_wrong_in_part_19: 19,
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in 0..8 {
        let [first, second] = [(); 2].map(|()| history(seed, Flaw::None, false));
        assert_eq!(first.trace, second.trace, "seed {seed}");
    }
}

/// Histories of leases in one test.
const LEASES: u64 = 8;

fn check_leases(part: u64) {
    let mut takeovers = 0;
    for seed in part * LEASES..(part + 1) * LEASES {
        let (History { violations, .. }, taken) = lease_history(seed, Flaw::None, false);
        assert!(violations.is_empty(), "seed {seed}: {violations:#?}");
        takeovers += taken;
    }
    assert!(takeovers > 0, "no machine was ever taken over");
}

parts! {
    check_leases,
    no_machine_runs_twice_in_part_0: 0, no_machine_runs_twice_in_part_1: 1, no_machine_runs_twice_in_part_2: 2,
    no_machine_runs_twice_in_part_3: 3, no_machine_runs_twice_in_part_4: 4,
}

/// One of the first `most` histories of leases shows what is broken.
fn is_found_by_leases(flaw: Flaw, most: u64) {
    let twice = |seed: &u64| {
        let violations = lease_history(*seed, flaw, false).0.violations;
        violations.iter().any(|violation| violation.contains("runs on"))
    };
    let found = (0..most).find(twice);
    println!("{flaw:?} is found with seed {found:?}");
    assert!(found.is_some(), "{flaw:?} was not found in {most} histories");
}

#[test]
fn a_fence_before_the_lease_has_ended_is_found() {
    is_found_by_leases(Flaw::FencesEarly, 60);
}

#[test]
fn a_lease_for_a_fenced_host_is_found() {
    is_found_by_leases(Flaw::EpochsUnchecked, 60);
}

/// One of these histories shows what is broken: one of its violations says one of `words`. That something was waited for
/// in vain, or that the simulator panicked, is not enough.
fn is_found(flaw: Flaw, mut seeds: Range<u64>, words: &[&str]) {
    let says = |violation: &String| words.iter().find(|word| violation.contains(**word)).copied();
    let shows = |seed| {
        let violations = history(seed, flaw, false).violations;
        violations
            .iter()
            .filter(|violation| !violation.starts_with("in vain") && !violation.starts_with("panic"))
            .find_map(says)
            .map(|word| (seed, word))
    };
    let found = seeds.find_map(shows);
    println!("{flaw:?} is found with {found:?}");
    assert!(found.is_some(), "{flaw:?} was not found: no history showed any of {words:?}");
}

/// What was decided is lost: a host applies something else in its place, or leads without it.
const LOST: [&str; 3] = ["applied another entry", "where it is not", "were decided"];

#[test]
fn a_log_that_answers_before_it_is_synced_is_found() {
    is_found(Flaw::SyncsLate, 0..300, &LOST);
}

#[test]
fn requests_that_act_twice_are_found() {
    is_found(Flaw::RequestsForgotten, 0..300, &["and again at"]);
}

#[test]
fn refusals_that_are_taken_back_are_found() {
    // A copy that was long on its way is rare: the first history that shows it comes late.
    is_found(Flaw::RefusalsForgotten, 100..400, &["was refused, and acted after that"]);
}

#[test]
fn votes_that_are_forgotten_are_found() {
    // The host itself sees that its log holds no vote any more, and does not open before harm comes of it.
    is_found(Flaw::VotesForgotten, 0..300, &["with it what this host promised"]);
}
