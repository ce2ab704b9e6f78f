//! The part of forms that is about how a disk or a network card behaves.

use crate::fields::{Fields, Reading};
use hostd_types::*;

/// Bytes of the unit in which limits of bytes are typed.
const MIB: u64 = 1 << 20;

/// A limit, as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RateForm {
    pub(crate) rate: String,
    pub(crate) burst: String,
    pub(crate) seconds: String,
}

/// Options of a disk, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DiskOptionsForm {
    /// [`DiskCache::as_str`]; empty for the best that works.
    pub(crate) cache: String,
    /// [`DiskIo::as_str`]; empty for QEMU's default.
    pub(crate) io: String,
    /// `on` or `off`.
    pub(crate) discard: String,
    pub(crate) boot: String,
    /// In the order of [`DiskLimits::named`]: reads, writes, MiB read, MiB written.
    pub(crate) limits: [RateForm; 4],
}

impl Default for DiskOptionsForm {
    fn default() -> Self {
        Self::of(&DiskOptions::default())
    }
}

/// Names of the limits in forms, their labels, and the units in which they are typed.
pub(crate) const LIMITS: [(&str, &str, u64); 4] = [
    ("read_iops", "Reads a second", 1),
    ("write_iops", "Writes a second", 1),
    ("read_bytes", "MiB read a second", MIB),
    ("write_bytes", "MiB written a second", MIB),
];

/// A number of `unit`, with as many decimals as it needs.
fn amount(value: u64, unit: u64) -> String {
    if value.is_multiple_of(unit) {
        (value / unit).to_string()
    } else {
        (value as f64 / unit as f64).to_string()
    }
}

impl DiskOptionsForm {
    /// Filled from what is there.
    pub(crate) fn of(options: &DiskOptions) -> Self {
        let rate = |rate: Option<Rate>, unit: u64| {
            rate.map(|rate| RateForm {
                rate: amount(rate.per_second, unit),
                burst: rate.burst.map(|burst| amount(burst, unit)).unwrap_or_default(),
                seconds: rate.burst_seconds.map(|seconds| seconds.to_string()).unwrap_or_default(),
            })
            .unwrap_or_default()
        };
        let named = options.limits.named();
        Self {
            cache: options.cache.map_or("", DiskCache::as_str).into(),
            io: options.io.map_or("", DiskIo::as_str).into(),
            discard: if options.discard { "on" } else { "off" }.into(),
            boot: options.boot.map(|place| place.to_string()).unwrap_or_default(),
            limits: std::array::from_fn(|n| rate(named[n].2, LIMITS[n].2)),
        }
    }
    /// What was sent of the disk whose fields begin with `name`; what was not stays as `now`.
    pub(crate) fn read(fields: &Fields, name: &str, now: Self) -> Self {
        let or = |field: &str, now: &String| {
            let field = format!("{name}_{field}");
            if fields.ticked(&field) { fields.text(&field) } else { now.clone() }
        };
        let rate = |(field, now): (&str, &RateForm)| RateForm {
            rate: or(field, &now.rate),
            burst: or(&format!("{field}_burst"), &now.burst),
            seconds: or(&format!("{field}_seconds"), &now.seconds),
        };
        Self {
            cache: or("cache", &now.cache),
            io: or("io", &now.io),
            discard: or("discard", &now.discard),
            boot: or("boot", &now.boot),
            limits: std::array::from_fn(|n| rate((LIMITS[n].0, &now.limits[n]))),
        }
    }
    /// What it means; errors are noted in `reading` under `place`.
    pub(crate) fn options(&self, reading: &mut Reading, place: &str) -> DiskOptions {
        let mut limits = DiskLimits::default();
        let all =
            [&mut limits.read_iops, &mut limits.write_iops, &mut limits.read_bytes, &mut limits.write_bytes];
        for (n, limit) in all.into_iter().enumerate() {
            let at = format!("{place}/options/limits/{}", LIMITS[n].0);
            *limit = self.limits[n].rate(reading, &at, LIMITS[n].2);
        }
        let at = |field: &str| format!("{place}/options/{field}");
        DiskOptions {
            cache: listed(reading, &at("cache"), &self.cache, DiskCache::named),
            io: listed(reading, &at("io"), &self.io, DiskIo::named),
            discard: self.discard != "off",
            boot: number(reading, &at("boot"), &self.boot),
            limits,
        }
    }
    /// Something of it is not the default.
    pub(crate) fn is_used(&self) -> bool {
        *self != Self::default()
    }
    /// Its limits with their names and labels, for pages.
    pub(crate) fn rows(&self) -> Vec<(&'static str, &'static str, &RateForm)> {
        LIMITS.iter().zip(&self.limits).map(|((name, label, _), form)| (*name, *label, form)).collect()
    }
}

impl RateForm {
    fn rate(&self, reading: &mut Reading, at: &str, unit: u64) -> Option<Rate> {
        if self.rate.is_empty() && self.burst.is_empty() && self.seconds.is_empty() {
            return None;
        }
        let mut amount = |field: &str, text: &str| match unit {
            1 => reading.whole(&format!("{at}/{field}"), text),
            _ => reading.bytes(&format!("{at}/{field}"), text, "mib"),
        };
        let per_second = amount("per_second", &self.rate);
        let burst = (!self.burst.is_empty()).then(|| amount("burst", &self.burst));
        let burst_seconds = number(reading, &format!("{at}/burst_seconds"), &self.seconds);
        Some(Rate { per_second, burst, burst_seconds })
    }
}

