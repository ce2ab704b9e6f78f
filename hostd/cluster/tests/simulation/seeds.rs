//! Some hundred histories, and that what is broken on purpose is found.

use crate::simulation::{Flaw, History, history};
use std::ops::Range;

fn check(seeds: Range<u64>) {
    for seed in seeds {
        let History { violations, .. } = history(seed, Flaw::None, false);
        assert!(violations.is_empty(), "seed {seed}: {violations:#?}");
    }
}

#[test]
fn nothing_goes_wrong_in_the_first_part() {
    check(0..20);
}

#[test]
fn nothing_goes_wrong_in_the_second_part() {
    check(20..40);
}

#[test]
fn nothing_goes_wrong_in_the_third_part() {
    check(40..60);
}

#[test]
fn nothing_goes_wrong_in_the_fourth_part() {
    check(60..80);
}

#[test]
fn nothing_goes_wrong_in_the_fifth_part() {
    check(80..100);
}

// Now and then a seed gives another history: something is still left to chance or to the machine's load.
#[test]
#[ignore = "a seed does not reproduce exactly yet"]
fn the_same_seed_is_the_same_history() {
    for seed in 0..4 {
        let [first, second] = [(); 2].map(|()| history(seed, Flaw::None, false));
        assert_eq!(first.trace, second.trace, "seed {seed}");
    }
}

/// One of the first `most` histories shows what is broken.
fn is_found(flaw: Flaw, most: u64) {
    let found = (0..most).find(|seed| !history(*seed, flaw, false).violations.is_empty());
    println!("{flaw:?} is found with seed {found:?}");
    assert!(found.is_some(), "{flaw:?} was not found in {most} histories");
}

#[test]
fn a_log_that_answers_before_it_is_synced_is_found() {
    is_found(Flaw::SyncsLate, 300);
}

#[test]
fn requests_that_act_twice_are_found() {
    is_found(Flaw::RequestsForgotten, 300);
}

#[test]
fn votes_that_are_forgotten_are_found() {
    is_found(Flaw::VotesForgotten, 300);
}
