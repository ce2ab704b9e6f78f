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
    History { trace: world.trace(), violations: world.book.violations }
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
            for vm in has.keys().filter(|vm| !machines.contains_key(vm)) {
                world.book.violations.push(format!("{node}: machine {vm} should not be there"));
            }
        }
    }
}

/// Something breaks, or is mended, or somebody comes or goes.
fn disturb(world: &mut World) {
    let n = world.dice.index(world.hosts.len());
    let others: Vec<usize> = (0..world.hosts.len()).filter(|other| *other != n).collect();
    match world.dice.number(0..16) {
        0..4 => {
            let leader = (0..world.hosts.len()).find(|n| world.sight(*n).is_some_and(|s| s.elected));
            let n = leader.filter(|_| world.dice.once_in(3)).unwrap_or(n);
            if world.hosts[n].is_on() {
                let cut = !world.dice.once_in(4);
                let away = world.dice.number(10_000..5_000_000);
                world.switch_off(n, cut, away);
            }
        }
        4 => {
            // A whole part of the hosts loses the other part.
            let split: Vec<bool> = world.hosts.iter().map(|_| world.dice.once_in(2)).collect();
            world.note(&format!("the network splits {split:?}"));
            for from in 0..split.len() {
                for to in (0..split.len()).filter(|to| split[from] != split[*to]) {
                    world.air.cut(from, to);
                }
            }
        }
        5 | 6 => {
            world.note(&format!("h{n} is cut off"));
            let (hears, speaks) = (world.dice.once_in(2), world.dice.once_in(2));
            for other in others {
                if hears || !speaks {
                    world.air.cut(n, other);
                }
                if speaks || !hears {
                    world.air.cut(other, n);
                }
            }
        }
        7 => {
            if let Some(other) = world.dice.pick(&others).copied() {
                world.note(&format!("h{n} does not reach h{other}"));
                world.air.cut(n, other);
            }
        }
        8 => {
            let (loss, slowest) = (world.dice.number(0..300), world.dice.number(2..300));
            world.note(&format!("{loss} of 1000 packets get lost, they take up to {slowest} ms"));
            world.air.weather(loss, slowest);
        }
        9 => {
            let slow = world.dice.number(5..900);
            world.note(&format!("the disk of h{n} takes up to {slow} ms"));
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
        _ => {}
    }
}