/// A number, or nothing.
fn number<T: std::str::FromStr + Default>(reading: &mut Reading, at: &str, text: &str) -> Option<T> {
    (!text.is_empty()).then(|| reading.whole(at, text))
}

/// A choice of a list, or nothing.
fn listed<T>(reading: &mut Reading, at: &str, word: &str, named: fn(&str) -> Option<T>) -> Option<T> {
    let choice = named(word);
    if choice.is_none() && !word.is_empty() {
        reading.wrong(at, "Choose one of the list.");
    }
    choice
}

/// One side of a card's limits, as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BandwidthForm {
    pub(crate) average: String,
    pub(crate) peak: String,
    pub(crate) burst: String,
}

/// Options of a network card, as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NicOptionsForm {
    pub(crate) boot: String,
    pub(crate) inbound: BandwidthForm,
    pub(crate) outbound: BandwidthForm,
}

impl NicOptionsForm {
    /// Filled from what is there.
    pub(crate) fn of(options: &NicOptions) -> Self {
        let text = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
        let side = |limit: Option<Bandwidth>| BandwidthForm {
            average: text(limit.map(|limit| limit.average_kib)),
            peak: text(limit.and_then(|limit| limit.peak_kib)),
            burst: text(limit.and_then(|limit| limit.burst_kib)),
        };
        Self { boot: text(options.boot), inbound: side(options.inbound), outbound: side(options.outbound) }
    }
    /// What was sent of the card whose fields begin with `name`.
    pub(crate) fn read(fields: &Fields, name: &str) -> Self {
        let text = |field: &str| fields.text(&format!("{name}_{field}"));
        let side = |way: &str| BandwidthForm {
            average: text(&format!("{way}_average")),
            peak: text(&format!("{way}_peak")),
            burst: text(&format!("{way}_burst")),
        };
        Self { boot: text("boot"), inbound: side("inbound"), outbound: side("outbound") }
    }
    /// What it means; errors are noted in `reading` under `place`.
    pub(crate) fn options(&self, reading: &mut Reading, place: &str) -> NicOptions {
        let mut side = |way: &str, form: &BandwidthForm| {
            let BandwidthForm { average, peak, burst } = form;
            if average.is_empty() && peak.is_empty() && burst.is_empty() {
                return None;
            }
            let at = |field: &str| format!("{place}/options/{way}/{field}");
            Some(Bandwidth {
                average_kib: reading.whole(&at("average_kib"), average),
                peak_kib: number(reading, &at("peak_kib"), peak),
                burst_kib: number(reading, &at("burst_kib"), burst),
            })
        };
        let (inbound, outbound) = (side("inbound", &self.inbound), side("outbound", &self.outbound));
        let boot = number(reading, &format!("{place}/options/boot"), &self.boot);
        NicOptions { boot, inbound, outbound }
    }
    /// Something of it is not the default.
    pub(crate) fn is_used(&self) -> bool {
        *self != Self::default()
    }
    /// Its sides with their names and labels, for pages.
    pub(crate) fn rows(&self) -> [(&'static str, &'static str, &BandwidthForm); 2] {
        [
            ("inbound", "Receives, KiB a second", &self.inbound),
            ("outbound", "Sends, KiB a second", &self.outbound),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_show_what_is_there_and_mean_the_same() {
        let rate = |per_second, burst, burst_seconds| Some(Rate { per_second, burst, burst_seconds });
        let all = DiskOptions {
            cache: Some(DiskCache::None),
            io: Some(DiskIo::Native),
            discard: false,
            boot: Some(3),
            limits: DiskLimits {
                read_iops: rate(100, Some(200), Some(5)),
                write_iops: rate(7, None, None),
                read_bytes: rate(3 << 19, Some(2 << 20), None),
                write_bytes: rate(1 << 20, None, None),
            },
        };
        for options in [DiskOptions::default(), all] {
            let mut reading = Reading::default();
            let form = DiskOptionsForm::of(&options);
            assert_eq!(form.options(&mut reading, ""), options);
            assert_eq!(form.is_used(), options != DiskOptions::default());
            reading.done(()).expect("no mistakes");
        }
        let limit = Some(Bandwidth { average_kib: 10, peak_kib: Some(20), burst_kib: None });
        let options = NicOptions { boot: Some(1), inbound: limit, outbound: None };
        let mut reading = Reading::default();
        assert_eq!(NicOptionsForm::of(&options).options(&mut reading, ""), options);
    }

    #[test]
    fn wrong_fields_are_told_where_they_are() {
        let mut form =
            DiskOptionsForm { cache: "unsafe".into(), boot: "first".into(), ..DiskOptionsForm::default() };
        form.limits[2].burst = "5".into();
        let mut reading = Reading::default();
        form.options(&mut reading, "/disks/0");
        let nic = BandwidthForm { peak: "x".into(), ..BandwidthForm::default() };
        NicOptionsForm { inbound: nic, ..NicOptionsForm::default() }.options(&mut reading, "/nics/1");
        let problem = reading.done(()).expect_err("mistakes");
        for at in [
            "/disks/0/options/cache",
            "/disks/0/options/boot",
            "/disks/0/options/limits/read_bytes/per_second",
            "/nics/1/options/inbound/average_kib",
            "/nics/1/options/inbound/peak_kib",
        ] {
            assert!(problem.at(at).is_some(), "{at}");
        }
    }
}
