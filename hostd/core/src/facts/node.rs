//! NUMA nodes and the huge pages set aside on each, from `/sys/devices/system/node`.

use hostd_types::{HugePages, MemoryNode};
use std::path::Path;

/// Most nodes that are looked at.
const NODES_MAX: usize = 1024;

/// The machine's nodes, by number; none when the kernel knows of none.
pub(super) fn list(sys: &Path) -> Vec<MemoryNode> {
    let Ok(entries) = std::fs::read_dir(sys.join("devices/system/node")) else { return Vec::new() };
    let names = entries.take(NODES_MAX).filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut nodes: Vec<MemoryNode> = names.filter_map(|name| read(sys, &name)).collect();
    nodes.sort_by_key(|node| node.id);
    nodes
}

fn read(sys: &Path, name: &str) -> Option<MemoryNode> {
    let id = name.strip_prefix("node")?.parse().ok()?;
    let dir = format!("devices/system/node/{name}");
    let text = |path: &str| super::text(sys, &format!("{dir}/{path}"));
    let memory = text("meminfo")?;
    let total = memory.lines().find(|line| line.contains("MemTotal:"))?.split_whitespace().rev().nth(1)?;
    let pools = std::fs::read_dir(sys.join(&dir).join("hugepages")).into_iter().flatten();
    let pools = pools.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut huge_pages: Vec<HugePages> = pools
        .filter_map(|pool| {
            let size_kib = pool.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
            let number = |file: &str| text(&format!("hugepages/{pool}/{file}"))?.parse().ok();
            Some(HugePages { size_kib, total: number("nr_hugepages")?, free: number("free_hugepages")? })
        })
        .collect();
    huge_pages.sort_by_key(|pages| pages.size_kib);
    Some(MemoryNode {
        id,
        cpus: text("cpulist").unwrap_or_default(),
        memory_bytes: total.parse::<u64>().ok()?.saturating_mul(1024),
        huge_pages,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_read_in_their_order_with_their_huge_pages() {
        let dir = tempfile::tempdir().expect("directory");
        let put = |path: &str, text: &str| {
            let path = dir.path().join("devices/system/node").join(path);
            std::fs::create_dir_all(path.parent().expect("parent")).expect("directory");
            std::fs::write(path, text).expect("file");
        };
        for (node, kib) in [("node10", "1024"), ("node2", "2048")] {
            put(
                &format!("{node}/meminfo"),
                &format!("Node 2 MemTotal:       {kib} kB\nNode 2 MemFree: 1 kB\n"),
            );
            put(&format!("{node}/cpulist"), "0-3,8\n");
        }
        put("node2/hugepages/hugepages-2048kB/nr_hugepages", "512\n");
        put("node2/hugepages/hugepages-2048kB/free_hugepages", "500\n");
        put("node2/hugepages/hugepages-xkB/free_hugepages", "1\n");
        put("node3/meminfo", "rubbish\n");
        put("online", "0-1\n");
        let nodes = list(dir.path());
        assert_eq!(
            nodes.iter().map(|node| (node.id, node.memory_bytes)).collect::<Vec<_>>(),
            [(2, 2 << 20), (10, 1 << 20)]
        );
        assert_eq!(nodes[0].huge_pages, [HugePages { size_kib: 2048, total: 512, free: 500 }]);
        assert_eq!((nodes[0].cpus.as_str(), nodes[1].huge_pages.len()), ("0-3,8", 0));
        assert_eq!(list(Path::new("/nonexistent")), []);
    }
}
