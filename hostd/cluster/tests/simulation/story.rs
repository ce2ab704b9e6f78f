//! What happens in a history, as its seed decides.

use super::asks;
use super::moves::Way;
use super::platter::GOOD;
use super::world::World;
use super::{Flaw, History};
use hostd_types::*;
use std::collections::BTreeMap;
use std::path::Path;

/// Time for hosts to form a cluster, for the middle, and to come to rest in the end, in microseconds.
const BEGINNING: u64 = 120_000_000;
const MIDDLE: u64 = 7_000_000;
const END: u64 = 120_000_000;
/// Most requests under way at once.
const CLIENTS: usize = 4;

/// Lets it happen.
pub fn tell(seed: u64, flaw: Flaw, talk: bool, root: &Path) -> History {
    hostd_cluster::simulation::seed(seed);
    let count = [3, 5, 3, 3, 5, 3, 9, 3][usize::try_from(seed % 8).expect("small")];
    let mut world = World::new(seed, flaw, talk, root, count);
    let mut story = Story { vms: Vec::new(), clients: Vec::new(), named: 0 };
    if begin(&mut world, count) {
        story.middle(&mut world);
        story.end(&mut world);
    }
    let sizes = match count {
        3 => "histories of 3 hosts",
        5 => "histories of 5 hosts",
        _ => "histories of 9 hosts",
    };
    world.tally.add(sizes);
    world.book.count(&world.tally);
    let happened = world.tally.counts();
    History { trace: world.trace(), violations: world.book.violations, happened }
}

/// Hosts form a cluster; false when they don't.
pub fn begin(world: &mut World, count: usize) -> bool {
    for n in 0..count {
        world.switch_on(n);
    }
    let open = |world: &World| (0..count).all(|n| world.sight(n).is_some_and(|sight| sight.elected));
    let mut whole = until(world, "all are open", BEGINNING, |_| {}, open);
    for n in 0..count {
        world.found(n);
    }
    whole = whole
        && until(world, "all have founded", BEGINNING, |_| {}, |world| world.ways.iter().all(Way::rests));
    // Some come later, or never.
    let members = 3.max(count - world.dice.index(3));
    for n in 1..members.min(count) {
        world.join(n);
    }
    whole
        && until(
            world,
            "they are a cluster",
            BEGINNING,
            |_| {},
            |world| world.ways.iter().all(Way::rests) && settled(world),
        )
}

/// Lets time pass until `holds`; a violation when that takes longer than `within`.
pub fn until(
    world: &mut World,
    what: &str,
    within: u64,
    mut each: impl FnMut(&mut World),
    holds: impl Fn(&World) -> bool,
) -> bool {
    let deadline = world.now + within;
    while world.book.violations.is_empty() {
        if holds(world) {
            return true;
        }
        if world.now > deadline {
            let stand: Vec<String> =
                (0..world.hosts.len()).map(|n| format!("{:?} {:?}", world.ways[n], world.sight(n))).collect();
            world.book.violated(format!("in vain it was waited that {what}: {stand:#?}"));
        }
        each(world);
        world.step();
    }
    false
}

/// All members have the same, and the membership is what the hosts' rows say.
fn settled(world: &World) -> bool {
    let members: Vec<usize> = (0..world.hosts.len()).filter(|n| world.ways[*n] == Way::Member).collect();
    let sights: Vec<_> = members.iter().filter_map(|n| world.sight(*n)).collect();
    if sights.len() != members.len() || sights.iter().filter(|sight| sight.elected).count() != 1 {
        return false;
    }
    let applied = sights[0].applied;
    let mut nodes: Vec<NodeId> = members.iter().map(|n| world.hosts[*n].node()).collect();
    nodes.sort();
    // An odd number votes, five at most.
    let voters = (nodes.len() - 1 + nodes.len() % 2).min(5);
    sights.iter().all(|sight| {
        (sight.applied, sight.last, sight.joint) == (applied, applied, false)
            && sight.members.iter().filter(|(_, votes)| *votes).count() == voters
            && sight.members.iter().map(|(node, _)| *node).eq(nodes.iter().copied())
    })
}

