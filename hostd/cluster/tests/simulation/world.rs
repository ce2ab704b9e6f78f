//! The world of a history: hosts on one clock, the air between them, and what is asked of them.

use super::Flaw;
use super::air::{Air, Moment, Packet};
use super::asks::{Ask, is_open};
use super::book::Book;
use super::dice::Dice;
use super::host::Host;
use super::moves::Way;
use super::tally::Tally;
use hostd_cluster::Cluster;
use hostd_cluster::simulation::Sight;
use hostd_types::command::ClusterCommand;
use hostd_types::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Longest piece of time in which hosts do not hear of each other, and the one while something is going on.
const CALM: Moment = 20_000;
const BUSY: Moment = 2_000;
/// How long somebody waits for an answer.
const PATIENCE: Moment = 15_000_000;

/// An answer: the ask, its try, and what was told.
type Told = (usize, u64, Result<Outcome, Problem>);

pub struct World {
    pub dice: Dice,
    pub flaw: Flaw,
    pub now: Moment,
    pub air: Air,
    pub hosts: Vec<Host>,
    pub ways: Vec<Way>,
    pub asks: Vec<Ask>,
    pub book: Book,
    pub tally: Tally,
    /// Every identity that was ever admitted to the cluster.
    pub main: BTreeSet<NodeId>,
    told: Arc<Mutex<Vec<Told>>>,
    /// How many removals were asked for.
    removals: usize,
    /// Identities that each host refuses.
    refused: Vec<BTreeSet<NodeId>>,
    /// Hosts that were told that they are not in the cluster any more.
    pub out: BTreeSet<usize>,
    sights: BTreeMap<usize, Sight>,
    trace: blake3::Hasher,
    talk: bool,
    busy: bool,
}

impl World {
    pub fn new(seed: u64, flaw: Flaw, talk: bool, root: &Path, count: usize) -> Self {
        let (dice, tally) = (Dice::new(seed), Tally::default());
        let hosts: Vec<Host> = (0..count).map(|n| Host::new(n, root, &dice, flaw)).collect();
        Self {
            air: Air::new(dice.clone(), tally.clone()),
            tally,
            dice,
            flaw,
            now: 1_000_000,
            ways: vec![Way::Founding(Vec::new()); count],
            refused: vec![BTreeSet::new(); count],
            hosts,
            asks: Vec::new(),
            book: Book::default(),
            main: BTreeSet::new(),
            told: Arc::default(),
            removals: 0,
            out: BTreeSet::new(),
            sights: BTreeMap::new(),
            trace: blake3::Hasher::new(),
            talk,
            busy: true,
        }
    }

    /// Hash of all that happened.
    pub fn trace(&self) -> [u8; 32] {
        *self.trace.finalize().as_bytes()
    }

    /// Writes down that something happened.
    pub fn note(&mut self, what: &str) {
        let line = format!("{:>10.3} {what}", self.now as f64 / 1e6);
        if self.talk {
            println!("{line}");
        }
        self.trace.update(line.as_bytes());
    }

    /// Adds something that arrived to the trace.
    fn hear_of(&mut self, from: usize, to: usize, bytes: &[u8]) {
        let about = [self.now, from as u64, to as u64, bytes.len() as u64].map(u64::to_be_bytes);
        self.trace.update(about.as_flattened()).update(bytes);
    }

    /// Asks the cluster through any host.
    pub fn ask(&mut self, command: Command) -> usize {
        self.removals += usize::from(matches!(&command, Command::Cluster(ClusterCommand::Remove { .. })));
        let host = self.dice.index(self.hosts.len());
        self.asks.push(Ask::new(&self.dice, self.now, self.hosts[host].wrong, command));
        self.asks.len() - 1
    }

    /// Asks through one host alone.
    pub fn ask_through(&mut self, n: usize, command: Command) -> usize {
        self.removals += usize::from(matches!(&command, Command::Cluster(ClusterCommand::Remove { .. })));
        let main = self.main.contains(&self.hosts[n].node());
        let ask = Ask::new(&self.dice, self.now, self.hosts[n].wrong, command);
        self.asks.push(Ask { through: Some(n), main, doubts: false, ..ask });
        self.asks.len() - 1
    }

    /// The hosts of the cluster that are on and open, with their numbers.
    pub fn members(&self) -> Vec<(usize, Cluster)> {
        let inside = |n: &usize| self.ways[*n].inside();
        (0..self.hosts.len()).filter(inside).filter_map(|n| Some((n, self.hosts[n].cluster()?))).collect()
    }

    pub fn sight(&self, n: usize) -> Option<&Sight> {
        self.sights.get(&n)
    }

