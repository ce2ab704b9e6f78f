//! `cargo xtask measure`: the figures we quote, each as one line of JSON. Nothing here asserts a figure; a goal stands
//! beside it.

mod appliance;
mod clone;
mod console;
mod daemon;
mod failover;
mod fleet;
mod hundred;
mod join;
mod list;
mod page;
mod snapshot;
mod start;
mod stats;
mod write;

use crate::checkout::Checkout;
use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::Value;

/// One figure.
#[derive(Debug, Serialize)]
pub struct Figure {
    /// Dotted name.
    pub measure: &'static str,
    /// What was found.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What we want at most.
    pub goal: f64,
    /// How it was found.
    pub detail: Value,
}

/// Names that can be asked for; names measured in one go stand together.
const GROUPS: [(Group, &[&str]); 17] = [
    (Group::IsoSize, &["iso.bytes"]),
    (Group::BootBios, &["boot.bios"]),
    (Group::BootUefi, &["boot.uefi"]),
    (Group::Idle, &["idle.used_mib", "idle.hostd_rss_mb"]),
    (Group::Pages, &["page.login", "page.vms"]),
    (Group::Api, &["api.vm.p50", "api.vm.p99", "api.list100.p50", "submit.p50"]),
    (Group::List, &["list.vms2000", "list.vms2000.bytes", "list.vms2000.folder", "list.vms2000.tag"]),
    (Group::Start, &["vm-start.ratio"]),
    (Group::Console, &["console.first_frame"]),
    (Group::Stats, &["stats.cpu30"]),
    (Group::Snapshot, &["snapshot.ratio"]),
    (Group::Clone, &["clone-linked.total"]),
    (Group::Join, &["join.one", "join.vms50", "join.three"]),
    (
        Group::Write,
        &["write3.p50", "write3.p99", "write3.follower.p50", "write3.follower.p99", "write3.rate64"],
    ),
    (Group::Failover, &["failover-leader.p50", "failover-leader.max"]),
    (Group::Recover, &["recover.total"]),
    (Group::Hundred, &hundred::NAMES),
];

/// What is measured in one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    IsoSize,
    BootBios,
    BootUefi,
    Idle,
    Pages,
    Api,
    List,
    Start,
    Console,
    Stats,
    Snapshot,
    Clone,
    Join,
    Write,
    Failover,
    Recover,
    Hundred,
}

/// Measures the named figures, or all.
///
/// # Errors
/// When a name is unknown or something can't be measured; figures found before that are printed.
pub async fn measure(checkout: &Checkout, names: &[String]) -> Result<()> {
    let known: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("there is no measure {unknown}; there are: {}", known.join(", "));
    }
    let wanted = |name: &str| names.is_empty() || names.iter().any(|n| n == name);
    for (group, members) in GROUPS {
        if !members.iter().any(|member| wanted(member)) {
            continue;
        }
        let figures = match group {
            Group::IsoSize => appliance::size(checkout)?,
            Group::BootBios => appliance::boot(checkout, lab::appliance::Firmware::Bios).await?,
            Group::BootUefi => appliance::boot(checkout, lab::appliance::Firmware::Uefi).await?,
            Group::Idle => appliance::idle(checkout).await?,
            Group::Pages => page::weights(checkout).await?,
            Group::Api => daemon::api(checkout).await?,
            Group::List => list::pages(checkout).await?,
            Group::Stats => stats::cpu(checkout).await?,
            Group::Start => start::ratio(checkout).await?,
            Group::Console => console::first_frame(checkout).await?,
            Group::Clone => clone::linked(checkout).await?,
            Group::Snapshot => snapshot::ratio(checkout).await?,
            Group::Join => join::times(checkout).await?,
            Group::Write => write::times(checkout).await?,
            Group::Failover => failover::leader(checkout).await?,
            Group::Recover => failover::recover(checkout).await?,
            Group::Hundred => hundred::costs(checkout)?,
        };
        for figure in figures.iter().filter(|figure| wanted(figure.measure)) {
            println!("{}", serde_json::to_string(figure)?);
        }
    }
    Ok(())
}

/// The value below which `share` (0 to 1) of the samples lie.
fn quantile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let last = samples.len().saturating_sub(1);
    let index = (last as f64 * share).round() as usize;
    samples.get(index).copied().unwrap_or(f64::NAN)
}

/// `value` with three significant decimals, so that lines stay readable.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_taken_from_sorted_samples() {
        let mut samples = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(quantile(&mut samples, 0.5), 3.0);
        assert_eq!(quantile(&mut samples, 0.99), 5.0);
        assert!(quantile(&mut [], 0.5).is_nan());
    }
}
