//! Which single step brings the group's membership nearer to the cluster's hosts. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Entries a member may be behind and still count as caught up.
const LAG_MAX: u64 = 100;

/// When members become voters and cease to be.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long a member must have answered without a break before it may vote.
    pub candidate_after: Duration,
    /// How long a voter may be silent before another member takes its vote.
    pub replace_after: Duration,
    /// How often the leader looks.
    pub look_every: Duration,
    /// Learners beyond which they get entries in batches.
    pub slow_learners: usize,
    /// Time between two such batches.
    pub batch_every: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            candidate_after: Duration::from_secs(10),
            replace_after: Duration::from_secs(300),
            look_every: Duration::from_secs(5),
            slow_learners: 8,
            batch_every: Duration::from_millis(100),
        }
    }
}

/// What the leader sees.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look {
    /// This host.
    pub(crate) me: u64,
    /// Members that vote, in the newest membership.
    pub(crate) voters: BTreeSet<u64>,
    /// All members, in the newest membership.
    pub(crate) members: BTreeSet<u64>,
    /// A change of the voters is under way.
    pub(crate) joint: bool,
    /// Nodes of the cluster's hosts.
    pub(crate) wanted: BTreeSet<u64>,
    /// Those of them that are about to leave: they stay members and give up their votes.
    pub(crate) leaving: BTreeSet<u64>,
    /// Those of them that are there to vote and for nothing else.
    pub(crate) witnesses: BTreeSet<u64>,
    /// Most voters the cluster wants.
    pub(crate) voters_max: usize,
    /// The last entry of the log.
    pub(crate) last: u64,
    /// The last entry each member is known to have.
    pub(crate) matched: BTreeMap<u64, u64>,
    /// How long each member has answered without a break, and how long ago it last did.
    pub(crate) answered: BTreeMap<u64, (Duration, Duration)>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Make these members, without a vote.
    Add(BTreeSet<u64>),
    /// Let exactly these vote; who voted before follows from now on.
    Vote(BTreeSet<u64>),
    /// These are no members any more.
    Drop(BTreeSet<u64>),
    /// Let another member lead: this one is to leave.
    Yield,
}

impl Look {
    /// The next step, if one is due and safe.
    pub(crate) fn step(&self, pace: &Pace) -> Option<Step> {
        if self.joint {
            // Whoever led lost its power or its lead between the two halves of a change; nobody else does the second, and
            // until it is done both the old voters and the new ones are needed and nothing else can change.
            return Some(Step::Vote(self.voters.clone()));
        }
        let new: BTreeSet<u64> = self.wanted.difference(&self.members).copied().collect();
        if !new.is_empty() {
            return Some(Step::Add(new));
        }
        if !self.stays(self.me) && self.others_can_lead() {
            // Who votes is for the next leader to change: until it leads, every voter counts.
            return Some(Step::Yield);
        }
        let voters = self.voters_wanted(pace);
        if voters != self.voters && self.safe(&voters) {
            return Some(Step::Vote(voters));
        }
        let gone: BTreeSet<u64> =
            self.members.difference(&self.wanted).filter(|n| !self.voters.contains(n)).copied().collect();
        (!gone.is_empty()).then_some(Step::Drop(gone))
    }

    /// Who should vote: those who do and may go on, then witnesses, then those who have been reliable the longest, an odd
    /// number.
    fn voters_wanted(&self, pace: &Pace) -> BTreeSet<u64> {
        // A leader that is to leave keeps its vote until another one leads.
        let staying = |n: &u64| *n == self.me || (self.stays(*n) && !self.lost(*n, pace));
        let mut chosen: Vec<u64> = self.voters.iter().copied().filter(staying).collect();
        let mut candidates: Vec<(Duration, u64)> = self
            .wanted
            .iter()
            .filter(|n| self.stays(**n) && !chosen.contains(n))
            .filter_map(|n| Some((self.reliable(*n, pace)?, *n)))
            .collect();
        candidates.sort_by_key(|(since, n)| Reverse((self.witnesses.contains(n), *since, *n)));
        // Lost voters count: they may come back, and without them there is less redundancy, not more.
        let hosts = self.wanted.difference(&self.leaving).count().max(1);
        let most = odd(hosts.min(self.voters_max));
        chosen.extend(candidates.into_iter().map(|(_, n)| n));
        let mut count = odd(chosen.len().min(most));
        if !self.stays(self.me) {
            // Whoever leads next must be a voter already.
            count = count.max(2.min(chosen.len()));
        }
        // The leader stays, then who answered last: those at the end go.
        chosen.sort_by_key(|n| (*n != self.me, !self.voters.contains(n), self.silent(*n)));
        chosen.truncate(count.max(1));
        let chosen: BTreeSet<u64> = chosen.into_iter().collect();
        let useless = chosen.is_subset(&self.voters)
            && self.voters.iter().all(|n| self.stays(*n))
            && self.voters.len() <= most
            && self.voters.len() % 2 == 1;
        // Taking a lost voter's vote without giving it to another one helps nobody.
        if useless { self.voters.clone() } else { chosen }
    }

