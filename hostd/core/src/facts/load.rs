//! The host's load: counters of the kernel and the rates between two looks at them.

use hostd_types::HostSample;
use std::path::Path;
use std::time::Instant;

/// The kernel's counters at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counters {
    at: Instant,
    busy: u64,
    all: u64,
    memory_used: u64,
    rx: u64,
    tx: u64,
}

impl Counters {
    /// Reads them now.
    pub fn read() -> Self {
        let root = Path::new("/");
        let read = |path| super::text(root, path).unwrap_or_default();
        let (busy, all) = cpu(&read("proc/stat"));
        let (total, available) = memory(&read("proc/meminfo"));
        let physical = |name: &str| root.join("sys/class/net").join(name).join("device").exists();
        let (rx, tx) = links(&read("proc/net/dev"), physical);
        Self { at: Instant::now(), busy, all, memory_used: total.saturating_sub(available), rx, tx }
    }
}

/// The load between two looks.
pub(crate) fn rates(before: &Counters, now: &Counters, unix: i64) -> HostSample {
    let seconds = now.at.saturating_duration_since(before.at).as_secs_f64().max(0.001);
    let per_second = |a: u64, b: u64| b.saturating_sub(a) as f64 / seconds;
    let all = now.all.saturating_sub(before.all).max(1) as f64;
    HostSample {
        at: unix,
        cpu: (now.busy.saturating_sub(before.busy) as f64 / all).clamp(0.0, 1.0),
        memory_used: now.memory_used,
        rx_bps: per_second(before.rx, now.rx),
        tx_bps: per_second(before.tx, now.tx),
    }
}

/// Busy and all ticks of `/proc/stat`. Time of guests is part of user time already.
fn cpu(stat: &str) -> (u64, u64) {
    let line = stat.lines().find(|line| line.starts_with("cpu ")).unwrap_or_default();
    let ticks: Vec<u64> = line.split_whitespace().skip(1).take(8).filter_map(|n| n.parse().ok()).collect();
    let all: u64 = ticks.iter().sum();
    let idle: u64 = ticks.iter().skip(3).take(2).sum();
    (all.saturating_sub(idle), all)
}

/// Total and available bytes of `/proc/meminfo`.
pub(super) fn memory(meminfo: &str) -> (u64, u64) {
    let field = |name: &str| -> u64 {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|rest| rest.split_whitespace().next()).and_then(|n| n.parse::<u64>().ok());
        kib.unwrap_or_default() << 10
    };
    (field("MemTotal:"), field("MemAvailable:"))
}

/// Received and sent bytes of the links that `counted` accepts, from `/proc/net/dev`.
fn links(dev: &str, counted: impl Fn(&str) -> bool) -> (u64, u64) {
    dev.lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| counted(name.trim()))
        .map(|(_, numbers)| {
            let numbers: Vec<u64> = numbers.split_whitespace().filter_map(|n| n.parse().ok()).collect();
            (numbers.first().copied().unwrap_or_default(), numbers.get(8).copied().unwrap_or_default())
        })
        .fold((0, 0), |sum, (rx, tx)| (sum.0 + rx, sum.1 + tx))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_texts_are_read() {
        assert_eq!(cpu("cpu  10 0 20 60 10 0 0 0 5 0\ncpu0 1 2\n"), (30, 100));
        assert_eq!(cpu(""), (0, 0));
        assert_eq!(
            memory("MemTotal:  2048 kB\nMemFree: 1 kB\nMemAvailable:   1024 kB\n"),
            (2 << 20, 1 << 20)
        );
        let dev = "Inter-| Receive\n face |bytes\n  eth0: 100 1 0 0 0 0 0 0 50 1 0 0 0 0 0 0\n    lo: 7 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n";
        assert_eq!(links(dev, |name| name == "eth0"), (100, 50));
    }

    #[test]
    fn this_machine_has_memory_and_time_passes() {
        let before = Counters::read();
        let now = Counters::read();
        let sample = rates(&before, &now, 5);
        assert!(sample.memory_used > 0 && (0.0..=1.0).contains(&sample.cpu) && sample.rx_bps >= 0.0);
    }
}
