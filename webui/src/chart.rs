//! Charts drawn by the server as SVG: the last half hour of a load, and the small line in a table's row.

use crate::deep::Deep;
use askama::Template;
use hostd_types::{HostSample, Timestamp, VmSample};

/// How much time a chart shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Seconds it shows.
    window_s: i64,
    /// Seconds without a point after which the line breaks: nobody measured then.
    gap_s: i64,
    /// Where it begins.
    from: &'static str,
    /// What it is called.
    said: &'static str,
}

impl Span {
    /// Half an hour, of a point every 5 s.
    pub(crate) const RECENT: Self =
        Self { window_s: 1800, gap_s: 30, from: "30 min ago", said: "last 30 minutes" };
    /// Two minutes, of a point a second once somebody looks and every 5 s before.
    pub(crate) const LIVE: Self =
        Self { window_s: 120, gap_s: 12, from: "2 min ago", said: "last 2 minutes" };
    /// A day, of a point every [`DAY_STEP_S`].
    pub(crate) const DAY: Self =
        Self { window_s: 86_400, gap_s: 2 * DAY_STEP_S, from: "24 h ago", said: "last 24 hours" };
}

/// Seconds of a day that are drawn as one point: a chart has no more room.
const DAY_STEP_S: i64 = 180;
/// Width and height of the drawing's own units; CSS gives the real size.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 120.0;

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    /// 0 to 1, always drawn to 100 %.
    Share,
    /// Bytes of a known whole.
    Bytes,
    /// Bytes per second, drawn to the highest.
    Rate,
}

impl Scale {
    fn write(self, value: f64) -> String {
        match self {
            Scale::Share => crate::units::percent(&value),
            Scale::Bytes => crate::units::bytes(value.max(0.0) as u64),
            Scale::Rate => crate::units::rate(&value),
        }
    }
}

