//! What watching guests costs: the daemon's processor time while thirty of them run and nobody looks.

use super::{Figure, daemon, rounded};
use crate::checkout::Checkout;
use anyhow::{Context, Result};
use hyper::Method;
use lab::{bootsector, wait};
use serde_json::json;
use std::time::{Duration, Instant};

/// Guests that run.
const GUESTS: usize = 30;
/// How long is watched, after a while to settle.
const WATCHED: Duration = Duration::from_secs(60);
/// What starting leaves behind is over by then.
const SETTLES: Duration = Duration::from_secs(20);

/// Percent of one core.
pub async fn cpu(checkout: &Checkout) -> Result<Vec<Figure>> {
    let (_dir, host) = daemon::host(checkout).await?;
    let mut console = host.console();
    let image = bootsector::image("watched", 1 << 20);
    let uploaded = console
        .send_bytes(Method::POST, "/api/v1/images?name=boot", Some("application/octet-stream"), image.into())
        .await?
        .success()?
        .json()?;
    let image = uploaded["id"].as_str().context("the image has an id")?.to_owned();
    let networks = console.get("/api/v1/networks").await?;
    let network = networks["items"][0]["id"].as_str().context("a network")?.to_owned();
    daemon::machines_of(&host, GUESTS, move |index| {
        json!({"name": format!("guest-{index}"), "cpus": 1, "memory_mib": 16, "start": true,
            "disks": [{"from": "image", "image": image}], "nics": [{"network": network}]})
    })
    .await?;
    wait::until("every guest", Duration::from_secs(600), || {
        let mut console = host.console();
        async move {
            let page = console.get("/api/v1/vms?state=running&limit=1").await?;
            Ok((page["total"] == GUESTS).then_some(()))
        }
    })
    .await?;
    tokio::time::sleep(SETTLES).await;
    let pid = host.pid().context("the daemon runs")?;
    let (before, begun) = (used(pid)?, Instant::now());
    tokio::time::sleep(WATCHED).await;
    let (seconds, wall) = (used(pid)? - before, begun.elapsed().as_secs_f64());
    let detail = json!({"guests": GUESTS, "watched_s": rounded(wall), "cpu_s": rounded(seconds)});
    let value = rounded(100.0 * seconds / wall);
    Ok(vec![Figure { measure: "stats.cpu30", value, unit: "%", goal: 2.0, detail }])
}

/// Seconds of processor time a process used, its own and the kernel's for it.
fn used(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name before it may hold anything.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks =
        |place: usize| -> Result<f64> { Ok(fields.get(place).context("a field is missing")?.parse()?) };
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}
