//! What has been seen of a history, and what must hold of it.

use super::air::Moment;
use super::asks::Ask;
use super::tally::Tally;
use hostd_cluster::simulation::{Logged, Sight};
use hostd_types::command::*;
use hostd_types::*;
use std::collections::{BTreeMap, BTreeSet};

/// A term, and who was elected in it.
type Leader = (u64, NodeId);

/// Everything seen of the one cluster that the history is about.
#[derive(Default)]
pub struct Book {
    /// Who was elected, and in which term. openraft lets a term have several leaders, ordered by their identities: what
    /// it calls a leader is both together.
    leaders: BTreeSet<Leader>,
    /// Hash of each entry anybody has had in its log, by index and leader, and the leader of the one before it.
    logged: BTreeMap<(u64, Leader), ([u8; 32], Leader)>,
    /// What was applied at each index.
    applied: BTreeMap<u64, Logged>,
    /// The lowest term a host was in when it had applied an index: it was decided in that one or before.
    decided: BTreeMap<u64, u64>,
    /// Hash of the state after each index it was looked at.
    states: BTreeMap<u64, [u8; 32]>,
    /// How often one was there to compare with.
    compared: u64,
    /// Outcome of each request that was told.
    told: BTreeMap<RequestId, Outcome>,
    /// Requests whose refusal was told.
    refused: BTreeSet<RequestId>,
    /// Requests about machines that the applied entries refuse, and none of which may have acted.
    pub turned_down: BTreeSet<RequestId>,
    /// Members that were removed, and when that was told.
    pub removed: BTreeMap<NodeId, Moment>,
    pub violations: Vec<String>,
}

impl Book {
    pub fn violated(&mut self, what: String) {
        self.violations.push(what);
    }

    /// Adds up what it holds.
    pub fn count(&self, tally: &Tally) {
        tally.more("elections", self.leaders.len() as u64);
        tally.more("entries applied", self.applied.len() as u64);
        tally.more("states compared", self.compared);
        tally.more("requests that acted", self.told.len() as u64);
        tally.more("requests refused", self.refused.len() as u64);
    }

    /// How consensus stands on a host.
    pub fn saw(&mut self, node: NodeId, sight: &Sight) {
        let leader = (sight.term, node);
        if sight.elected && self.leaders.insert(leader) {
            // A leader may be seen long after its election; only what was decided before it must be there.
            let before = self.decided.iter().rev().find(|(_, term)| **term < sight.term);
            let decided = before.map_or(0, |(index, _)| *index);
            if sight.last < decided {
                let last = sight.last;
                self.violated(format!("{node} was elected with {last} entries, {decided} were decided"));
            }
        }
        if let Some(why) = &sight.halted {
            self.violated(format!("consensus stopped on {node}: {why}"));
        }
    }

    /// Entries in a row that a host has in its log.
    pub fn has(&mut self, node: NodeId, entries: &[Logged]) {
        for pair in entries.windows(2) {
            let [before, entry] = pair else { continue };
            let seen = (entry.hash, (before.term, before.leader));
            let known = *self.logged.entry((entry.index, (entry.term, entry.leader))).or_insert(seen);
            if known != seen {
                self.violated(format!("{node} has another entry {} of term {}", entry.index, entry.term));
            }
        }
    }

    /// A host applied an entry, and is in `term`.
    pub fn applies(&mut self, node: NodeId, entry: Logged, term: u64) {
        let index = entry.index;
        let lowest = self.decided.entry(index).or_insert(term);
        *lowest = term.min(*lowest);
        let before = self.applied.range(..index).next_back().map(|(_, before)| (before.term, before.leader));
        if before > Some((entry.term, entry.leader)) {
            self.violated(format!("{node} applied entry {index} of a leader before the last one"));
        }
        let same = self.applied.get(&index).map(|known| known.hash == entry.hash);
        match same {
            None => drop(self.applied.insert(index, entry)),
            Some(true) => {}
            Some(false) => self.violated(format!("{node} applied another entry {index} than others")),
        }
    }

    /// What the state came to after an index.
    pub fn state(&mut self, node: NodeId, index: u64, hash: [u8; 32]) {
        let Some(known) = self.states.insert(index, hash) else { return };
        self.compared += 1;
        if known != hash {
            self.violated(format!("{node} has another state after entry {index}"));
        }
    }