    /// Lets a little time pass.
    pub fn step(&mut self) {
        let longest = self.now + if self.busy { BUSY } else { CALM };
        let next = self.air.next().unwrap_or(Moment::MAX).clamp(self.now + 1000, longest);
        for host in &mut self.hosts {
            host.live(next);
        }
        self.now = next;
        self.busy = false;
        for n in 0..self.hosts.len() {
            self.look(n);
        }
        self.hear();
        for packet in self.air.arrived(self.now) {
            self.busy = true;
            self.deliver(packet);
        }
        for n in 0..self.hosts.len() {
            if self.hosts[n].returns.is_some_and(|at| at <= self.now) {
                self.switch_on(n);
            }
            self.go_on(n);
        }
        self.speak();
    }

    pub fn switch_on(&mut self, n: usize) {
        self.note(&format!("{} is switched on", self.hosts[n].name));
        self.hosts[n].returns = None;
        let (now, air) = (self.now, self.air.clone());
        self.hosts[n].switch_on(now, &air);
    }

    /// A host goes off: by a power cut, or as it should.
    pub fn switch_off(&mut self, n: usize, cut: bool, away: Moment) {
        self.note(&format!("{} goes off{}", self.hosts[n].name, if cut { " by a power cut" } else { "" }));
        self.tally.add(if cut { "power cuts" } else { "orderly stops" });
        if cut {
            self.hosts[n].cut_power();
        } else if !self.hosts[n].shut_down() {
            self.book.violated(format!("{} does not stop", self.hosts[n].name));
        }
        self.hosts[n].returns = Some(self.now + away);
        self.sights.remove(&n);
        for ask in self.asks.iter_mut().filter(|ask| ask.trying.is_some_and(|(host, _)| host == n)) {
            ask.again(self.now + 300_000);
        }
    }

    /// Writes down what a host has done.
    fn look(&mut self, n: usize) {
        if let Some(why) = self.hosts[n].failed() {
            self.book.violated(format!("{} does not open: {why}", self.hosts[n].name));
        }
        let Some(cluster) = self.hosts[n].cluster() else { return };
        let node = cluster.node();
        *self.hosts[n].node.lock().unwrap() = node;
        if self.main.is_empty() && n == 0 {
            self.main.insert(node);
        }
        let Some(sight) = self.hosts[n].sight(&cluster) else { return };
        if self.sights.get(&n) == Some(&sight) {
            return;
        }
        if self.main.contains(&node) && !self.hosts[n].is_moving() {
            self.book.saw(node, &sight);
            self.read(n, node, &cluster, &sight);
        }
        let Sight { term, elected, last, applied, .. } = &sight;
        let news = self.sights.get(&n).is_none_or(|old| {
            (old.term, old.elected, old.applied, old.last) != (*term, *elected, *applied, *last)
        });
        if let Some(old) = self.sights.get(&n) {
            if sight.replaced > old.replaced && sight.applied >= old.applied {
                self.tally.add("snapshots installed");
            } else if sight.snapshot > old.snapshot {
                self.tally.add("snapshots made");
            }
        }
        if news {
            let leads = if *elected { " leading" } else { "" };
            self.note(&format!("h{n} term {term}{leads} last {last} applied {applied}"));
        }
        self.sights.insert(n, sight);
    }

    fn read(&mut self, n: usize, node: NodeId, cluster: &Cluster, sight: &Sight) {
        let Some(seen) = self.hosts[n].seen() else { return };
        let (applied, last) = *seen;
        *seen = (sight.applied, sight.last);
        if sight.applied > applied {
            for entry in cluster.logged(applied + 1, sight.applied).expect("entries can be encoded") {
                self.book.applies(node, entry, sight.term);
            }
            self.refuse(n, cluster);
            // A difference that arises stays, so it is found at the next of these; by whatever a host begins with, too.
            if applied == 0 || sight.applied.is_multiple_of(8) {
                self.compare_state(node, cluster);
            }
        }
        let from = last.min(sight.applied).saturating_sub(1);
        let mut entries = cluster.logged(from, sight.last).expect("entries can be encoded");
        // A leader's own last entries may be in its memory alone, and others in their place after a power cut.
        while entries.last().is_some_and(|entry| entry.leader == node && entry.index > sight.applied) {
            entries.pop();
        }
        self.book.has(node, &entries);
    }

    /// The state of a host must be that of every other one after the same entry.
    pub fn compare_state(&mut self, node: NodeId, cluster: &Cluster) {
        // What is forgotten on purpose is not forgotten at the same moment by all.
        if !self.flaw.forgets() {
            let (index, hash) = cluster.state_hash().expect("the state can be read");
            self.book.state(node, index, hash);
        }
    }

    /// A host does not talk to members that it knows were removed.
    fn refuse(&mut self, n: usize, cluster: &Cluster) {
        if self.flaw.forgets() {
            let which = if self.flaw == Flaw::RequestsForgotten { "" } else { "NOT" };
            let forget = format!(
                "CREATE TEMP TRIGGER IF NOT EXISTS forget AFTER INSERT ON main.request \
                 WHEN json_extract(NEW.outcome, '$.refused') IS {which} NULL \
                 BEGIN DELETE FROM request WHERE id = NEW.id; END"
            );
            cluster.state_sql(&forget).expect("SQLite takes triggers");
        }
        if self.removals > self.refused[n].len()
            && let Ok(rows) = cluster.state_sql("SELECT node FROM removed")
        {
            self.refused[n] = rows.iter().map(|row| row[0].parse().expect("a node")).collect();
        }
    }