/// Names and points of a chart's lines.
type Lines = Vec<(&'static str, Vec<(i64, f64)>)>;

/// One line of a chart.
#[derive(Debug, Clone)]
struct Series {
    name: &'static str,
    line: String,
    area: String,
    now: String,
    average: String,
    peak: String,
}

/// A chart with its axes and a summary in words.
#[derive(Debug, Clone, Template)]
#[template(path = "chart.html")]
pub(crate) struct Chart {
    title: &'static str,
    top: String,
    middle: String,
    span: Span,
    series: Vec<Series>,
}

impl askama::filters::HtmlSafe for Chart {}

impl Chart {
    fn new(title: &'static str, scale: Scale, top: f64, lines: Lines) -> Self {
        let end = lines.iter().filter_map(|(_, p)| p.last().map(|p| p.0)).max();
        Self::over(Span::RECENT, end.unwrap_or_else(|| Timestamp::now().unix()), title, scale, top, lines)
    }
    /// A chart of `span` that ends at `end`.
    fn over(span: Span, end: i64, title: &'static str, scale: Scale, top: f64, lines: Lines) -> Self {
        let begin = end - span.window_s;
        let top = if top > 0.0 {
            top
        } else {
            round_up(lines.iter().flat_map(|(_, p)| p).map(|p| p.1).fold(0.0, f64::max))
        };
        let series = lines.into_iter().filter(|(_, p)| !p.is_empty()).map(|(name, points)| {
            let (line, area) = paths(&points, span, begin, top);
            // What was measured long before the end is not how it is now.
            let now = points.last().filter(|p| end - p.0 <= span.gap_s);
            let values = || points.iter().map(|p| p.1);
            let average = values().sum::<f64>() / points.len() as f64;
            Series {
                name,
                line,
                area,
                now: now.map_or_else(|| "–".into(), |p| scale.write(p.1)),
                average: scale.write(average),
                peak: scale.write(values().fold(0.0, f64::max)),
            }
        });
        Self { title, top: scale.write(top), middle: scale.write(top / 2.0), span, series: series.collect() }
    }
    /// What a screen reader says.
    fn summary(&self) -> String {
        let said = |s: &Series| format!("{} now {}, average {}, peak {}", s.name, s.now, s.average, s.peak);
        let lines: Vec<_> = self.series.iter().map(said).collect();
        format!("{}, {}: {}.", self.title, self.span.said, lines.join("; "))
    }
    /// Load of the host's processors.
    pub(crate) fn host_cpu(samples: &[HostSample]) -> Self {
        Self::new("CPU", Scale::Share, 1.0, vec![("CPU", samples.iter().map(|s| (s.at, s.cpu)).collect())])
    }
    /// Memory in use on the host, of `total` bytes.
    pub(crate) fn host_memory(samples: &[HostSample], total: u64) -> Self {
        let points = samples.iter().map(|s| (s.at, s.memory_used as f64)).collect();
        Self::new("Memory", Scale::Bytes, total as f64, vec![("Used", points)])
    }
    /// Traffic of the host's cards.
    pub(crate) fn host_network(samples: &[HostSample]) -> Self {
        let rx = samples.iter().map(|s| (s.at, s.rx_bps)).collect();
        let tx = samples.iter().map(|s| (s.at, s.tx_bps)).collect();
        Self::new("Network", Scale::Rate, 0.0, vec![("Received", rx), ("Sent", tx)])
    }
    /// The four charts of a machine with `memory` bytes, of what `span` has before the newest of `samples`.
    pub(crate) fn of_vm(span: Span, samples: &[VmSample], memory: u64) -> Vec<Self> {
        let end = samples.last().map_or_else(|| Timestamp::now().unix(), |sample| sample.at);
        Self::of_vm_over(span, end, samples, memory)
    }
    /// The same of its last day, which ends at `now`, from means of minutes.
    pub(crate) fn of_vm_day(minutes: &[VmSample], memory: u64, now: i64) -> Vec<Self> {
        Self::of_vm_over(Span::DAY, now, &thinned(minutes), memory)
    }
    fn of_vm_over(span: Span, end: i64, samples: &[VmSample], memory: u64) -> Vec<Self> {
        let line = |value: fn(&VmSample) -> f64| samples.iter().map(|s| (s.at, value(s))).collect::<Vec<_>>();
        let most = samples.iter().map(|s| s.memory_rss).max().unwrap_or(0).max(memory);
        let held = vec![("Held", line(|s| s.memory_rss as f64))];
        let disk = vec![("Read", line(|s| s.read_bps)), ("Written", line(|s| s.write_bps))];
        let network = vec![("Received", line(|s| s.rx_bps)), ("Sent", line(|s| s.tx_bps))];
        vec![
            Self::over(span, end, "CPU", Scale::Share, 1.0, vec![("CPU", line(|s| s.cpu))]),
            Self::over(span, end, "Memory held on the host", Scale::Bytes, most as f64, held),
            Self::over(span, end, "Disk", Scale::Rate, 0.0, disk),
            Self::over(span, end, "Network", Scale::Rate, 0.0, network),
        ]
    }
}

/// Means of what a day's chart draws as one point; where nothing was measured there is none.
fn thinned(minutes: &[VmSample]) -> Vec<VmSample> {
    let step = |minute: &VmSample| minute.at.div_euclid(DAY_STEP_S);
    let mean = |run: &[VmSample]| {
        let each = run.len() as f64;
        let of = |value: fn(&VmSample) -> f64| run.iter().map(value).sum::<f64>() / each;
        VmSample {
            at: step(&run[0]) * DAY_STEP_S,
            cpu: of(|m| m.cpu),
            memory_rss: of(|m| m.memory_rss as f64) as u64,
            read_bps: of(|m| m.read_bps),
            write_bps: of(|m| m.write_bps),
            rx_bps: of(|m| m.rx_bps),
            tx_bps: of(|m| m.tx_bps),
        }
    };
    minutes.chunk_by(|a, b| step(a) == step(b)).map(mean).collect()
}

/// The next 1, 2 or 5 times a power of 1024 or 10, so that the top of the axis is a plain number.
fn round_up(value: f64) -> f64 {
    let mut unit = 1024.0;
    while unit * 1024.0 <= value {
        unit *= 1024.0;
    }
    for step in [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0] {
        if value <= step * unit {
            return step * unit;
        }
    }
    unit * 1024.0
}

/// The line and the area under it; both broken where nothing was measured.
fn paths(points: &[(i64, f64)], span: Span, begin: i64, top: f64) -> (String, String) {
    let (mut line, mut area) = (String::new(), String::new());
    for run in points.chunk_by(|a, b| b.0 - a.0 <= span.gap_s) {
        let mut first = None;
        let mut last = 0.0;
        for (at, value) in run.iter().filter(|p| p.0 >= begin) {
            let x = (at - begin) as f64 * WIDTH / span.window_s as f64;
            let y = HEIGHT - (value / top).clamp(0.0, 1.0) * HEIGHT;
            match first {
                None => {
                    first = Some(x);
                    line.push_str(&format!("M{x:.0} {y:.1}"));
                    area.push_str(&format!("M{x:.0} {HEIGHT}L{x:.0} {y:.1}"));
                }
                Some(_) => {
                    line.push_str(&format!("L{x:.0} {y:.1}"));
                    area.push_str(&format!("L{x:.0} {y:.1}"));
                }
            }
            last = x;
        }
        if first.is_some() {
            area.push_str(&format!("L{last:.0} {HEIGHT}Z"));
        }
    }
    (line, area)
}

/// A small line without axes, drawn over its newest 24 points.
#[derive(Debug, Clone, Template)]
#[template(
    ext = "html",
    source = r#"{% if !path.is_empty() %}<svg class="spark" viewBox="0 0 72 20" aria-hidden="true"><path d="{{ path }}"/></svg>{% endif %}<span>{{ now }}</span>"#
)]
pub(crate) struct Spark {
    path: String,
    now: String,
}

