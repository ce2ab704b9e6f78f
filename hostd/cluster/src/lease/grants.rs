//! What a leader granted, and whom it is to fence. Pure.

use super::clock::Moment;
use super::{Member, Terms};
use hostd_types::NodeId;
use std::collections::BTreeMap;
use std::time::Duration;

/// Leases this host granted while it leads.
#[derive(Debug, Clone)]
pub(crate) struct Grants {
    terms: Terms,
    reign: Option<Reign>,
}

/// A time of leading without a gap in which a member could not have renewed.
#[derive(Debug, Clone)]
struct Reign {
    term: u64,
    since: Moment,
    /// When it was last seen to go on; nothing when it was interrupted.
    seen: Option<Moment>,
    granted: BTreeMap<NodeId, Moment>,
    /// The epoch each member was met in, and since when: one that has just begun an epoch had no time to renew in it.
    met: BTreeMap<NodeId, (u64, Moment)>,
    /// Members that get nothing any more up to this epoch: their fence may be in the log already.
    stopped: BTreeMap<NodeId, u64>,
}

impl Grants {
    pub(crate) fn new(terms: Terms) -> Self {
        Self { terms, reign: None }
    }

    /// This host leads in `term`, and a majority follows it.
    pub(crate) fn lead(&mut self, term: u64, now: Moment) {
        let gap = self.terms.renew * 2;
        let reign = match self.reign.take() {
            Some(reign) if reign.term == term => reign,
            Some(_) | None => Reign {
                term,
                since: now,
                seen: Some(now),
                granted: BTreeMap::new(),
                met: BTreeMap::new(),
                stopped: BTreeMap::new(),
            },
        };
        // Whoever could not renew while this host was cut off or stood still gets the whole time again.
        let goes_on = reign.seen.is_some_and(|seen| now.since(seen) <= gap);
        let since = if goes_on { reign.since } else { now };
        self.reign = Some(Reign { since, seen: Some(now), ..reign });
    }

    /// It does not lead now, or no majority follows it.
    pub(crate) fn interrupt(&mut self) {
        if let Some(reign) = &mut self.reign {
            reign.seen = None;
        }
    }

    /// Grants a lease after a round of the majority in `term`. False when it must not.
    pub(crate) fn grant(&mut self, term: u64, node: NodeId, epoch: u64, now: Moment) -> bool {
        let Some(reign) = self.reign.as_mut().filter(|reign| reign.term == term) else { return false };
        if reign.stopped.get(&node).is_some_and(|stopped| epoch <= *stopped) {
            return false;
        }
        reign.granted.insert(node, now);
        if reign.met.get(&node).is_none_or(|(met, _)| *met != epoch) {
            reign.met.insert(node, (epoch, now));
        }
        true
    }

    /// Members that are to be fenced. From here on they get nothing in their epoch.
    pub(crate) fn stop(
        &mut self,
        term: u64,
        members: impl Iterator<Item = Member>,
        now: Moment,
    ) -> Vec<Member> {
        let fence = self.terms.fence;
        let Some(reign) = self.reign.as_mut().filter(|r| r.term == term && r.seen.is_some()) else {
            return Vec::new();
        };
        let mut due = Vec::new();
        for member in members {
            let met = match reign.met.get(&member.node) {
                Some((epoch, since)) if *epoch == member.epoch => *since,
                Some(_) | None => {
                    reign.met.insert(member.node, (member.epoch, now));
                    now
                }
            };
            let last = reign.granted.get(&member.node).map_or(met, |at| met.max(*at)).max(reign.since);
            if now >= last + fence {
                reign.stopped.insert(member.node, member.epoch);
                due.push(member);
            }
        }
        due
    }

    /// How long each member's lease lasts, at most.
    pub(crate) fn left(&self, now: Moment) -> BTreeMap<NodeId, Duration> {
        let granted = self.reign.iter().flat_map(|reign| &reign.granted);
        let left = granted.map(|(node, at)| (*node, (*at + self.terms.lease).since(now)));
        left.filter(|(_, left)| !left.is_zero()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostd_types::HostId;

    const H: NodeId = NodeId(2);

    fn at(s: u64) -> Moment {
        Moment(Duration::from_secs(s))
    }

    fn member(epoch: u64) -> Member {
        Member { host: HostId::new(), node: H, epoch, active: true }
    }

    /// A leader of term 5 since 100.
    fn leader() -> Grants {
        let mut grants = Grants::new(Terms::default());
        grants.lead(5, at(100));
        grants
    }

    fn goes_on(grants: &mut Grants, term: u64, seconds: std::ops::Range<u64>) {
        for second in seconds {
            grants.lead(term, at(second));
        }
    }

    fn due(grants: &mut Grants, now: u64) -> bool {
        !grants.stop(5, [member(0)].into_iter(), at(now)).is_empty()
    }

    #[test]
    fn a_member_is_fenced_after_its_last_grant() {
        let mut grants = leader();
        assert!(grants.grant(5, H, 0, at(103)));
        goes_on(&mut grants, 5, 101..140);
        assert!(!due(&mut grants, 132) && due(&mut grants, 133));
        assert!(!grants.grant(5, H, 0, at(134)), "its fence may be in the log");
        assert!(due(&mut grants, 134), "until it is");
        assert!(grants.grant(5, H, 1, at(135)), "it came back in a new epoch");
        assert!(grants.stop(5, [member(1)].into_iter(), at(136)).is_empty());
    }

    #[test]
    fn a_new_leader_waits_from_its_election() {
        let mut grants = leader();
        assert!(!due(&mut grants, 100));
        goes_on(&mut grants, 5, 101..131);
        assert!(!due(&mut grants, 129) && due(&mut grants, 130));
        grants.lead(6, at(131));
        assert!(!due(&mut grants, 161), "another term is another leader's");
        assert!(!grants.grant(5, H, 0, at(132)), "the round was of a term that has ended");
        assert!(grants.grant(6, H, 0, at(132)), "nobody else's fence acts in this term");
    }

    #[test]
    fn a_member_has_the_whole_time_in_a_new_epoch() {
        let mut grants = leader();
        assert!(grants.grant(5, H, 0, at(101)));
        goes_on(&mut grants, 5, 101..200);
        assert!(due(&mut grants, 131));
        let again = |grants: &mut Grants, now| !grants.stop(5, [member(1)].into_iter(), at(now)).is_empty();
        assert!(!again(&mut grants, 170), "it has just acknowledged");
        assert!(!again(&mut grants, 199) && again(&mut grants, 200));
    }

    #[test]
    fn a_leader_that_stood_still_lets_members_renew_first() {
        let mut grants = leader();
        assert!(grants.grant(5, H, 0, at(101)));
        grants.lead(5, at(160));
        assert!(!due(&mut grants, 160), "a minute in which nobody could renew");
        goes_on(&mut grants, 5, 161..191);
        assert!(due(&mut grants, 190));
        let mut grants = leader();
        goes_on(&mut grants, 5, 101..129);
        grants.interrupt();
        assert!(!due(&mut grants, 131), "no majority follows");
        grants.lead(5, at(131));
        assert!(!due(&mut grants, 160) && grants.grant(5, H, 0, at(132)));
    }

    #[test]
    fn what_is_left_of_leases_is_told() {
        let mut grants = leader();
        assert!(grants.grant(5, H, 0, at(101)));
        assert_eq!(grants.left(at(104)), [(H, Duration::from_secs(12))].into());
        assert!(grants.left(at(116)).is_empty());
    }
}