    /// A host told the outcome of a request that was tried on it since `since`.
    pub fn told(&mut self, ask: &Ask, through: NodeId, since: Moment, outcome: &Outcome) {
        let (request, name) = (ask.entry.request, ask.entry.command.name());
        let first = self.told.entry(request).or_insert_with(|| outcome.clone());
        if first != outcome {
            let first = first.index;
            self.violated(format!("{name} {request} acted at entry {first} and again at {}", outcome.index));
        }
        let there = self
            .applied
            .get(&outcome.index)
            .is_some_and(|entry| entry.requests.iter().any(|(there, _)| *there == request));
        if !there {
            self.violated(format!(
                "{name} {request} was told to have acted at {}, where it is not",
                outcome.index
            ));
        }
        if self.removed.get(&through).is_some_and(|at| *at < since && *at < ask.first) {
            self.violated(format!("{through} was removed, and {name} {request} acted through it after that"));
        }
    }

    /// A host told that a request is refused.
    pub fn told_no(&mut self, ask: &Ask) {
        self.refused.insert(ask.entry.request);
    }

    /// The machines that the applied entries make, with how often each was edited and its last description.
    pub fn machines(&mut self, asks: &[Ask]) -> BTreeMap<VmId, (u64, String)> {
        let commands: BTreeMap<RequestId, &Command> =
            asks.iter().map(|ask| (ask.entry.request, &ask.entry.command)).collect();
        let (mut hosts, mut acted, mut refused) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        let mut vms: BTreeMap<VmId, (HostId, u64, String)> = BTreeMap::new();
        for (index, entry) in (1..).zip(self.applied.values().filter(|entry| entry.index > 0)) {
            if entry.index != index {
                self.violations.push(format!("nobody was seen applying entry {index}"));
                break;
            }
            for (request, at) in &entry.requests {
                // The first copy that acts is the only one, and of tries not later than a refused one none acts.
                if acted.contains(request) || refused.get(request).is_some_and(|refused| at <= refused) {
                    continue;
                }
                match commands.get(request) {
                    Some(Command::Host(HostCommand::Report { id, .. })) => {
                        hosts.entry(*id).or_insert(None);
                    }
                    Some(Command::Cluster(
                        ClusterCommand::Found { host, node, .. } | ClusterCommand::Join { host, node, .. },
                    )) => {
                        hosts.insert(*host, Some(*node));
                    }
                    // Neither the last one nor the one that leads.
                    Some(Command::Cluster(ClusterCommand::Remove { host }))
                        if hosts.len() > 1 && hosts.get(host) != Some(&Some(entry.leader)) =>
                    {
                        hosts.remove(host);
                        vms.retain(|_, (owner, ..)| owner != host);
                    }
                    Some(Command::Cluster(ClusterCommand::Import { host, belongings }))
                        if hosts.contains_key(host) =>
                    {
                        for vm in &belongings.vms {
                            vms.entry(vm.id).or_insert((*host, 0, vm.spec.description.clone()));
                        }
                    }
                    Some(Command::Vm(VmCommand::Create { id, host, .. })) if hosts.contains_key(host) => {
                        vms.insert(*id, (*host, 0, String::new()));
                    }
                    Some(Command::Vm(VmCommand::Edit { id, edit, .. })) if vms.contains_key(id) => {
                        if let Some((_, edits, text)) = vms.get_mut(id) {
                            *edits += 1;
                            *text = edit.description.clone().unwrap_or_default();
                        }
                    }
                    // Refused, or nothing that makes a difference here.
                    other => {
                        if matches!(
                            other,
                            Some(Command::Vm(VmCommand::Create { .. } | VmCommand::Edit { .. }))
                        ) {
                            self.turned_down.insert(*request);
                        }
                        refused.insert(*request, *at);
                        continue;
                    }
                }
                acted.insert(*request);
                self.turned_down.remove(request);
                if self.refused.contains(request) {
                    self.violations.push(format!("{request} was told to be refused, and acted at {index}"));
                }
            }
        }
        vms.into_iter().map(|(id, (_, edits, text))| (id, (edits, text))).collect()
    }
}
