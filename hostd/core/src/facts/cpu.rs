//! Processors, from `/proc/cpuinfo`.

use hostd_types::CpuFacts;
use std::collections::BTreeSet;

/// Reads the text of `/proc/cpuinfo`. Without topology (some virtual machines) every thread counts as a core of one
/// socket.
pub(super) fn parse(text: &str) -> CpuFacts {
    let mut facts = CpuFacts::default();
    let mut sockets = BTreeSet::new();
    let mut cores = BTreeSet::new();
    for block in text.split("\n\n") {
        let field = |name: &str| {
            block.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                (key.trim() == name).then(|| value.trim().to_owned())
            })
        };
        if field("processor").is_none() {
            continue;
        }
        facts.threads += 1;
        if facts.model.is_empty() {
            facts.model = field("model name").unwrap_or_default();
        }
        if let (Some(socket), Some(core)) = (field("physical id"), field("core id")) {
            sockets.insert(socket.clone());
            cores.insert((socket, core));
        }
    }
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    facts.sockets = if sockets.is_empty() { facts.threads.min(1) } else { count(sockets.len()) };
    facts.cores = if cores.is_empty() { facts.threads } else { count(cores.len()) };
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_cores_and_sockets_are_told_apart() {
        let cpu = |n: u32, socket: u32, core: u32| {
            format!(
                "processor\t: {n}\nmodel name\t: Fast CPU\nphysical id\t: {socket}\ncore id\t\t: {core}\n"
            )
        };
        let text = [cpu(0, 0, 0), cpu(1, 0, 0), cpu(2, 0, 1), cpu(3, 1, 0)].join("\n");
        let facts = parse(&text);
        assert_eq!((facts.threads, facts.cores, facts.sockets), (4, 3, 2));
        assert_eq!(facts.model, "Fast CPU");
        let bare = parse("processor : 0\n\nprocessor : 1\n");
        assert_eq!((bare.threads, bare.cores, bare.sockets), (2, 2, 1));
        assert_eq!(parse(""), CpuFacts::default());
    }
}
