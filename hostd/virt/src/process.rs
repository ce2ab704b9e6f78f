//! QEMU's processes as the kernel counts them: they answer even when QEMU itself is stuck.

use hostd_types::VmId;
use nix::unistd::{SysconfVar, sysconf};
use std::collections::HashMap;
use std::fs;
use std::str::FromStr;

/// One QEMU process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pid: u32,
    /// Clock ticks after boot at which it began; tells a re-used process id apart.
    began: u64,
}

/// What a process used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// CPU time of the virtual CPUs' threads, ns.
    pub(crate) cpu_ns: u64,
    /// Memory it holds, bytes.
    pub(crate) rss: u64,
}

/// The QEMU processes of this machine, by the `-uuid` on their command lines.
pub(crate) fn find() -> HashMap<VmId, Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return HashMap::new() };
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let vm = uuid_in(&line)?;
        Some((vm, Process { pid, began: fields(&format!("/proc/{pid}/stat"))?.began }))
    })
    .collect()
}

fn uuid_in(command_line: &[u8]) -> Option<VmId> {
    let mut words = command_line.split(|b| *b == 0);
    words.find(|w| *w == b"-uuid")?;
    VmId::from_str(std::str::from_utf8(words.next()?).ok()?).ok()
}

impl Process {
    /// What it used so far; none when it is gone.
    pub(crate) fn usage(self) -> Option<Usage> {
        let dir = format!("/proc/{}", self.pid);
        let whole = fields(&format!("{dir}/stat"))?;
        if whole.began != self.began {
            return None;
        }
        let pages: u64 = fs::read_to_string(format!("{dir}/statm")).ok()?.split(' ').nth(1)?.parse().ok()?;
        let ticks = vcpu_ticks(&format!("{dir}/task")).unwrap_or(whole.ticks);
        let per_second = system(SysconfVar::CLK_TCK, 100);
        let cpu_ns = u128::from(ticks) * 1_000_000_000 / u128::from(per_second);
        Some(Usage {
            cpu_ns: u64::try_from(cpu_ns).unwrap_or(u64::MAX),
            rss: pages.saturating_mul(system(SysconfVar::PAGE_SIZE, 4096)),
        })
    }
}

fn system(variable: SysconfVar, usual: u64) -> u64 {
    let value = sysconf(variable).ok().flatten().and_then(|v| u64::try_from(v).ok());
    value.filter(|v| *v > 0).unwrap_or(usual)
}

/// Ticks of the threads that run virtual CPUs (`CPU 0/KVM`, `CPU 0/TCG`); none when they are not named.
fn vcpu_ticks(tasks: &str) -> Option<u64> {
    let threads = fs::read_dir(tasks).ok()?.flatten();
    let ticks: Vec<u64> = threads
        .filter_map(|t| fields(t.path().join("stat").to_str()?))
        .filter(|f| f.name.starts_with("CPU "))
        .map(|f| f.ticks)
        .collect();
    (!ticks.is_empty()).then(|| ticks.iter().sum())
}

struct Fields {
    name: String,
    ticks: u64,
    began: u64,
}

fn fields(path: &str) -> Option<Fields> {
    parse_stat(&fs::read_to_string(path).ok()?)
}

/// Reads a `stat` line; the name in it may hold spaces and parentheses.
fn parse_stat(line: &str) -> Option<Fields> {
    let (open, close) = (line.find('(')?, line.rfind(')')?);
    let rest: Vec<&str> = line.get(close + 1..)?.split_ascii_whitespace().collect();
    let number = |index: usize| rest.get(index)?.parse::<u64>().ok();
    Some(Fields {
        name: line.get(open + 1..close)?.to_owned(),
        ticks: number(11)?.saturating_add(number(12)?),
        began: number(19)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_with_a_strange_name_is_read() {
        let line = "7 (CPU 0/T) x) S 1 7 7 0 -1 4194624 1 0 0 0 250 50 0 0 20 0 4 0 12345 1 2";
        let read = parse_stat(line).expect("a stat line");
        assert_eq!((read.name.as_str(), read.ticks, read.began), ("CPU 0/T) x", 300, 12345));
        for bad in ["", "()", ")(", "7 (x) S"] {
            assert!(parse_stat(bad).is_none());
        }
    }

    #[test]
    fn only_the_uuid_option_names_a_machine() {
        let vm = VmId::new();
        let line = format!("qemu\0-name\0x\0-uuid\0{vm}\0-smp\01\0");
        assert_eq!(uuid_in(line.as_bytes()), Some(vm));
        assert_eq!(uuid_in(format!("grep\0{vm}\0").as_bytes()), None);
        assert_eq!(uuid_in(b"qemu\0-uuid"), None);
    }

    #[test]
    fn this_process_has_a_usage() {
        let began = fields("/proc/self/stat").expect("stat").began;
        let usage = Process { pid: std::process::id(), began }.usage().expect("it runs");
        assert!(usage.rss > 1 << 20);
        assert!(Process { pid: std::process::id(), began: began + 1 }.usage().is_none());
    }
}
