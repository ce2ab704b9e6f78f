//! Numbers as people read them: bytes, rates, shares, spans and moments.

use crate::deep::Deep;
use hostd_types::Timestamp;
use time::macros::format_description;

const STEPS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/// Bytes in binary units with at most three digits: `1.5 GiB`.
pub(crate) fn bytes(bytes: impl Deep<u64>) -> String {
    scaled(*bytes.deep() as f64)
}

/// Bytes per second.
pub(crate) fn rate(per_second: &f64) -> String {
    format!("{}/s", scaled(per_second.max(0.0)))
}

fn scaled(value: f64) -> String {
    let mut value = value;
    let mut step = 0;
    while value >= 1023.5 && step < STEPS.len() - 1 {
        value /= 1024.0;
        step += 1;
    }
    let digits = usize::from(step > 0 && value < 99.95 && (value - value.round()).abs() >= 0.05);
    format!("{value:.digits$} {}", STEPS[step])
}

/// Memory given in MiB.
pub(crate) fn mib(mib: impl Deep<u64>) -> String {
    bytes(mib.deep().saturating_mul(1 << 20))
}

/// A share of 0 to 1 in percent.
pub(crate) fn percent(share: &f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 9.95 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

/// `part` of `whole` as 0 to 1; nothing of nothing is nothing.
pub(crate) fn share(part: impl Deep<u64>, whole: impl Deep<u64>) -> f64 {
    let (part, whole) = (*part.deep(), *whole.deep());
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A span of seconds in its two largest units: `3 d 4 h`, `12 min`, `8 s`.
pub(crate) fn span(seconds: impl Deep<u64>) -> String {
    let seconds = *seconds.deep();
    let (d, h, m) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (d, h, m) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, m) => format!("{m} min"),
        (0, h, 0) => format!("{h} h"),
        (0, h, m) => format!("{h} h {m} min"),
        (d, 0, _) => format!("{d} d"),
        (d, h, _) => format!("{d} d {h} h"),
    }
}

/// How long ago, or in how long: `just now`, `5 min ago`, `in 3 d`.
pub(crate) fn ago(at: &Timestamp) -> String {
    let passed = Timestamp::now().unix() - at.unix();
    match passed {
        -9..=9 => "just now".into(),
        10.. => format!("{} ago", coarse(passed.unsigned_abs())),
        _ => format!("in {}", coarse(passed.unsigned_abs())),
    }
}

/// A span in its largest unit alone.
fn coarse(seconds: u64) -> String {
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3599 => format!("{} min", seconds / 60),
        3600..=86_399 => format!("{} h", seconds / 3600),
        86_400.. => format!("{} d", seconds / 86_400),
    }
}

/// Seconds between two moments, from a task's begin to its end.
pub(crate) fn between(from: impl Deep<Timestamp>, to: impl Deep<Timestamp>) -> String {
    span((to.deep().unix() - from.deep().unix()).max(0).unsigned_abs())
}

/// The moment in full, in UTC: `2026-03-01 09:05:11 UTC`.
pub(crate) fn moment(at: &Timestamp) -> String {
    let layout = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    at.date_time().format(&layout).unwrap_or_else(|_| at.to_string())
}

/// An amount of bytes split for a form: number and unit, exact.
pub(crate) fn split(bytes: u64) -> (String, &'static str) {
    for (unit, scale) in [("tib", 1_u64 << 40), ("gib", 1 << 30)] {
        if bytes >= scale && bytes.is_multiple_of(scale) {
            return ((bytes / scale).to_string(), unit);
        }
    }
    ((bytes >> 20).to_string(), "mib")
}

/// `1 machine`, `2 machines`.
pub(crate) fn count(n: &impl std::fmt::Display, one: &str) -> String {
    let n = n.to_string();
    if n == "1" { format!("1 {one}") } else { format!("{n} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_at_most_three_digits_and_no_false_precision() {
        for (n, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (20 << 30, "20 GiB"),
            (123 << 20 | 500 << 10, "123 MiB"),
            (1_048_575, "1 MiB"),
            (u64::MAX, "16384 PiB"),
        ] {
            assert_eq!(bytes(n), text);
        }
        assert_eq!(percent(&0.0), "0 %");
        assert_eq!(percent(&0.034), "3.4 %");
        assert_eq!(percent(&1.0), "100 %");
    }

    #[test]
    fn spans_and_moments_read_naturally() {
        assert_eq!(span(59), "59 s");
        assert_eq!(span(7260), "2 h 1 min");
        assert_eq!(span(90_000), "1 d 1 h");
        assert_eq!(ago(&Timestamp::now()), "just now");
        assert_eq!(ago(&Timestamp::now().plus_seconds(-300)), "5 min ago");
        assert_eq!(ago(&Timestamp::now().plus_seconds(3 * 86_400 + 5)), "in 3 d");
        assert_eq!(moment(&Timestamp::from_unix(0)), "1970-01-01 00:00:00 UTC");
        assert_eq!(split(20 << 30), ("20".into(), "gib"));
        assert_eq!(split(1536 << 20), ("1536".into(), "mib"));
        assert_eq!(count(&1, "disk"), "1 disk");
    }
}
