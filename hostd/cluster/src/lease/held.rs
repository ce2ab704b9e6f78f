//! A member's own lease. Pure.

use super::clock::Moment;
use super::{Lease, Terms};
use hostd_types::NodeId;

/// The last renew that was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    /// This host in the log it was granted by.
    node: NodeId,
    epoch: u64,
    /// When the renew was sent: whatever the answer took, the leader counts from later.
    sent: Moment,
    /// What had been decided when the epoch's first lease was granted here.
    floor: u64,
}

impl Held {
    /// A renew that was sent at `sent` was granted, at index `decided`.
    pub(crate) fn granted(
        before: Option<Self>,
        node: NodeId,
        epoch: u64,
        sent: Moment,
        decided: u64,
    ) -> Self {
        match before.filter(|held| (held.node, held.epoch) == (node, epoch)) {
            // Answers may overtake each other.
            Some(held) => Self { sent: held.sent.max(sent), ..held },
            None => Self { node, epoch, sent, floor: decided },
        }
    }

    /// It was granted to this host in this epoch.
    pub(crate) fn is_of(&self, node: NodeId, epoch: u64) -> bool {
        (self.node, self.epoch) == (node, epoch)
    }

    /// The lease it is, if it has not ended.
    pub(crate) fn lease(&self, node: NodeId, now: Moment, applied: u64, terms: &Terms) -> Option<Lease> {
        let until = self.sent + terms.lease;
        let valid = self.node == node && now < until;
        valid.then(|| Lease {
            epoch: self.epoch,
            left: until.since(now),
            until: until.0,
            caught_up: applied >= self.floor,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const ME: NodeId = NodeId(7);

    fn at(s: u64) -> Moment {
        Moment(Duration::from_secs(s))
    }

    #[test]
    fn a_lease_counts_from_sending() {
        let terms = Terms::default();
        let held = Held::granted(None, ME, 2, at(100), 40);
        let lease = held.lease(ME, at(104), 40, &terms).expect("a lease");
        assert_eq!((lease.epoch, lease.left, lease.until), (2, Duration::from_secs(11), at(115).0));
        assert!(lease.caught_up && !held.lease(ME, at(104), 39, &terms).expect("a lease").caught_up);
        assert_eq!(held.lease(ME, at(115), 40, &terms), None);
        assert_eq!(held.lease(NodeId(8), at(104), 40, &terms), None, "it moved into another group");
    }

    #[test]
    fn a_newer_renew_prolongs_it_and_a_late_answer_does_not_shorten_it() {
        let terms = Terms::default();
        let held = Held::granted(None, ME, 2, at(100), 40);
        let held = Held::granted(Some(held), ME, 2, at(106), 50);
        let held = Held::granted(Some(held), ME, 2, at(103), 45);
        let lease = held.lease(ME, at(107), 40, &terms).expect("a lease");
        assert_eq!(lease.until, at(121).0);
        assert!(lease.caught_up, "once is enough in an epoch");
        let next = Held::granted(Some(held), ME, 3, at(104), 60);
        assert!(next.is_of(ME, 3) && !next.lease(ME, at(107), 59, &terms).expect("a lease").caught_up);
    }
}