struct Story {
    /// Machines that were made or will be.
    vms: Vec<VmId>,
    /// Requests under way.
    clients: Vec<usize>,
    named: u64,
}

impl Story {
    /// Things break while others are asked for.
    fn middle(&mut self, world: &mut World) {
        let end = world.now + MIDDLE;
        let mut next = world.now;
        while world.now < end && world.book.violations.is_empty() {
            if world.now >= next {
                disturb(world);
                next = world.now + world.dice.number(30_000..1_200_000);
            }
            self.ask(world);
            world.step();
        }
    }

    /// Keeps some requests under way.
    fn ask(&mut self, world: &mut World) {
        self.clients.retain(|ask| world.asks[*ask].end.is_none());
        if self.clients.len() >= CLIENTS || !world.dice.once_in(6) {
            return;
        }
        self.named += 1;
        let vm = world.dice.pick(&self.vms).copied().filter(|_| !world.dice.once_in(5));
        let command = match vm {
            None => {
                let members: Vec<usize> =
                    (0..world.hosts.len()).filter(|n| world.ways[*n] == Way::Member).collect();
                let Some(host) = world.dice.pick(&members) else { return };
                let vm = VmId::from_uuid(world.dice.uuid());
                self.vms.push(vm);
                asks::create(vm, world.hosts[*host].id, format!("vm{}", self.named))
            }
            Some(vm) if world.dice.once_in(4) => {
                let state = if self.named.is_multiple_of(2) { VmState::Running } else { VmState::Off };
                asks::report(vm, state)
            }
            Some(vm) => asks::edit(vm, format!("text {}", self.named)),
        };
        self.clients.push(world.ask(command));
    }

    /// Everything is mended and must come to rest, with everything in it that was promised.
    fn end(&mut self, world: &mut World) {
        world.note("everything is mended");
        world.air.heal();
        for host in &mut world.hosts {
            host.platter.takes(GOOD);
            host.returns = host.returns.map(|_| world.now);
            host.go_on(world.now);
            host.wrong = 0;
        }
        let rests = |world: &World| {
            world.ways.iter().all(Way::rests)
                && world.asks.iter().all(|ask| ask.end.is_some())
                && settled(world)
        };
        if !until(world, "all came to rest", END, |_| {}, rests) {
            return;
        }
        let machines = world.book.machines(&world.asks);
        for (n, cluster) in world.members() {
            let node = world.hosts[n].node();
            world.compare_state(node, &cluster);
            let sql = "SELECT vm.id, json_extract(spec, '$.description'), \
                       (SELECT count(*) FROM event WHERE subject = vm.id AND action = 'vm.edit') FROM vm";
            let rows = cluster.state_sql(sql).expect("the state can be read");
            let has: BTreeMap<VmId, (u64, String)> = rows
                .into_iter()
                .map(|row| {
                    (row[0].parse().expect("an id"), (row[2].parse().expect("a count"), row[1].clone()))
                })
                .collect();
            for (vm, wanted) in machines.iter().filter(|(vm, wanted)| has.get(vm) != Some(*wanted)) {
                let found = has.get(vm);
                world
                    .book
                    .violations
                    .push(format!("{node}: machine {vm} should be {wanted:?} and is {found:?}"));
            }
            let sql = "SELECT id FROM request WHERE json_extract(outcome, '$.refused') IS NULL";
            for row in cluster.state_sql(sql).expect("the state can be read") {
                let request: RequestId = row[0].parse().expect("an id");
                if world.book.turned_down.contains(&request) {
                    world
                        .book
                        .violations
                        .push(format!("{node}: {request} was refused, and acted after that"));
                }
            }
            for vm in has.keys().filter(|vm| !machines.contains_key(vm)) {
                world.book.violations.push(format!("{node}: machine {vm} should not be there"));
            }
        }
    }
}

