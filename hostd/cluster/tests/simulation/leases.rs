//! Histories of leases: machines that run only under their host's lease and newest placement, hosts that lose it, and
//! others that take their machines over. At every moment at most one host runs a machine.
//!
//! What the daemon around the engine does is done here: hosts acknowledge their epochs, leaders fence and place.

use super::asks;
use super::moves::Way;
use super::platter::GOOD;
use super::story::{begin, until};
use super::world::World;
use super::{Flaw, History};
use hostd_cluster::{Lease, Terms, ToFence};
use hostd_types::command::*;
use hostd_types::*;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Time for the middle and to come to rest, in microseconds.
const MIDDLE: u64 = 45_000_000;
const END: u64 = 120_000_000;
/// How often a leader looks whom to fence.
const LOOK: u64 = 300_000;

/// A fifth of the product's times, so that a history has many leases.
pub fn terms(flaw: Flaw) -> Terms {
    let ms = Duration::from_millis;
    let fence = if flaw == Flaw::FencesEarly { ms(2000) } else { ms(6000) };
    Terms { renew: ms(600), lease: ms(3000), watchdog: ms(2000), fence }
}

/// A host as far as its machines go.
#[derive(Default)]
struct Machines {
    running: BTreeSet<VmId>,
    /// When its lease ends.
    ends: u64,
    /// When the watchdog resets it at the latest.
    reset: u64,
    /// Its daemon does nothing, and is not there to stop machines.
    hangs: bool,
    rows: Rows,
}

/// What a host's rows say.
#[derive(Default)]
struct Rows {
    /// The index they were read at.
    at: u64,
    hosts: BTreeMap<HostId, (HostState, u64)>,
    /// Where each machine is placed, and by which placement.
    vms: BTreeMap<VmId, (HostId, u64)>,
}

/// One such history.
struct Leases {
    hosts: Vec<Machines>,
    vms: Vec<VmId>,
    due: Arc<Mutex<Vec<(usize, ToFence)>>>,
    looks: u64,
    /// Asks that are under way for a host or a machine.
    asked: BTreeMap<String, usize>,
    takeovers: usize,
    /// Somebody was cut off for so long that it is fenced; next is that it comes back.
    fenced: bool,
}

/// Lets it happen. Tells how many machines were taken over.
pub fn tell(seed: u64, flaw: Flaw, talk: bool, root: &Path) -> (History, usize) {
    hostd_cluster::simulation::seed(seed);
    let count = [3, 5, 3, 4][usize::try_from(seed % 4).expect("small")];
    let mut world = World::new(seed, flaw, talk, root, count);
    let hosts = (0..count).map(|_| Machines::default()).collect();
    let (due, asked) = (Arc::default(), BTreeMap::new());
    let mut leases = Leases { hosts, vms: Vec::new(), due, looks: 0, asked, takeovers: 0, fenced: false };
    if begin(&mut world, count) {
        leases.middle(&mut world);
        leases.end(&mut world);
    }
    world.tally.more("machines taken over", leases.takeovers as u64);
    world.book.count(&world.tally);
    let happened = world.tally.counts();
    (History { trace: world.trace(), violations: world.book.violations, happened }, leases.takeovers)
}

impl Leases {
    fn middle(&mut self, world: &mut World) {
        for n in 0..world.hosts.len() {
            if world.ways[n] == Way::Member {
                let vm = VmId::from_uuid(world.dice.uuid());
                self.vms.push(vm);
                world.ask(asks::create(vm, world.hosts[n].id, format!("vm{n}")));
            }
        }
        let (end, mut next) = (world.now + MIDDLE, world.now + 5_000_000);
        while world.now < end && world.book.violations.is_empty() {
            if world.now >= next {
                let lasts = self.disturb(world);
                next = world.now + world.dice.number(lasts);
            }
            world.step();
            self.go_on(world);
        }
    }

    /// Everything is mended, and every machine must run again, on one host.
    fn end(&mut self, world: &mut World) {
        world.note("everything is mended");
        world.air.heal();
        for n in 0..world.hosts.len() {
            world.hosts[n].platter.takes(GOOD);
            world.hosts[n].returns = world.hosts[n].returns.map(|_| world.now);
            self.hosts[n].hangs = false;
        }
        let vms: BTreeSet<VmId> = self.vms.iter().copied().collect();
        let leases = std::cell::RefCell::new(&mut *self);
        let all_run = |_: &World| {
            let run = |machines: &Machines| machines.running.clone();
            leases.borrow().hosts.iter().flat_map(run).collect::<BTreeSet<_>>().is_superset(&vms)
        };
        until(world, "every machine runs", END, |world| leases.borrow_mut().go_on(world), all_run);
    }

