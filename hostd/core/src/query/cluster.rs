//! Reads of the cluster: who is in it, how each stands, and what would break it.

use crate::Core;
use crate::federation::{
    ClusterView, Condition, HostPulse, LevelView, Liveness, MemberRole, MemberView, Quorum,
};
use hostd_cluster::{Group, Known};
use hostd_types::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A member that answered within this time is there.
const UP: Duration = Duration::from_secs(5);
/// One that answered within this time may be there.
const SUSPECT: Duration = Duration::from_secs(30);

impl Core {
    /// How this host stands to its cluster.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn condition(&self) -> Result<Condition, Problem> {
        Ok(self.condition_among(&self.store().hosts().await?))
    }

    fn condition_among(&self, hosts: &[Host]) -> Condition {
        if !*self.0.settled.borrow() {
            return Condition::Moving;
        }
        if self.0.wire.told_removed().is_some() {
            return Condition::Removed;
        }
        let here = hosts.iter().any(|host| host.id == self.host());
        match (here, hosts.len()) {
            (true, 1) => Condition::Alone,
            (true, _) => Condition::Member,
            // Before the first report of a new host there is no row at all.
            (false, 0) => Condition::Alone,
            (false, _) => Condition::Removed,
        }
    }

    /// The cluster as this host sees it.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn cluster_view(&self) -> Result<ClusterView, Problem> {
        let (mut cluster, hosts) = (self.store().cluster().await?, self.store().hosts().await?);
        for authority in cluster.iter_mut().flat_map(|cluster| &mut cluster.status.authorities) {
            // Of use to members alone, who read it in the state.
            authority.sealed_key.clear();
        }
        let (mut removed, vms) = (self.store().removed().await?, self.store().vms_by_host().await?);
        // Who came back is a member under another identity; of who left often the last time counts.
        let mut gone: BTreeSet<HostId> = hosts.iter().map(|host| host.id).collect();
        removed.retain(|row| gone.insert(row.host));
        let active = self.store().active_vms_by_host().await?;
        let group = self.0.cluster.group();
        let condition = self.condition_among(&hosts);
        let quorum = quorum(&group, &hosts, condition);
        let last = group.members.values().filter_map(|m| m.known.as_ref()?.matched).max();
        let leader = group.leader.filter(|_| quorum.held);
        let members = hosts.iter().map(|host| {
            let member = host.spec.node.and_then(|node| group.members.get(&node));
            let known = member.and_then(|member| member.known.as_ref());
            let role = match (host.spec.node, member) {
                (Some(node), _) if leader == Some(node) => MemberRole::Leader,
                (_, Some(member)) if member.votes => MemberRole::Voter,
                (_, Some(_)) => MemberRole::Learner,
                (_, None) => MemberRole::Outside,
            };
            let here = host.id == self.host();
            let liveness = liveness_of(host, here, known);
            let on_it = |counts: &BTreeMap<HostId, u64>| counts.get(&host.id).copied().unwrap_or(0);
            // Of its own lease a host knows best.
            let own = || self.0.cluster.lease().map(|lease| lease.left);
            let lease = if here { own() } else { known.and_then(|known| known.lease) };
            MemberView {
                role,
                liveness,
                seen_s: known.and_then(|k| k.silent).map(|silent| silent.as_secs()),
                lease_s: lease.map(|left| left.as_secs()),
                told_address: host.spec.node.and_then(|node| self.0.wire.link()?.told_address(node)),
                lag: known.and_then(|k| Some(last?.saturating_sub(k.matched?))),
                pulse: known.and_then(|k| serde_json::from_str::<HostPulse>(&k.digest.as_ref()?.0).ok()),
                vms: on_it(&vms),
                what_if: what_if(host, (role, liveness), &quorum, (on_it(&vms), on_it(&active))),
                host: host.clone(),
            }
        });
        let by_node =
            |node: NodeId| hosts.iter().find(|host| host.spec.node == Some(node)).map(|host| host.id);
        Ok(ClusterView {
            condition,
            here: self.host(),
            leader: leader.and_then(by_node),
            members: members.collect(),
            quorum,
            removed,
            certificates: self.certificates(cluster.as_ref(), &hosts),
            level: LevelView::of(cluster.as_ref().map_or(0, |cluster| cluster.status.level), &hosts),
            cluster,
        })
    }
}

