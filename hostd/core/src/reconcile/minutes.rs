//! A day of each machine's load, a mean a minute, in a file of fixed size: it survives a restart and never enters the log.
//!
//! Minute `m` lies in slot `m mod 1440`, with its own number and a checksum: what was half written, or is of another day,
//! is no measurement. Nothing is synced: after a power cut the last half minute may be missing, and is a gap.

use hostd_types::{VmId, VmSample};
use std::collections::{BTreeSet, HashMap};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Result};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Minutes kept.
pub(crate) const MINUTES: i64 = 1440;
/// Bytes of one minute.
const SLOT: usize = 36;

/// Where the files are.
#[derive(Debug, Clone)]
pub(crate) struct Minutes(PathBuf);

impl Minutes {
    /// Files in the folder `history` of `state`.
    pub fn below(state: &Path) -> Self {
        Self(state.join("history"))
    }

    fn file(&self, vm: VmId) -> PathBuf {
        self.0.join(vm.to_string())
    }

    /// Writes the means of minutes; each takes the place of the one a day before.
    pub fn write(&self, means: &[(VmId, VmSample)]) -> Result<()> {
        if means.is_empty() {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        for (vm, mean) in means {
            let mut options = OpenOptions::new();
            let file: File =
                options.create(true).write(true).truncate(false).mode(0o600).open(self.file(*vm))?;
            let minute = mean.at.div_euclid(60);
            let place = minute.rem_euclid(MINUTES).unsigned_abs() * SLOT as u64;
            file.write_all_at(&encode(minute, mean), place)?;
        }
        Ok(())
    }

    /// What is known of the day before `now` (seconds since the epoch), oldest first.
    pub fn read(&self, vm: VmId, now: i64) -> Result<Vec<VmSample>> {
        let mut bytes = Vec::new();
        match File::open(self.file(vm)) {
            Ok(file) => file.take(MINUTES.unsigned_abs() * SLOT as u64).read_to_end(&mut bytes)?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let newest = now.div_euclid(60);
        let day = newest - MINUTES + 1..=newest;
        let slots = bytes.chunks_exact(SLOT).enumerate();
        let mut found: Vec<VmSample> = slots
            .filter_map(|(place, slot)| {
                let (minute, mean) = decode(slot)?;
                let there = minute.rem_euclid(MINUTES) == i64::try_from(place).ok()?;
                (there && day.contains(&minute)).then_some(mean)
            })
            .collect();
        found.sort_by_key(|mean| mean.at);
        Ok(found)
    }

    /// Removes the files of all other machines.
    pub fn keep(&self, vms: &BTreeSet<VmId>) -> Result<()> {
        let entries = match std::fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if id.is_none_or(|id| !vms.contains(&id)) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

fn encode(minute: i64, mean: &VmSample) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    // Minutes since the epoch fit 32 bits until the year 10136.
    slot[..4].copy_from_slice(&u32::try_from(minute).unwrap_or(0).to_le_bytes());
    slot[4..12].copy_from_slice(&mean.memory_rss.to_le_bytes());
    let rates = [mean.cpu, mean.read_bps, mean.write_bps, mean.rx_bps, mean.tx_bps];
    for (place, rate) in rates.into_iter().enumerate() {
        slot[12 + place * 4..16 + place * 4].copy_from_slice(&(rate as f32).to_le_bytes());
    }
    let sum = sum(&slot);
    slot[32..].copy_from_slice(&sum);
    slot
}

fn decode(slot: &[u8]) -> Option<(i64, VmSample)> {
    if sum(slot) != slot[32..] {
        return None;
    }
    let four = |place: usize| -> Option<[u8; 4]> { slot.get(place..place + 4)?.try_into().ok() };
    let minute = i64::from(u32::from_le_bytes(four(0)?));
    let rate = |place: usize| Some(f64::from(f32::from_le_bytes(four(12 + place * 4)?)));
    let mean = VmSample {
        at: minute * 60,
        memory_rss: u64::from_le_bytes(slot.get(4..12)?.try_into().ok()?),
        cpu: rate(0)?,
        read_bps: rate(1)?,
        write_bps: rate(2)?,
        rx_bps: rate(3)?,
        tx_bps: rate(4)?,
    };
    Some((minute, mean))
}

fn sum(slot: &[u8]) -> [u8; 4] {
    let hash = blake3::hash(&slot[..32]);
    [hash.as_bytes()[0], hash.as_bytes()[1], hash.as_bytes()[2], hash.as_bytes()[3]]
}

/// The minute under way: what its mean will be of.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    minute: i64,
    sums: HashMap<VmId, (VmSample, u32)>,
}

impl Gathered {
    /// Begins the minute of `now`; answers the means of the one before when that has ended.
    pub fn begin(&mut self, now: i64) -> Option<Vec<(VmId, VmSample)>> {
        let minute = now.div_euclid(60);
        if minute == self.minute {
            return None;
        }
        let ended = std::mem::replace(&mut self.minute, minute) * 60;
        Some(self.sums.drain().map(|(vm, (sum, count))| (vm, mean(ended, &sum, count))).collect())
    }

    /// Adds a sample of the minute under way.
    pub fn add(&mut self, vm: VmId, sample: &VmSample) {
        let (sum, count) = self.sums.entry(vm).or_default();
        sum.cpu += sample.cpu;
        sum.memory_rss = sum.memory_rss.saturating_add(sample.memory_rss);
        sum.read_bps += sample.read_bps;
        sum.write_bps += sample.write_bps;
        sum.rx_bps += sample.rx_bps;
        sum.tx_bps += sample.tx_bps;
        *count += 1;
    }
}

fn mean(at: i64, sum: &VmSample, count: u32) -> VmSample {
    let each = f64::from(count.max(1));
    VmSample {
        at,
        cpu: sum.cpu / each,
        memory_rss: sum.memory_rss / u64::from(count.max(1)),
        read_bps: sum.read_bps / each,
        write_bps: sum.write_bps / each,
        rx_bps: sum.rx_bps / each,
        tx_bps: sum.tx_bps / each,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A minute of a day in the year 2027.
    const FIRST: i64 = 30_000_000;

    fn at(minute: i64, cpu: f64) -> VmSample {
        VmSample { at: minute * 60, cpu, memory_rss: 1 << 30, rx_bps: 1e6, ..VmSample::default() }
    }

    #[test]
    fn a_day_is_kept_at_less_than_200_bytes_a_minute_and_gaps_stay_gaps() {
        let dir = tempfile::tempdir().expect("a folder");
        let minutes = Minutes::below(dir.path());
        let vm = VmId::new();
        // Two days, with an hour in which nothing was measured.
        for minute in (0..2 * MINUTES).filter(|m| !(2000..2060).contains(m)) {
            minutes.write(&[(vm, at(FIRST + minute, minute as f64 / 10_000.0))]).expect("written");
        }
        let now = (FIRST + 2 * MINUTES - 1) * 60 + 30;
        let day = minutes.read(vm, now).expect("read");
        assert_eq!(day.len(), 1380);
        assert!(day.windows(2).all(|pair| pair[0].at < pair[1].at));
        assert_eq!(day.windows(2).filter(|pair| pair[1].at - pair[0].at == 61 * 60).count(), 1);
        assert_eq!(day.last().map(|m| (m.at, m.memory_rss)), Some(((FIRST + 2 * MINUTES - 1) * 60, 1 << 30)));
        assert!((day[0].cpu - 0.144).abs() < 1e-6);
        let size = std::fs::metadata(dir.path().join("history").join(vm.to_string())).expect("a file").len();
        assert!(
            size <= MINUTES.unsigned_abs() * 200 && size == MINUTES.unsigned_abs() * SLOT as u64,
            "{size}"
        );
        // A week later nothing of it is of the last day.
        assert_eq!(minutes.read(vm, now + 7 * 86_400).expect("read"), []);
        minutes.keep(&[vm].into()).expect("kept");
        assert_eq!(minutes.read(vm, now).expect("read").len(), 1380);
        minutes.keep(&BTreeSet::new()).expect("removed");
        assert_eq!(minutes.read(vm, now).expect("read"), []);
    }

    #[test]
    fn what_is_half_written_or_damaged_is_a_gap() {
        let dir = tempfile::tempdir().expect("a folder");
        let minutes = Minutes::below(dir.path());
        let vm = VmId::new();
        let means: Vec<_> = (0..10).map(|m| (vm, at(FIRST + m, 0.5))).collect();
        minutes.write(&means).expect("written");
        let path = dir.path().join("history").join(vm.to_string());
        let mut bytes = std::fs::read(&path).expect("the file");
        let place = usize::try_from((FIRST + 4).rem_euclid(MINUTES)).expect("small") * SLOT;
        bytes[place + 5] ^= 1;
        bytes.truncate(bytes.len() - 7);
        std::fs::write(&path, &bytes).expect("damaged");
        let found: Vec<i64> =
            minutes.read(vm, (FIRST + 9) * 60).expect("read").iter().map(|m| m.at / 60 - FIRST).collect();
        assert_eq!(found, [0, 1, 2, 3, 5, 6, 7, 8]);
        assert_eq!(minutes.read(VmId::new(), FIRST * 60).expect("none"), []);
    }

    #[test]
    fn the_mean_of_a_minute_is_of_its_samples() {
        let mut gathered = Gathered::default();
        let (a, b) = (VmId::new(), VmId::new());
        assert_eq!(gathered.begin(FIRST * 60), Some(vec![]));
        gathered.add(a, &at(FIRST, 0.2));
        gathered.add(a, &at(FIRST, 0.4));
        gathered.add(b, &at(FIRST, 0.1));
        assert_eq!(gathered.begin(FIRST * 60 + 59), None);
        let mut ended = gathered.begin(FIRST * 60 + 60).expect("another minute");
        ended.sort_by(|x, y| y.1.cpu.total_cmp(&x.1.cpu));
        assert_eq!((ended.len(), ended[0].0, ended[0].1.at), (2, a, FIRST * 60));
        assert!((ended[0].1.cpu - 0.3).abs() < 1e-9 && ended[0].1.memory_rss == 1 << 30);
        assert_eq!(gathered.begin(FIRST * 60 + 120), Some(vec![]), "nothing was measured");
    }
}