impl askama::filters::HtmlSafe for Spark {}

impl Spark {
    /// CPU load of a machine.
    pub(crate) fn cpu(samples: &[VmSample]) -> Self {
        Self::new(samples.iter().map(|s| s.cpu), |v| crate::units::percent(&v))
    }
    /// Memory of a machine with `memory` bytes.
    pub(crate) fn memory(samples: &[VmSample], memory: u64) -> Self {
        let whole = memory.max(1) as f64;
        let shares = samples.iter().map(|s| s.memory_rss as f64 / whole);
        Self::new(shares, |v| crate::units::bytes((v * whole).max(0.0) as u64))
    }
    fn new(values: impl Iterator<Item = f64>, write: impl Fn(f64) -> String) -> Self {
        let values: Vec<f64> = values.collect();
        let Some(now) = values.last() else { return Self { path: String::new(), now: "–".into() } };
        let recent = &values[values.len().saturating_sub(24)..];
        let mut path = String::new();
        for (index, value) in recent.iter().enumerate() {
            let y = 19.0 - value.clamp(0.0, 1.0) * 18.0;
            path.push_str(&format!(
                "{}{} {y:.0}",
                if index == 0 { "M" } else { "L" },
                72 - 3 * (recent.len() - index)
            ));
        }
        Self { path, now: write(*now) }
    }
}

/// A bar that shows how much of a whole is used.
#[derive(Debug, Clone, Template)]
#[template(
    ext = "html",
    source = r#"<svg class="meter {{ self.tone() }}" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label="{{ label }}"><rect width="100" height="6"/><rect class="fill" width="{{ self.width() }}" height="6"/></svg>"#
)]
pub(crate) struct Meter {
    label: String,
    share: f64,
}

impl askama::filters::HtmlSafe for Meter {}

impl Meter {
    /// A bar of how much of `total` is not `free`.
    pub(crate) fn of_used(label: impl Into<String>, total: impl Deep<u64>, free: impl Deep<u64>) -> Self {
        let (total, free) = (*total.deep(), *free.deep());
        Self::new(label, crate::units::share(total.saturating_sub(free), total))
    }
    /// A bar filled to `share` (0 to 1), said as `label`.
    pub(crate) fn new(label: impl Into<String>, share: impl Deep<f64>) -> Self {
        Self { label: label.into(), share: share.deep().clamp(0.0, 1.0) }
    }
    fn width(&self) -> String {
        format!("{:.1}", self.share * 100.0)
    }
    fn tone(&self) -> &'static str {
        match self.share {
            s if s >= 0.95 => "bad",
            s if s >= 0.85 => "warn",
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_in_the_measurements_breaks_the_line() {
        let points: Vec<_> = [0, 5, 10, 600, 605].map(|at| (at, 0.5)).into();
        let (line, area) = paths(&points, Span::RECENT, 0, 1.0);
        assert_eq!(line.matches('M').count(), 2);
        assert_eq!(area.matches('Z').count(), 2);
    }

    #[test]
    fn a_day_is_drawn_to_its_end_with_what_is_missing_left_out() {
        let now = 1_800_000_000;
        let minute = |m: i64| VmSample { at: now - m * 60, cpu: 0.5, ..VmSample::default() };
        // Measured in the first hours, then the host was off, then for ten minutes, then the machine was off.
        let minutes: Vec<_> = (1200..1440).rev().chain((60..70).rev()).map(minute).collect();
        let drawn = thinned(&minutes);
        assert!(drawn.len() <= 86 && drawn.iter().all(|m| (m.cpu - 0.5).abs() < 1e-9));
        let charts = Chart::of_vm_day(&minutes, 1 << 30, now);
        assert_eq!(charts[0].series[0].line.matches('M').count(), 2, "{}", charts[0].series[0].line);
        assert!(!charts[0].series[0].line.contains("L600"), "the last hour is empty");
        assert!(charts[0].to_string().contains("24 h ago"));
    }

    #[test]
    fn no_samples_draw_no_line_and_say_so() {
        let chart = Chart::host_cpu(&[]).to_string();
        assert!(chart.contains("No measurements yet"), "{chart}");
        assert!(!chart.contains("NaN"));
    }

    #[test]
    fn the_axis_ends_at_a_plain_number() {
        for (value, top) in [(0.0, 1024.0), (1500.0, 2048.0), (3.0 * 1048576.0, 5.0 * 1048576.0)] {
            assert_eq!(round_up(value), top);
        }
        assert!(round_up(1e12) >= 1e12);
    }
}