/// Whether `host`, this one when it is `here`, is there.
pub(super) fn liveness_of(host: &Host, here: bool, known: Option<&Known>) -> Liveness {
    match (here, liveness(known), host.spec.state) {
        (true, _, _) | (false, Liveness::Up, _) => Liveness::Up,
        (false, _, HostState::Fenced) => Liveness::Fenced,
        (false, seen, HostState::New | HostState::Active) => seen,
    }
}

fn liveness(known: Option<&Known>) -> Liveness {
    match known.and_then(|known| known.silent) {
        None => Liveness::Unknown,
        Some(silent) if silent < UP => Liveness::Up,
        Some(silent) if silent < SUSPECT => Liveness::Suspect,
        Some(_) => Liveness::Down,
    }
}

/// Whether changes are possible, and how many voters may fail.
fn quorum(group: &Group, hosts: &[Host], condition: Condition) -> Quorum {
    let voters: Vec<(&NodeId, &hostd_cluster::Member)> =
        group.members.iter().filter(|(_, member)| member.votes).collect();
    let there = |node: &NodeId, known: Option<&Known>| *node == group.me || liveness(known) == Liveness::Up;
    let reachable = voters.iter().filter(|(node, member)| there(node, member.known.as_ref())).count();
    let needed = voters.len() / 2 + 1;
    // Those that are left of what the others gave up may still follow one another; it counts no more.
    let removed = condition == Condition::Removed;
    let leads = group.leads || (group.leader.is_some_and(|leader| leader != group.me) && group.followed);
    let held = leads && !removed;
    let may_fail = if held { reachable.saturating_sub(needed) } else { 0 };
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let text = match (voters.len(), held, may_fail) {
        _ if removed => "The others removed this host, so nothing can be changed here; its machines keep running. Let it leave, or \
                         join again."
            .to_owned(),
        (0, _, _) => "This host is not a member of a group yet.".to_owned(),
        (all, false, _) => format!(
            "{reachable} of {all} {} and {needed} must. Nothing can be changed until more come back; machines keep running.",
            if all == 1 { "voter answers" } else { "voters answer" }
        ),
        (1, true, _) if group.members.len() == 1 => "This host decides alone.".to_owned(),
        (1, true, _) => decides_alone(voters[0].0, hosts),
        (all, true, 0) => {
            format!("{reachable} of {all} voters answer: if one more fails, nothing can be changed.")
        }
        (all, true, 1) => format!("{reachable} of {all} voters answer: one more may fail."),
        (all, true, more) => format!("{reachable} of {all} voters answer: {more} more may fail."),
    };
    Quorum {
        voters: count(voters.len()),
        reachable: count(reachable),
        needed: count(needed),
        held,
        may_fail: count(may_fail),
        text,
    }
}

/// What it means that one of several hosts decides.
fn decides_alone(voter: &NodeId, hosts: &[Host]) -> String {
    let voter = hosts.iter().find(|host| host.spec.node.as_ref() == Some(voter));
    let Some(voter) = voter.map(|host| &host.spec.name) else { return "One host decides.".into() };
    match hosts.iter().filter(|host| host.spec.name != *voter).collect::<Vec<_>>().as_slice() {
        [other] => format!(
            "Of two hosts one decides, {voter}. If {} fails, {voter} goes on; if {voter} fails, nothing can be changed until \
             it is back. A third host or a witness prevents that.",
            other.spec.name
        ),
        _ => format!(
            "{voter} decides alone for now; others vote once they have answered without a break for a while."
        ),
    }
}

