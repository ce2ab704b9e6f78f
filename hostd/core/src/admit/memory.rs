//! Rules for what a machine's memory is made of, when it is asked for and again when the machine starts.

use super::Fields;
use crate::snapshot::Snapshot;
use hostd_types::*;
use hostd_virt::Offer;

const HUGE_PAGES: &str = "/options/memory/huge_pages";
const NUMA_NODES: &str = "/options/memory/numa_nodes";

/// What is divided among pages and nodes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub cpus: u32,
    pub memory_mib: u64,
    pub headroom: Headroom,
}

/// Checks the memory of a machine that will have this size.
pub(super) fn check(wrong: &mut Fields, backing: MemoryBacking, size: Size, now: &Snapshot) {
    let MemoryBacking { huge_pages, numa_nodes } = backing;
    if let Some(page) = huge_pages {
        wrong.check(HUGE_PAGES, check_pages(page, size.memory_mib, now));
        let fixed = format!(
            "Huge pages of {} are taken whole at the start: the memory neither grows nor shrinks while it runs. Leave this \
             empty, or choose no huge pages.",
            page.label()
        );
        let Headroom { cpus_max: _, memory_max_mib, memory_min_mib } = size.headroom;
        for (field, limit) in [("memory_max_mib", memory_max_mib), ("memory_min_mib", memory_min_mib)] {
            if limit.is_some_and(|limit| limit != size.memory_mib) {
                wrong.add(format!("/headroom/{field}"), fixed.clone());
            }
        }
    }
    if let Some(nodes) = numa_nodes {
        wrong.check(NUMA_NODES, check_nodes(nodes, huge_pages, size));
    }
}

/// What its memory is made of, when something changes that it depends on.
pub(super) fn check_edit(wrong: &mut Fields, has: &VmSpec, edit: &EditVm, now: &Snapshot) {
    let size = Size {
        cpus: edit.cpus.unwrap_or(has.cpus),
        memory_mib: edit.memory_mib.unwrap_or(has.memory_mib),
        headroom: edit.headroom.unwrap_or(has.hardware.headroom),
    };
    let backing = edit.options.as_ref().unwrap_or(&has.options).memory;
    let same =
        (size.cpus, size.memory_mib, size.headroom) == (has.cpus, has.memory_mib, has.hardware.headroom);
    if !same || backing != has.options.memory {
        check(wrong, backing, size, now);
    }
}

fn check_pages(page: HugePageSize, memory_mib: u64, now: &Snapshot) -> Result<(), String> {
    if let Some(why) = now.offers.refusal(Offer::HugePages) {
        return Err(format!("This host can't give huge pages: {why}. Choose none."));
    }
    if !memory_mib.is_multiple_of(page.mib()) {
        let below = memory_mib / page.mib() * page.mib();
        let fits = match below {
            0 => format!("{}", page.mib()),
            below => format!("{below} or {}", below + page.mib()),
        };
        return Err(format!(
            "The machine has {memory_mib} MiB, which is no multiple of {}: give it {fits} MiB, or choose no huge pages.",
            page.label()
        ));
    }
    let (total, _) = set_aside(&now.nodes, page);
    if total.saturating_mul(page.mib()) < memory_mib {
        return Err(format!(
            "{}, and the machine needs {}. Set more aside on the host, give the machine less memory, or choose no huge pages.",
            has(total, page),
            memory_mib / page.mib()
        ));
    }
    Ok(())
}

fn has(total: u64, page: HugePageSize) -> String {
    match total {
        0 => format!("This host has set aside no huge pages of {}", page.label()),
        total => format!("This host has set aside {total} huge pages of {}", page.label()),
    }
}

fn check_nodes(nodes: u32, page: Option<HugePageSize>, size: Size) -> Result<(), String> {
    if !(2..=NUMA_NODES_MAX).contains(&nodes) {
        return Err(format!("Give 2 to {NUMA_NODES_MAX} nodes, or leave it empty for one."));
    }
    let cpus = size.headroom.most_cpus(size.cpus);
    if !cpus.is_multiple_of(nodes) {
        return Err(format!(
            "{cpus} CPUs (the most it can have) can't be shared out evenly over {nodes} nodes: their number must be a \
             multiple of {nodes}."
        ));
    }
    let memory = size.headroom.most_memory(size.memory_mib);
    let unit = page.map_or(1, HugePageSize::mib).saturating_mul(u64::from(nodes));
    if !memory.is_multiple_of(unit) {
        return Err(format!(
            "{memory} MiB (the most it can have) can't be shared out evenly over {nodes} nodes: the memory must be a multiple \
             of {unit} MiB."
        ));
    }
    Ok(())
}

/// Huge pages of this size: all that are set aside, and those nobody uses.
fn set_aside(nodes: &[MemoryNode], page: HugePageSize) -> (u64, u64) {
    let kib = page.mib() * 1024;
    let pools = nodes.iter().flat_map(|node| &node.huge_pages).filter(|pages| pages.size_kib == kib);
    pools.fold((0, 0), |(total, free), pages| (total + pages.total, free + pages.free))
}