    /// What every host does after a step of the world.
    fn go_on(&mut self, world: &mut World) {
        self.asked.retain(|_, ask| world.asks[*ask].end.is_none());
        for n in 0..world.hosts.len() {
            self.live(world, n);
        }
        let due = std::mem::take(&mut *self.due.lock().unwrap());
        for (n, ToFence { host, epoch, leader, term }) in due {
            let fence = Command::Host(HostCommand::Fence { id: host, epoch, leader, term });
            self.ask_once(world, format!("fence {host} {epoch} {leader} {term}"), n, fence);
        }
        if world.now >= self.looks {
            self.looks = world.now + LOOK;
            for n in 0..world.hosts.len() {
                self.lead(world, n);
            }
        }
        let mut on: BTreeMap<VmId, usize> = BTreeMap::new();
        for (n, machines) in self.hosts.iter().enumerate() {
            for vm in &machines.running {
                if let Some(other) = on.insert(*vm, n) {
                    let now = world.now as f64 / 1e6;
                    world.book.violated(format!("{now:.3}: machine {vm} runs on h{other} and on h{n}"));
                }
            }
        }
    }

    fn ask_once(&mut self, world: &mut World, what: String, through: usize, command: Command) {
        self.asked.entry(what).or_insert_with(|| world.ask_through(through, command));
    }

    /// Machines of host `n` run while it has a lease and they are placed there; without, they are stopped: by the
    /// daemon at once, by the watchdog otherwise.
    fn live(&mut self, world: &mut World, n: usize) {
        let cluster = world.hosts[n].cluster().filter(|_| world.ways[n] == Way::Member);
        let machines = &mut self.hosts[n];
        let (Some(cluster), false) = (cluster, machines.hangs) else {
            if world.now >= machines.reset && !machines.running.is_empty() {
                machines.running.clear();
                world.note(&format!("the watchdog resets h{n}"));
                machines.hangs = false;
                if world.hosts[n].is_on() {
                    world.switch_off(n, true, 2_000_000);
                }
            }
            return;
        };
        if world.flaw == Flaw::EpochsUnchecked {
            cluster.grant_anybody();
        }
        machines.rows.read(&cluster);
        let (id, rows) = (world.hosts[n].id, &machines.rows);
        let Some((state, epoch)) = rows.hosts.get(&id).copied() else { return };
        let rate = world.hosts[n].clock().map_or(1_000_000, |clock| clock.rate);
        let may = |lease: &Lease| state == HostState::Active && lease.epoch == epoch;
        let lease = world.hosts[n].by_its_clock(|| cluster.lease());
        match lease.filter(may) {
            Some(lease) => {
                let true_time = |of: Duration| {
                    u64::try_from(of.as_micros() * 1_000_000 / u128::from(rate)).expect("seconds")
                };
                machines.ends = world.now + true_time(lease.left);
                machines.reset = machines.ends + true_time(terms(Flaw::None).watchdog);
                let placed = rows.vms.iter().filter(|(_, (host, _))| *host == id).map(|(vm, _)| *vm);
                if lease.caught_up {
                    machines.running = placed.collect();
                } else {
                    machines.running.retain(|vm| rows.vms.get(vm).is_some_and(|(host, _)| *host == id));
                }
            }
            // A daemon that has just come back finds them running under the lease it had before.
            None if state == HostState::Active && world.now < machines.ends => {}
            None => machines.running.clear(),
        }
        if state != HostState::Active && lease.is_none() {
            let acknowledge = Command::Host(HostCommand::Acknowledge { id, epoch });
            self.ask_once(world, format!("acknowledge {id} {epoch}"), n, acknowledge);
        }
    }