/// What happens when a host fails now; `vms` are its machines, and those of them that are not off.
fn what_if(
    host: &Host,
    (role, liveness): (MemberRole, Liveness),
    quorum: &Quorum,
    (vms, active): (u64, u64),
) -> String {
    let up = liveness == Liveness::Up;
    let machines = match (vms, active, up) {
        (0, _, _) => "No machine is on it.".to_owned(),
        (_, 0, true) => "No machine runs on it.".to_owned(),
        (1, _, true) => "Its machine stops until it is back.".to_owned(),
        (_, 1, true) => "One machine that runs on it stops until it is back.".to_owned(),
        (_, more, true) => format!("{more} machines that run on it stop until it is back."),
        (1, _, false) => "Its machine can't be reached until it is back.".to_owned(),
        (more, _, false) => format!("Its {more} machines can't be reached until it is back."),
    };
    let decides = match (role, up) {
        _ if !quorum.held => "There is no majority now.",
        (_, false) => "It does not answer; the cluster goes on without it.",
        (MemberRole::Leader | MemberRole::Voter, true) if quorum.may_fail == 0 => {
            "Nothing can be changed in the cluster until it is back."
        }
        (MemberRole::Leader, true) => "Another host leads after a few seconds.",
        (MemberRole::Voter | MemberRole::Learner | MemberRole::Outside, true) => {
            "The cluster goes on without a pause."
        }
    };
    match host.spec.role {
        HostRole::Host => format!("{machines} {decides}"),
        HostRole::Witness => decides.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, node: u64, role: HostRole) -> Host {
        let spec = HostSpec {
            name: name.into(),
            node: Some(NodeId(node)),
            role,
            fence_epoch: 0,
            leaving: false,
            state: HostState::New,
        };
        let meta = Meta::created(Timestamp::from_unix(0), &Actor::Console);
        Host { id: HostId::new(), meta, spec, status: HostStatus::default() }
    }

    /// A group of which node 1 is this one and leads when `held`; each other one votes or not, and is silent so long.
    fn group(held: bool, votes: bool, others: &[(u64, bool, u64)]) -> Group {
        let other = |(node, votes, silent): &(u64, bool, u64)| {
            let silent = Some(Duration::from_secs(*silent));
            let known = Known { silent, matched: None, digest: None, lease: None };
            (NodeId(*node), hostd_cluster::Member { votes: *votes, known: Some(known) })
        };
        let me = (NodeId(1), hostd_cluster::Member { votes, known: None });
        Group {
            me: NodeId(1),
            leads: held,
            leader: held.then_some(NodeId(1)),
            followed: false,
            term: 1,
            members: std::iter::once(me).chain(others.iter().map(other)).collect(),
            changing: false,
        }
    }

    #[test]
    fn two_hosts_are_told_which_of_them_decides() {
        let hosts = [host("h1", 1, HostRole::Host), host("h2", 2, HostRole::Host)];
        let now = quorum(&group(true, true, &[(2, false, 0)]), &hosts, Condition::Member);
        assert!(
            now.text.starts_with("Of two hosts one decides, h1. If h2 fails, h1 goes on"),
            "{}",
            now.text
        );
        let voter = what_if(&hosts[0], (MemberRole::Leader, Liveness::Up), &now, (1, 1));
        assert!(
            voter.starts_with("Its machine stops") && voter.contains("Nothing can be changed"),
            "{voter}"
        );
        let follower = what_if(&hosts[1], (MemberRole::Learner, Liveness::Up), &now, (2, 0));
        assert!(
            follower.starts_with("No machine runs on it.") && follower.contains("goes on without a pause"),
            "{follower}"
        );
        let some = what_if(&hosts[1], (MemberRole::Learner, Liveness::Up), &now, (5, 2));
        assert!(some.starts_with("2 machines that run on it stop"), "{some}");
        let removed = quorum(&group(true, true, &[(2, true, 0)]), &hosts, Condition::Removed);
        assert!(!removed.held && removed.text.contains("removed this host"), "{}", removed.text);
        let lost = quorum(&group(false, false, &[(2, true, 60)]), &hosts, Condition::Member);
        assert!(!lost.held && lost.text.contains("0 of 1 voter answers and 1 must"), "{}", lost.text);
    }

    #[test]
    fn with_a_witness_either_of_two_hosts_may_fail() {
        let hosts =
            [host("h1", 1, HostRole::Host), host("h2", 2, HostRole::Host), host("w", 3, HostRole::Witness)];
        let now = quorum(&group(true, true, &[(2, true, 0), (3, true, 0)]), &hosts, Condition::Member);
        assert_eq!((now.voters, now.may_fail), (3, 1));
        assert_eq!(now.text, "3 of 3 voters answer: one more may fail.");
        let witness = what_if(&hosts[2], (MemberRole::Voter, Liveness::Up), &now, (0, 0));
        assert_eq!(witness, "The cluster goes on without a pause.");
        let one_down = quorum(&group(true, true, &[(2, true, 60), (3, true, 0)]), &hosts, Condition::Member);
        let witness = what_if(&hosts[2], (MemberRole::Voter, Liveness::Up), &one_down, (0, 0));
        assert!(witness.contains("Nothing can be changed"), "{witness}");
        let gone = what_if(&hosts[1], (MemberRole::Voter, Liveness::Down), &one_down, (2, 0));
        assert!(
            gone.contains("2 machines can't be reached") && gone.contains("goes on without it"),
            "{gone}"
        );
        let suspect = what_if(&hosts[1], (MemberRole::Voter, Liveness::Suspect), &one_down, (0, 0));
        assert!(suspect.contains("goes on without it"), "{suspect}");
    }
}
