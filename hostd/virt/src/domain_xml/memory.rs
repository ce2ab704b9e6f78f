//! A machine's memory: how much, of which pages, and how it is divided among the nodes that the guest sees.

use crate::element::{Element, element};
use crate::plan::DomainPlan;

/// The most it can have, what it has when that is less, and the pages it is made of.
pub fn memory(plan: &DomainPlan) -> Vec<Element> {
    let most = plan.headroom.most_memory(plan.memory_mib);
    let size = |name: &'static str, mib: u64| element(name).with("unit", "MiB").saying(mib);
    let mut elements = vec![size("memory", most)];
    if most > plan.memory_mib {
        elements.push(size("currentMemory", plan.memory_mib));
    }
    elements.extend(backing(plan));
    elements
}

/// The pages it is made of, and whether other processes of the host have a part in it. That holds for all of it, whatever
/// nodes it is divided among: a node may say otherwise, and none does.
fn backing(plan: &DomainPlan) -> Option<Element> {
    let huge_pages = plan.options.memory.huge_pages.map(|page| {
        let page = element("page").with("size", page.mib() * 1024).with("unit", "KiB");
        element("hugepages").holding(page)
    });
    // What serves a shared folder reads and writes the guest's memory.
    let shared = (!plan.host.shares.is_empty()).then(|| element("access").with("mode", "shared"));
    if huge_pages.is_none() && shared.is_none() {
        return None;
    }
    let backing = element("memoryBacking").holding_all(huge_pages);
    // From a memfd no file system has to be mounted, for huge pages or for what is shared.
    Some(backing.holding(element("source").with("type", "memfd")).holding_all(shared))
}

/// The memory balloon. What it gives back of huge pages another machine may take, and the guest would die when it wants
/// them again: with huge pages it gives nothing back.
pub fn balloon(plan: &DomainPlan) -> Element {
    let balloon = element("memballoon").with("model", "virtio");
    if plan.options.memory.huge_pages.is_some() { balloon } else { balloon.with("freePageReporting", "on") }
}

/// The nodes that the guest sees; none when it sees one. All CPUs it can ever have are in one of them.
pub fn numa(plan: &DomainPlan) -> Option<Element> {
    let nodes = plan.options.memory.numa_nodes.filter(|nodes| *nodes > 1)?;
    let cpus = plan.headroom.most_cpus(plan.cpus) / nodes;
    let memory = plan.headroom.most_memory(plan.memory_mib) / u64::from(nodes);
    let cell = |id: u32| {
        let (first, last) = (id * cpus, ((id + 1) * cpus).saturating_sub(1));
        let all = if first >= last { first.to_string() } else { format!("{first}-{last}") };
        element("cell").with("id", id).with("cpus", all).with("memory", memory).with("unit", "MiB")
    };
    Some(element("numa").holding_all((0..nodes).map(cell)))
}