    fn stays(&self, node: u64) -> bool {
        self.wanted.contains(&node) && !self.leaving.contains(&node)
    }

    fn silent(&self, node: u64) -> Duration {
        if node == self.me {
            return Duration::ZERO;
        }
        self.answered.get(&node).map_or(Duration::MAX, |(_, ago)| *ago)
    }

    fn lost(&self, node: u64, pace: &Pace) -> bool {
        self.silent(node) > pace.replace_after
    }

    /// How long a member has been a good candidate.
    fn reliable(&self, node: u64, pace: &Pace) -> Option<Duration> {
        let (since, ago) = self.answered.get(&node)?;
        let steady = *since >= pace.candidate_after && *ago < Duration::from_secs(2);
        (steady && self.caught_up(node)).then_some(*since)
    }

    fn caught_up(&self, node: u64) -> bool {
        node == self.me || self.matched.get(&node).is_some_and(|at| at + LAG_MAX >= self.last)
    }

    /// Whether the voters may become `next`: those that stay or come are near the end of the log, and most of them
    /// answered just now, so that no member with the newest entries is the one that goes.
    fn safe(&self, next: &BTreeSet<u64>) -> bool {
        let present = |n: &&u64| self.caught_up(**n) && self.silent(**n) < Duration::from_secs(2);
        let majority = |of: &BTreeSet<u64>| of.iter().filter(present).count() > of.len() / 2;
        let remaining = next.intersection(&self.voters).all(|n| {
            // A voter that is off stays one; it can't be asked how far it is.
            self.silent(*n) >= Duration::from_secs(2) || self.caught_up(*n)
        });
        remaining && majority(next) && majority(&self.voters)
    }

    fn others_can_lead(&self) -> bool {
        self.voters.iter().any(|n| *n != self.me && self.caught_up(*n))
    }
}

