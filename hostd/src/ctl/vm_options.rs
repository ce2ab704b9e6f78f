//! Options of a machine's hardware, its disks and its cards, as `qx` takes them.

use super::{Session, Stop, output, size};
use clap::{Args, ValueEnum};
use hostd_types::*;
use serde_json::Value;

/// A name of a list of the API, where the command line takes its words.
fn named<T>(all: &'static [T], of: fn(&T) -> &'static str, word: &str) -> Result<T, String>
where
    T: Copy,
{
    let known = || all.iter().map(of).collect::<Vec<_>>().join(", ");
    all.iter().copied().find(|choice| of(choice) == word).ok_or_else(|| format!("known are {}", known()))
}

fn video(word: &str) -> Result<VideoModel, String> {
    named(VideoModel::ALL, |choice| choice.as_str(), word)
}

fn crash(word: &str) -> Result<OnCrash, String> {
    named(OnCrash::ALL, |choice| choice.as_str(), word)
}

fn watchdog_model(word: &str) -> Result<WatchdogModel, String> {
    named(WatchdogModel::ALL, |choice| choice.as_str(), word)
}

fn huge_pages(word: &str) -> Result<Wrapped<HugePageSize>, String> {
    if word == "off" {
        return Ok(Wrapped(None));
    }
    let size = named(HugePageSize::ALL, |choice| choice.as_str(), word);
    size.map(|size| Wrapped(Some(size))).map_err(|why| format!("{why}, off"))
}

fn cache(word: &str) -> Result<DiskCache, String> {
    named(DiskCache::ALL, |choice| choice.as_str(), word)
}

fn io(word: &str) -> Result<DiskIo, String> {
    named(DiskIo::ALL, |choice| choice.as_str(), word)
}

/// What a watchdog does, or that there is none.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum WatchdogChoice {
    Off,
    Reset,
    Poweroff,
    Pause,
    Dump,
    None,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OnOff {
    On,
    Off,
}

/// Options of a machine.
#[derive(Debug, Args)]
pub struct Machine {
    /// A TPM 2.0 of its own
    #[arg(long, value_enum)]
    tpm: Option<OnOff>,
    /// Weight of its processor time, 1 to 10000; 0 for the default
    #[arg(long)]
    cpu_shares: Option<u32>,
    /// Most processor time, percent of one CPU thread of the host; 0 for no limit
    #[arg(long, value_name = "PERCENT")]
    cpu_limit: Option<u32>,
    /// Processor time set aside, percent of one CPU thread of the host; 0 for none
    #[arg(long, value_name = "PERCENT")]
    cpu_reservation: Option<u32>,
    /// Serial ports beside the first one
    #[arg(long)]
    serial_ports: Option<u32>,
    /// A virtio-serial channel beside the guest agent's (may be repeated; one empty name for none)
    #[arg(long = "channel")]
    channels: Vec<String>,
    /// A source of random numbers
    #[arg(long, value_enum)]
    rng: Option<OnOff>,
    /// Most bytes a second that it gives; 0 for no limit
    #[arg(long, value_name = "BYTES")]
    rng_rate: Option<u32>,
    /// A watchdog and what it does, or off for no watchdog
    #[arg(long, value_enum)]
    watchdog: Option<WatchdogChoice>,
    /// Which watchdog: i6300esb or itco
    #[arg(long, value_parser = watchdog_model)]
    watchdog_model: Option<WatchdogModel>,
    /// Graphics card: vga, virtio, qxl or none
    #[arg(long, value_parser = video)]
    video: Option<VideoModel>,
    /// Its memory, MiB; 0 for the default
    #[arg(long, value_name = "MIB")]
    video_memory: Option<u32>,
    /// Its screens; 0 for the default
    #[arg(long)]
    screens: Option<u32>,
    /// What happens when the guest panics: off, restart, keep or dump
    #[arg(long, value_parser = crash)]
    on_crash: Option<OnCrash>,
    /// Huge pages that its memory is made of: 2mib, 1gib, or off for none
    #[arg(long, value_name = "SIZE", value_parser = huge_pages)]
    huge_pages: Option<Wrapped<HugePageSize>>,
    /// NUMA nodes that the guest sees, which share CPUs and memory evenly; 0 for one
    #[arg(long, value_name = "NODES")]
    numa_nodes: Option<u32>,
}

/// What was named, over what is there; 0 takes it away.
fn or(given: Option<u32>, now: Option<u32>) -> Option<u32> {
    given.map_or(now, |given| Some(given).filter(|given| *given != 0))
}