    /// A leader fences who is due, and places the machines of hosts that were fenced.
    fn lead(&mut self, world: &mut World, n: usize) {
        let leads = world.sight(n).is_some_and(|sight| sight.elected);
        let Some(cluster) = world.hosts[n].cluster().filter(|_| leads && !self.hosts[n].hangs) else {
            return;
        };
        let due = self.due.clone();
        world.hosts[n].spawn(async move {
            let found = cluster.to_fence().await.unwrap_or_default();
            due.lock().unwrap().extend(found.into_iter().map(|due| (n, due)));
        });
        let rows = &self.hosts[n].rows;
        let state = |host: &HostId| rows.hosts.get(host).map(|(state, _)| *state);
        let active = |host: &&HostId| state(host) == Some(HostState::Active);
        let targets: Vec<HostId> = rows.hosts.keys().filter(active).copied().collect();
        let lost = rows.vms.iter().filter(|(_, (host, _))| state(host) == Some(HostState::Fenced));
        let lost: Vec<(VmId, u64)> = lost.map(|(vm, (_, epoch))| (*vm, *epoch)).collect();
        for (id, placement_epoch) in lost {
            let Some(host) = world.dice.pick(&targets).copied() else { return };
            let what = format!("place {id} {placement_epoch}");
            if !self.asked.contains_key(&what) {
                self.takeovers += 1;
                let place = Command::Vm(VmCommand::Place { id, host, placement_epoch });
                self.ask_once(world, what, n, place);
            }
        }
    }

    /// Something breaks or is mended; tells how long it stays so.
    fn disturb(&mut self, world: &mut World) -> Range<u64> {
        let n = world.dice.index(world.hosts.len());
        let leader = (0..world.hosts.len()).find(|n| world.sight(*n).is_some_and(|sight| sight.elected));
        let n = leader.filter(|_| world.dice.once_in(4)).unwrap_or(n);
        let others: Vec<usize> = (0..world.hosts.len()).filter(|other| *other != n).collect();
        let what = if std::mem::take(&mut self.fenced) { 9 } else { world.dice.number(0..10) };
        match what {
            0 | 1 if world.hosts[n].is_on() => {
                // The power goes, and its machines with it.
                self.hosts[n] = Machines::default();
                let away = world.dice.number(10_000..15_000_000);
                world.switch_off(n, true, away);
            }
            2 | 3 if world.hosts[n].is_on() => {
                // The daemon goes, and its machines stay.
                self.hosts[n].rows = Rows::default();
                let (cut, away) = (world.dice.once_in(2), world.dice.number(10_000..9_000_000));
                world.switch_off(n, cut, away);
            }
            4 => {
                world.note(&format!("h{n} hangs"));
                self.hosts[n].hangs = true;
            }
            5 | 6 => {
                world.note(&format!("h{n} is cut off"));
                let (hears, speaks) = (world.dice.once_in(3), world.dice.once_in(3));
                for other in others {
                    if hears || !speaks {
                        world.air.cut(n, other);
                    }
                    if speaks || !hears {
                        world.air.cut(other, n);
                    }
                }
                // Often for so long that it is fenced and comes back before it knows.
                self.fenced = world.dice.once_in(2);
                if self.fenced {
                    return 7_000_000..11_000_000;
                }
            }
            7 => {
                let (loss, slowest) = (world.dice.number(0..200), world.dice.number(2..400));
                world.note(&format!("{loss} of 1000 packets get lost, they take up to {slowest} ms"));
                world.air.weather(loss, slowest);
            }
            _ => {
                world.note("the network is mended");
                world.air.heal();
                for host in &mut self.hosts {
                    host.hangs = false;
                }
            }
        }
        300_000..5_000_000
    }
}

impl Rows {
    /// Reads them again when something was applied.
    fn read(&mut self, cluster: &hostd_cluster::Cluster) {
        let applied = *cluster.revision().borrow();
        if self.at == applied {
            return;
        }
        let rows = |sql: &str| cluster.state_sql(sql).expect("the state can be read");
        let state = |text: &str| match text {
            "active" => HostState::Active,
            "fenced" => HostState::Fenced,
            _ => HostState::New,
        };
        let hosts =
            rows("SELECT id, json_extract(spec, '$.state'), json_extract(spec, '$.fence_epoch') FROM host");
        let vms = rows("SELECT id, host, json_extract(spec, '$.placement_epoch') FROM vm");
        let number = |text: &str| text.parse().expect("a number");
        self.hosts = hosts
            .iter()
            .map(|row| (row[0].parse().expect("an id"), (state(&row[1]), number(&row[2]))))
            .collect();
        let vm = |row: &Vec<String>| {
            (row[0].parse().expect("an id"), (row[1].parse().expect("an id"), number(&row[2])))
        };
        self.vms = vms.iter().map(vm).collect();
        self.at = applied;
    }
}