    fn deliver(&mut self, packet: Packet) {
        match packet {
            Packet::Question { from, node, to, frame, caller } => {
                let there = self.hosts.iter().position(|host| host.is_on() && host.node() == to);
                let open = there.filter(|there| !self.air.is_cut(from, *there));
                let Some((there, cluster)) = open.and_then(|n| Some((n, self.hosts[n].cluster()?))) else {
                    return self.air.fail(caller);
                };
                self.hear_of(from, there, &frame);
                let (host, air) = (&self.hosts[there], self.air.clone());
                if self.refused[there].contains(&node) {
                    self.out.insert(from);
                    if let Some(caller) = caller {
                        // It may have stopped waiting.
                        let _ = caller.send(Err(hostd_cluster::CarryError::Removed("removed".into())));
                    }
                    return;
                }
                let Some(clock) = host.clock() else { return };
                host.spawn(async move {
                    let bytes = Ok(cluster.serve(node, &frame).await);
                    if let Some(caller) = caller {
                        air.send(clock.now(), Packet::Answer { from: there, to: from, bytes, caller });
                    }
                });
            }
            Packet::Answer { from, to, bytes, caller } => {
                if self.air.is_cut(from, to) {
                    return self.air.fail(Some(caller));
                }
                self.hear_of(from, to, bytes.as_deref().unwrap_or_default());
                // The caller may have stopped waiting, or be off.
                let _ = caller.send(bytes);
            }
        }
    }

    /// Takes the answers that came in.
    fn hear(&mut self) {
        let told = std::mem::take(&mut *self.told.lock().unwrap());
        for (n, tried, answer) in told {
            let Some((host, since)) = self.asks[n].trying.filter(|_| self.asks[n].tries == tried) else {
                continue;
            };
            self.asks[n].trying = None;
            let said = match &answer {
                Ok(outcome) => format!("acted at {}", outcome.index),
                Err(problem) => problem.kind.slug().to_owned(),
            };
            let Entry { command, request, .. } = &self.asks[n].entry;
            self.note(&format!("h{host}: {} {request} {said}", command.name()));
            match answer {
                Ok(outcome) => {
                    let ask = &self.asks[n];
                    if ask.main {
                        self.book.told(ask, self.hosts[host].node(), since, &outcome);
                    }
                    let ask = &mut self.asks[n];
                    if std::mem::take(&mut ask.doubts) {
                        ask.again(self.now + 1_000_000);
                    } else {
                        ask.end = Some(Ok(outcome));
                    }
                }
                Err(problem) if is_open(&problem) || problem.kind == ProblemKind::Removed => {
                    self.asks[n].again(self.now + 500_000);
                }
                Err(problem) => {
                    if self.asks[n].main {
                        self.book.told_no(&self.asks[n]);
                    }
                    self.asks[n].end = Some(Err(problem));
                }
            }
        }
    }

    /// Such a host says so to whoever asks something of it.
    fn knows_that_it_was_removed(&self, n: usize, cluster: &Cluster) -> bool {
        let sql = format!("SELECT count(*) FROM host WHERE id = '{}'", self.hosts[n].id);
        let gone = || cluster.state_sql(&sql).is_ok_and(|rows| rows[0][0] == "0");
        matches!(self.ways[n], Way::Removal { .. } | Way::Removed { .. }) && gone()
    }

    /// Asks what is due.
    fn speak(&mut self) {
        let mut members = self.members();
        members.retain(|(n, cluster)| !self.knows_that_it_was_removed(*n, cluster));
        for n in 0..self.asks.len() {
            let ask = &self.asks[n];
            if ask.end.is_some() || ask.next > self.now && ask.trying.is_none() {
                continue;
            }
            if ask.after.is_some_and(|before| self.asks[before].end.is_none()) {
                continue;
            }
            if let Some((_, since)) = ask.trying {
                if self.now > since + PATIENCE {
                    self.asks[n].again(self.now);
                }
                continue;
            }
            let through = match ask.through {
                Some(host) => self.hosts[host].cluster().map(|cluster| (host, cluster)),
                None => self.dice.pick(&members).cloned(),
            };
            let Some((host, cluster)) = through else { continue };
            let ask = &mut self.asks[n];
            let entry = ask.tried(&self.dice, self.now);
            ask.trying = Some((host, self.now));
            let (tried, told) = (ask.tries, self.told.clone());
            self.busy = true;
            self.hosts[host].spawn(async move {
                let answer = cluster.propose(entry).await;
                told.lock().unwrap().push((n, tried, answer));
            });
        }
    }
}