impl Machine {
    /// What was named, over what the machine at `path` has; nothing when nothing was.
    pub async fn wanted(&self, session: &Session, path: &str) -> Result<Option<VmOptions>, Stop> {
        if !self.is_given() {
            return Ok(None);
        }
        let detail: Value = session.client.get(path).await?;
        let now: Vm = output::typed(detail["vm"].clone())?;
        Ok(Some(self.over(now.spec.options)))
    }
    /// Something was named.
    fn is_given(&self) -> bool {
        let numbers = [
            self.cpu_shares,
            self.cpu_limit,
            self.cpu_reservation,
            self.serial_ports,
            self.rng_rate,
            self.video_memory,
            self.screens,
            self.numa_nodes,
        ];
        numbers.iter().any(Option::is_some)
            || !self.channels.is_empty()
            || self.tpm.is_some()
            || self.rng.is_some()
            || self.watchdog.is_some()
            || self.watchdog_model.is_some()
            || self.video.is_some()
            || self.on_crash.is_some()
            || self.huge_pages.is_some()
    }
    /// What was named, over what is there.
    pub fn over(&self, now: VmOptions) -> VmOptions {
        let model = self.watchdog_model.or(now.watchdog.map(|dog| dog.model)).unwrap_or_default();
        let dog = |action| Some(WatchdogDevice { model, action });
        VmOptions {
            tpm: self.tpm.map_or(now.tpm, |on| matches!(on, OnOff::On)),
            cpu_share: CpuShare {
                shares: or(self.cpu_shares, now.cpu_share.shares),
                limit_percent: or(self.cpu_limit, now.cpu_share.limit_percent),
                reservation_percent: or(self.cpu_reservation, now.cpu_share.reservation_percent),
            },
            serial_ports: self.serial_ports.unwrap_or(now.serial_ports),
            channels: match &*self.channels {
                [] => now.channels,
                named => named.iter().filter(|name| !name.is_empty()).cloned().collect(),
            },
            rng: RngDevice {
                off: self.rng.map_or(now.rng.off, |on| matches!(on, OnOff::Off)),
                bytes_per_second: or(self.rng_rate, now.rng.bytes_per_second),
            },
            watchdog: match self.watchdog {
                None => now.watchdog.map(|had| WatchdogDevice { model, ..had }),
                Some(WatchdogChoice::Off) => None,
                Some(WatchdogChoice::Reset) => dog(WatchdogAction::Reset),
                Some(WatchdogChoice::Poweroff) => dog(WatchdogAction::Poweroff),
                Some(WatchdogChoice::Pause) => dog(WatchdogAction::Pause),
                Some(WatchdogChoice::Dump) => dog(WatchdogAction::Dump),
                Some(WatchdogChoice::None) => dog(WatchdogAction::None),
            },
            video: VideoDevice {
                model: self.video.unwrap_or(now.video.model),
                memory_mib: or(self.video_memory, now.video.memory_mib),
                heads: or(self.screens, now.video.heads),
            },
            on_crash: self.on_crash.unwrap_or(now.on_crash),
            memory: MemoryBacking {
                huge_pages: self.huge_pages.map_or(now.memory.huge_pages, |given| given.0),
                numa_nodes: or(self.numa_nodes, now.memory.numa_nodes),
            },
        }
    }
}

/// Options of a disk.
#[derive(Debug, Args)]
pub struct Disk {
    /// What the host's memory keeps: none, writeback, writethrough, directsync; auto for the best that works
    #[arg(long)]
    cache: Option<String>,
    /// How the host reads and writes: threads, native, io_uring; auto for QEMU's default
    #[arg(long)]
    io: Option<String>,
    /// What the guest discards gives its room back
    #[arg(long, value_enum)]
    discard: Option<OnOff>,
    /// Place before all that the boot order names by kind; 0 for none
    #[arg(long, value_name = "PLACE")]
    boot: Option<u32>,
    /// Most reads a second: RATE[:BURST[:SECONDS]]; 0 for no limit
    #[arg(long, value_name = "RATE", value_parser = count_rate)]
    read_iops: Option<Limit>,
    /// Most writes a second
    #[arg(long, value_name = "RATE", value_parser = count_rate)]
    write_iops: Option<Limit>,
    /// Most bytes read a second, such as 100M:200M:10
    #[arg(long, value_name = "RATE", value_parser = byte_rate)]
    read_bytes: Option<Limit>,
    /// Most bytes written a second
    #[arg(long, value_name = "RATE", value_parser = byte_rate)]
    write_bytes: Option<Limit>,
}

/// A limit, or that there is none.
type Limit = Wrapped<Rate>;

/// An option that clap does not take apart.
#[derive(Debug, Clone, Copy)]
pub struct Wrapped<T>(pub(super) Option<T>);

fn count_rate(text: &str) -> Result<Limit, String> {
    rate(text, |number| number.parse().map_err(|_| format!("{number} is no whole number")))
}

fn byte_rate(text: &str) -> Result<Limit, String> {
    rate(text, size::bytes)
}