/// The host has the memory that the machine starts with.
///
/// # Errors
/// What it lacks, with the way out.
pub(crate) fn check_start(spec: &VmSpec, nodes: &[MemoryNode]) -> Result<(), String> {
    let Some(page) = spec.options.memory.huge_pages else { return Ok(()) };
    let needed = spec.hardware.headroom.most_memory(spec.memory_mib).div_ceil(page.mib());
    let (total, free) = set_aside(nodes, page);
    if free >= needed {
        return Ok(());
    }
    Err(format!(
        "{}, of which {free} are free, and {} needs {needed}. Set more aside on the host, switch off another machine that uses \
         them, or choose no huge pages.",
        has(total, page),
        spec.name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::sample;
    use hostd_virt::Offers;

    fn host() -> Snapshot {
        let node = |id, total| MemoryNode {
            id,
            huge_pages: vec![
                HugePages { size_kib: 2048, total, free: 10 },
                HugePages { size_kib: 1 << 20, total: 0, free: 0 },
            ],
            ..MemoryNode::default()
        };
        Snapshot { nodes: vec![node(0, 100), node(1, 156)], ..Snapshot::default() }
    }

    fn told(backing: MemoryBacking, size: Size, now: &Snapshot) -> Vec<(String, String)> {
        let mut wrong = Fields::default();
        check(&mut wrong, backing, size, now);
        let errors = wrong.done().err().map(|problem| problem.errors).unwrap_or_default();
        errors.into_iter().map(|e| (e.pointer, e.detail)).collect()
    }

    fn size(cpus: u32, memory_mib: u64) -> Size {
        Size { cpus, memory_mib, headroom: Headroom::default() }
    }

    fn pages(page: HugePageSize) -> MemoryBacking {
        MemoryBacking { huge_pages: Some(page), numa_nodes: None }
    }

    #[test]
    fn huge_pages_are_whole_there_and_fixed() {
        let of = |page, size| told(pages(page), size, &host());
        assert_eq!(of(HugePageSize::TwoMib, size(1, 512)), []);
        for (page, mib, said) in [
            (HugePageSize::TwoMib, 511, "give it 510 or 512 MiB"),
            (HugePageSize::OneGib, 512, "give it 1024 MiB"),
            (HugePageSize::TwoMib, 514, "has set aside 256 huge pages of 2 MiB, and the machine needs 257"),
            (HugePageSize::OneGib, 1024, "has set aside no huge pages of 1 GiB, and the machine needs 1"),
        ] {
            let told = of(page, size(1, mib));
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].0 == HUGE_PAGES && told[0].1.contains(said), "{told:?}");
        }
        let headroom = Headroom { cpus_max: Some(4), memory_max_mib: Some(512), memory_min_mib: Some(64) };
        let told = of(HugePageSize::TwoMib, Size { headroom, ..size(1, 256) });
        let at: Vec<&str> = told.iter().map(|(at, _)| at.as_str()).collect();
        assert_eq!(at, ["/headroom/memory_max_mib", "/headroom/memory_min_mib"]);
        let offers = Offers::default().without(Offer::HugePages, "it is not there");
        let told = self::told(pages(HugePageSize::TwoMib), size(1, 2), &Snapshot { offers, ..host() });
        assert!(told[0].1.contains("it is not there"), "{told:?}");
    }

    #[test]
    fn nodes_get_whole_shares_of_cpus_memory_and_pages() {
        let of = |nodes, page, size| {
            let told = told(MemoryBacking { huge_pages: page, numa_nodes: Some(nodes) }, size, &host());
            told.into_iter().map(|(at, _)| at).collect::<Vec<_>>()
        };
        assert_eq!(of(2, None, size(4, 256)), Vec::<String>::new());
        assert_eq!(of(2, Some(HugePageSize::TwoMib), size(2, 256)), Vec::<String>::new());
        for (nodes, page, size) in [
            (1, None, size(4, 256)),
            (17, None, size(34, 3400)),
            (2, None, size(3, 256)),
            (2, None, size(2, 255)),
            (2, Some(HugePageSize::TwoMib), size(2, 254)),
        ] {
            assert_eq!(of(nodes, page, size), [NUMA_NODES], "{nodes} {size:?}");
        }
        let headroom = Headroom { cpus_max: Some(4), ..Headroom::default() };
        assert_eq!(of(2, None, Size { headroom, ..size(3, 256) }), Vec::<String>::new(), "most CPUs count");
    }

    #[test]
    fn a_start_takes_what_is_free() {
        let mut spec = sample::vm("web").spec;
        (spec.memory_mib, spec.options.memory) = (40, pages(HugePageSize::TwoMib));
        check_start(&spec, &host().nodes).expect("20 are free");
        spec.memory_mib = 42;
        let why = check_start(&spec, &host().nodes).expect_err("20 are free");
        assert!(why.contains("256 huge pages of 2 MiB, of which 20 are free, and web needs 21"), "{why}");
        spec.options.memory.huge_pages = None;
        check_start(&spec, &[]).expect("ordinary memory");
    }
}