/// The largest odd number up to `n`, at least 1: an even one tolerates no more losses than the odd one below.
const fn odd(n: usize) -> usize {
    if n.is_multiple_of(2) { n.saturating_sub(1) } else { n }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    /// Members `1..=members` of which the first `voters` vote; 1 leads, all answered just now and for long.
    fn look(voters: u64, members: u64) -> Look {
        Look {
            me: 1,
            voters: (1..=voters).collect(),
            members: (1..=members).collect(),
            wanted: (1..=members).collect(),
            voters_max: 5,
            last: 1000,
            matched: (1..=members).map(|n| (n, 1000)).collect(),
            answered: (1..=members).map(|n| (n, (S(3600 - n), Duration::ZERO))).collect(),
            ..Look::default()
        }
    }

    fn step(look: &Look) -> Option<Step> {
        look.step(&Pace::default())
    }

    fn vote(nodes: impl IntoIterator<Item = u64>) -> Option<Step> {
        Some(Step::Vote(nodes.into_iter().collect()))
    }

    #[test]
    fn the_number_of_voters_follows_the_number_of_hosts() {
        for (members, voters) in [(1, 1), (2, 1), (3, 3), (4, 3), (5, 5), (6, 5), (100, 5)] {
            let mut now = look(1, members);
            if voters > 1 {
                assert_eq!(step(&now), vote(1..=voters), "{members} members");
                now.voters = (1..=voters).collect();
            }
            assert_eq!(step(&now), None, "{members} members");
        }
        let mut seven = look(5, 30);
        seven.voters_max = 7;
        assert_eq!(step(&seven), vote(1..=7));
        seven.voters_max = 3;
        assert_eq!(step(&seven), vote(1..=3));
    }

    #[test]
    fn a_witness_votes_with_two_hosts_and_before_other_followers() {
        let mut pair = look(1, 3);
        pair.witnesses = [3].into();
        assert_eq!(step(&pair), vote(1..=3));
        let mut rack = look(3, 6);
        rack.witnesses = [6].into();
        assert_eq!(step(&rack), vote([1, 2, 3, 4, 6]), "it is newer than 5");
    }

    #[test]
    fn a_new_host_becomes_a_member_first_and_votes_when_it_is_steady() {
        let mut now = look(1, 3);
        now.members = [1, 2].into();
        assert_eq!(step(&now), Some(Step::Add([3].into())));
        now.members = [1, 2, 3].into();
        now.matched.insert(3, 100);
        assert_eq!(step(&now), None, "3 is behind");
        now.matched.insert(3, 950);
        now.answered.insert(3, (S(1), Duration::ZERO));
        assert_eq!(step(&now), None, "3 is new");
        now.answered.insert(3, (S(60), S(3)));
        assert_eq!(step(&now), None, "3 is silent");
        now.answered.insert(3, (S(60), S(1)));
        assert_eq!(step(&now), vote(1..=3));
    }

    #[test]
    fn a_change_of_the_voters_that_was_broken_off_is_finished_first() {
        let mut now = look(3, 4);
        now.joint = true;
        assert_eq!(step(&now), vote(1..=3));
        // Whatever else is due comes after that, one change at a time.
        now.members = [1, 2, 3].into();
        now.leaving = [1].into();
        now.answered.insert(3, (S(3600), S(400)));
        assert_eq!(step(&now), vote(1..=3));
        now.joint = false;
        assert_eq!(step(&now), Some(Step::Add([4].into())));
    }

    #[test]
    fn a_lost_voter_is_replaced_late_and_only_when_there_is_another() {
        let mut now = look(3, 4);
        now.answered.insert(3, (S(3600), S(200)));
        assert_eq!(step(&now), None, "it may come back");
        now.answered.insert(3, (S(3600), S(301)));
        assert_eq!(step(&now), vote([1, 2, 4]));
        now.answered.insert(4, (S(3600), S(100)));
        assert_eq!(step(&now), None, "nobody to take its vote");
        let mut alone = look(3, 3);
        alone.answered.insert(2, (S(3600), S(400)));
        alone.answered.insert(3, (S(3600), S(400)));
        assert_eq!(step(&alone), None, "without a majority nothing can change");
    }

    #[test]
    fn a_removed_host_loses_its_vote_then_its_membership() {
        let mut now = look(3, 3);
        now.wanted.remove(&3);
        assert_eq!(step(&now), vote([1]));
        now.voters = [1].into();
        assert_eq!(step(&now), Some(Step::Drop([3].into())));
        let mut four = look(3, 4);
        four.wanted.remove(&2);
        four.answered.insert(2, (S(3600), S(9999)));
        assert_eq!(step(&four), vote([1, 3, 4]));
    }

    #[test]
    fn a_leader_that_leaves_lets_another_lead_first() {
        let mut now = look(3, 3);
        now.wanted.remove(&1);
        assert_eq!(step(&now), Some(Step::Yield));
        let mut pair = look(1, 2);
        pair.wanted.remove(&1);
        assert_eq!(step(&pair), vote([1, 2]));
        // 2 leads now and sees 1 off to the end.
        let mut after = look(2, 2);
        (after.me, after.wanted) = (2, [2].into());
        assert_eq!(step(&after), vote([2]));
    }

    #[test]
    fn a_host_about_to_leave_gives_up_its_vote_and_stays_a_member_until_it_is_gone() {
        let mut now = look(3, 4);
        now.leaving = [2].into();
        assert_eq!(step(&now), vote([1, 3, 4]));
        now.voters = [1, 3, 4].into();
        assert_eq!(step(&now), None);
        let mut pair = look(1, 2);
        pair.leaving = [1].into();
        assert_eq!(step(&pair), vote([1, 2]));
        pair.voters = [1, 2].into();
        assert_eq!(step(&pair), Some(Step::Yield));
        pair.me = 2;
        assert_eq!(step(&pair), vote([2]));
        pair.voters = [2].into();
        assert_eq!(step(&pair), None);
    }

    #[test]
    fn the_newest_entries_are_never_sent_away() {
        let mut now = look(3, 4);
        now.wanted.remove(&3);
        now.matched.insert(2, 100);
        assert_eq!(step(&now), None, "2 is behind: what 3 has may be needed");
        now.matched.insert(2, 1000);
        assert_eq!(step(&now), vote([1, 2, 4]));
    }
}