fn rate(text: &str, read: impl Fn(&str) -> Result<u64, String>) -> Result<Limit, String> {
    if text == "0" {
        return Ok(Wrapped(None));
    }
    let parts: Vec<&str> = text.split(':').collect();
    let number = |index: usize| parts.get(index).map(|part| read(part)).transpose();
    let seconds = parts.get(2).map(|part| part.parse().map_err(|_| format!("{part} are no seconds")));
    let (Some(per_second), burst, 1..=3) = (number(0)?, number(1)?, parts.len()) else {
        return Err("write RATE, RATE:BURST or RATE:BURST:SECONDS".into());
    };
    Ok(Wrapped(Some(Rate { per_second, burst, burst_seconds: seconds.transpose()? })))
}

impl Disk {
    /// Something was named.
    pub fn is_given(&self) -> bool {
        let limits = [self.read_iops, self.write_iops, self.read_bytes, self.write_bytes];
        self.cache.is_some()
            || self.io.is_some()
            || self.discard.is_some()
            || self.boot.is_some()
            || limits.iter().any(Option::is_some)
    }
    /// What was named, over what is there.
    pub fn over(&self, now: &DiskOptions) -> Result<DiskOptions, Stop> {
        let wrong = |what: &str, why: String| Stop::from(anyhow::anyhow!("--{what}: {why}"));
        let limit = |given: Option<Limit>, now: Option<Rate>| given.map_or(now, |given| given.0);
        Ok(DiskOptions {
            cache: match self.cache.as_deref() {
                None => now.cache,
                Some("auto") => None,
                Some(word) => Some(cache(word).map_err(|why| wrong("cache", why))?),
            },
            io: match self.io.as_deref() {
                None => now.io,
                Some("auto") => None,
                Some(word) => Some(io(word).map_err(|why| wrong("io", why))?),
            },
            discard: self.discard.map_or(now.discard, |on| matches!(on, OnOff::On)),
            boot: or(self.boot, now.boot),
            limits: DiskLimits {
                read_iops: limit(self.read_iops, now.limits.read_iops),
                write_iops: limit(self.write_iops, now.limits.write_iops),
                read_bytes: limit(self.read_bytes, now.limits.read_bytes),
                write_bytes: limit(self.write_bytes, now.limits.write_bytes),
            },
        })
    }
}

/// Options of a card.
#[derive(Debug, Args)]
pub struct Card {
    /// Most that it receives, KiB a second: AVERAGE[:PEAK[:BURST]], the burst in KiB; 0 for no limit
    #[arg(long, value_name = "KIB", value_parser = bandwidth)]
    inbound: Option<Wrapped<Bandwidth>>,
    /// Most that it sends
    #[arg(long, value_name = "KIB", value_parser = bandwidth)]
    outbound: Option<Wrapped<Bandwidth>>,
    /// Place before all that the boot order names by kind; 0 for none
    #[arg(long, value_name = "PLACE")]
    boot: Option<u32>,
}

fn bandwidth(text: &str) -> Result<Wrapped<Bandwidth>, String> {
    if text == "0" {
        return Ok(Wrapped(None));
    }
    let numbers: Result<Vec<u32>, _> = text.split(':').map(str::parse).collect();
    match numbers.as_deref() {
        Ok([average_kib, rest @ ..]) if rest.len() < 3 => Ok(Wrapped(Some(Bandwidth {
            average_kib: *average_kib,
            peak_kib: rest.first().copied(),
            burst_kib: rest.get(1).copied(),
        }))),
        Ok(_) | Err(_) => Err("write AVERAGE, AVERAGE:PEAK or AVERAGE:PEAK:BURST".into()),
    }
}

impl Card {
    /// Something was named.
    pub fn is_given(&self) -> bool {
        self.inbound.is_some() || self.outbound.is_some() || self.boot.is_some()
    }
    /// What was named, over what is there.
    pub fn over(&self, now: &NicOptions) -> NicOptions {
        NicOptions {
            boot: or(self.boot, now.boot),
            inbound: self.inbound.map_or(now.inbound, |given| given.0),
            outbound: self.outbound.map_or(now.outbound, |given| given.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_with_their_bursts() {
        let of = |text: &str| byte_rate(text).map(|limit| limit.0);
        let rate = |per_second, burst, burst_seconds| Ok(Some(Rate { per_second, burst, burst_seconds }));
        assert_eq!(of("1M"), rate(1 << 20, None, None));
        assert_eq!(of("1M:2M:10"), rate(1 << 20, Some(2 << 20), Some(10)));
        assert_eq!(of("0"), Ok(None));
        for wrong in ["", "x", "1:2:3:4", "1M:2M:x"] {
            of(wrong).expect_err(wrong);
        }
        let limit = Bandwidth { average_kib: 10, peak_kib: Some(20), burst_kib: Some(5) };
        assert_eq!(bandwidth("10:20:5").map(|limit| limit.0), Ok(Some(limit)));
        bandwidth("10:x").expect_err("no number");
        bandwidth("1:2:3:4").expect_err("too many");
    }
}
