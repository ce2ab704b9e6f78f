//! How the group of members stands, as one host sees it.

use crate::beat::{Known, Pulses};
use crate::engine::{self, Engine};
use hostd_types::NodeId;
use std::collections::BTreeMap;
use std::time::Duration;

/// A leader that answered within this time is there; it is asked every two seconds.
const FOLLOWED: Duration = Duration::from_secs(6);

/// The group as this host sees it at this moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// This host.
    pub me: NodeId,
    /// Who leads, when somebody does; this host alone knows it of itself for sure.
    pub leader: Option<NodeId>,
    /// This host leads and a majority follows it.
    pub leads: bool,
    /// Another one leads, and answered this host within the last seconds.
    pub followed: bool,
    /// Counts elections.
    pub term: u64,
    /// Members and what is known of each; empty while this host waits to become one.
    pub members: BTreeMap<NodeId, Member>,
    /// A change of who votes is under way.
    pub changing: bool,
}

/// A member as this host sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// It votes.
    pub votes: bool,
    /// What is known of it; nothing when it was never heard of here.
    pub known: Option<Known>,
}

/// The group as `engine` sees it now.
pub(crate) fn of(engine: &Engine, pulses: &Pulses) -> Group {
    let metrics = engine.metrics();
    let membership = metrics.membership_config.membership();
    let mut known = pulses.known();
    let voters: Vec<u64> = membership.voter_ids().collect();
    let member = |node: u64| {
        let votes = voters.contains(&node);
        (NodeId(node), Member { votes, known: known.remove(&NodeId(node)) })
    };
    Group {
        me: NodeId(metrics.id),
        leader: metrics.current_leader.map(NodeId),
        leads: engine::leads(&metrics),
        followed: metrics
            .current_leader
            .and_then(|leader| engine.peers().contacts.all().get(&NodeId(leader)).copied())
            .is_some_and(|contact| contact.last.elapsed() < FOLLOWED),
        term: metrics.current_term,
        members: membership.nodes().map(|(node, _)| *node).map(member).collect(),
        changing: membership.get_joint_config().len() > 1,
    }
}