/// Something breaks, or is mended, or somebody comes or goes.
fn disturb(world: &mut World) {
    let n = world.dice.index(world.hosts.len());
    match world.dice.number(0..20) {
        0..4 => go_off(world, n),
        4 => split(world),
        5 | 6 => cut_off(world, n),
        7 => cut_one_way(world, n),
        8 => {
            let (loss, slowest) = (world.dice.number(0..300), world.dice.number(2..300));
            world.note(&format!("{loss} of 1000 packets get lost, they take up to {slowest} ms"));
            world.tally.add("bad networks");
            world.air.weather(loss, slowest);
        }
        9 => {
            let slow = world.dice.number(5..900);
            world.note(&format!("the disk of h{n} takes up to {slow} ms"));
            world.tally.add("slow disks");
            world.hosts[n].platter.takes(0..slow);
        }
        10..13 => {
            world.note("the network is mended");
            world.air.heal();
        }
        13 => world.hosts[n].platter.takes(GOOD),
        14 if world.ways[n] == Way::Alone => world.join(n),
        15 if world.ways[n] == Way::Member => {
            let members = world.ways.iter().filter(|way| way.inside()).count();
            let away = world.hosts[n].returns.is_some_and(|at| at > world.now + 1_000_000);
            // With fewer than four the one that is off may be the one that votes.
            if world.hosts[n].is_on() || away && members > 3 {
                world.remove(n);
            }
        }
        16..19 => stand_still(world, n),
        19 => {
            // A clock set by hand, or a battery that is empty.
            let wrong = [-315_360_000, -3600, 0, 3600, 315_360_000][world.dice.index(5)];
            world.note(&format!("the clock of h{n} is wrong by {wrong} s"));
            world.tally.add("clocks that jumped");
            world.hosts[n].wrong = wrong;
        }
        _ => {}
    }
}

/// The leader, or host `n`, loses its power or is stopped.
fn go_off(world: &mut World, n: usize) {
    let leader = (0..world.hosts.len()).find(|n| world.sight(*n).is_some_and(|s| s.elected));
    let n = leader.filter(|_| world.dice.once_in(3)).unwrap_or(n);
    if world.hosts[n].is_on() {
        let cut = !world.dice.once_in(4);
        let away = world.dice.number(10_000..5_000_000);
        world.switch_off(n, cut, away);
    }
}

/// A whole part of the hosts loses the other part.
fn split(world: &mut World) {
    let split: Vec<bool> = world.hosts.iter().map(|_| world.dice.once_in(2)).collect();
    world.note(&format!("the network splits {split:?}"));
    world.tally.add("networks that split");
    for from in 0..split.len() {
        for to in (0..split.len()).filter(|to| split[from] != split[*to]) {
            world.air.cut(from, to);
        }
    }
}

/// Host `n` hears nobody, or is heard by nobody, or both.
fn cut_off(world: &mut World, n: usize) {
    world.note(&format!("h{n} is cut off"));
    let (hears, speaks) = (world.dice.once_in(2), world.dice.once_in(2));
    world.tally.add(if hears == speaks { "hosts cut off" } else { "hosts cut off one way" });
    for other in (0..world.hosts.len()).filter(|other| *other != n) {
        if hears || !speaks {
            world.air.cut(n, other);
        }
        if speaks || !hears {
            world.air.cut(other, n);
        }
    }
}

/// Host `n` does not reach another one, which reaches it.
fn cut_one_way(world: &mut World, n: usize) {
    let others: Vec<usize> = (0..world.hosts.len()).filter(|other| *other != n).collect();
    if let Some(other) = world.dice.pick(&others).copied() {
        world.note(&format!("h{n} does not reach h{other}"));
        world.tally.add("ways cut one way");
        world.air.cut(n, other);
    }
}

/// Host `n` does nothing for a while: its process is stopped, or the machine sleeps.
fn stand_still(world: &mut World, n: usize) {
    if !world.hosts[n].is_on() {
        return;
    }
    let (sleeps, until) = (world.dice.once_in(3), world.now + world.dice.number(100_000..6_000_000));
    world.note(&format!("h{n} {}", if sleeps { "sleeps" } else { "stands still" }));
    world.tally.add(if sleeps { "machines that slept" } else { "processes that stood still" });
    let now = world.now;
    world.hosts[n].stand_still(now, until, sleeps);
}
