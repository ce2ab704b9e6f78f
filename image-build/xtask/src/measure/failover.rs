//! How long nothing can be written when the leader is gone, and how long a survivor takes to go on alone.

use super::fleet::{Bed, LOOK, PATIENCE, load, voters};
use super::{Figure, quantile, rounded, write};
use crate::checkout::Checkout;
use anyhow::{Context, Result, ensure};
use hyper::Method;
use lab::http::Http;
use serde_json::json;
use std::time::Instant;

/// Leaders that are killed.
const RUNS: usize = 30;

/// Seconds from the leader's end to the next write that is committed.
pub async fn leader(checkout: &Checkout) -> Result<Vec<Figure>> {
    let mut bed = Bed::joined(checkout, 3).await?;
    let secret = bed.secret().await?;
    let mut vms = Vec::new();
    for i in 0..3 {
        vms.push(bed.machine(i, &format!("kept-{i}")).await?);
        bed.is_idle(i).await?;
    }
    let mut runs = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let leader = bed.leader().await?;
        let (one, two) = ((leader + 1) % 3, (leader + 2) % 3);
        let (mut at_one, mut at_two) = (bed.client(one, &secret), bed.client(two, &secret));
        write::write(&mut at_one, &vms[one], "before").await?;
        write::write(&mut at_two, &vms[two], "before").await?;
        let begun = Instant::now();
        bed.hosts.crash(leader)?;
        tokio::select! {
            written = until_written(&mut at_one, &vms[one]) => written?,
            written = until_written(&mut at_two, &vms[two]) => written?,
        }
        runs.push(rounded(begun.elapsed().as_secs_f64()));
        bed.hosts.restart(leader).await?;
        let here = bed.view(leader).await?["here"].clone();
        let back = |row: &serde_json::Value| row["id"] == here && row["liveness"] == "up" && row["lag"] == 0;
        bed.until(one, "the old leader back", |view| {
            voters(view) == 3 && view["members"].as_array().is_some_and(|rows| rows.iter().any(back))
        })
        .await?;
    }
    let detail = json!({"runs": runs, "load": load()});
    let figure = |measure, share, goal| Figure {
        measure,
        value: quantile(&mut runs.clone(), share),
        unit: "s",
        goal,
        detail: detail.clone(),
    };
    Ok(vec![figure("failover-leader.p50", 0.5, 4.0), figure("failover-leader.max", 1.0, 6.0)])
}

/// Writes until it succeeds.
async fn until_written(http: &mut Http, vm: &str) -> Result<()> {
    let begun = Instant::now();
    loop {
        match write::write(http, vm, "after").await {
            Ok(()) => return Ok(()),
            Err(error) => ensure!(begun.elapsed() < PATIENCE, "nothing can be written: {error:#}"),
        }
        tokio::time::sleep(LOOK).await; // between two tries
    }
}

/// Seconds from the word of the administrator, that two of three are gone for good, to the next committed write.
pub async fn recover(checkout: &Checkout) -> Result<Vec<Figure>> {
    let mut bed = Bed::joined(checkout, 3).await?;
    let secret = bed.secret().await?;
    let vm = bed.machine(0, "kept").await?;
    bed.is_idle(0).await?;
    let lost: Vec<String> = (1..3).map(|i| bed.hosts.name(i).to_owned()).collect();
    let cut = Instant::now();
    for i in 1..3 {
        bed.hosts.power_cut(i)?;
    }
    let mut http = bed.client(0, &secret);
    let body = json!({"powered_off": lost});
    // It is refused until this host sees for itself that the others are gone.
    let (begun, refused) = loop {
        let begun = Instant::now();
        let answer = http.send(Method::POST, "/api/v1/cluster/recover", Some(&body)).await?;
        if answer.status.is_success() {
            break (begun, begun.duration_since(cut));
        }
        ensure!(cut.elapsed() < PATIENCE, "it can't be recovered: {}", answer.text());
        tokio::time::sleep(LOOK).await; // between two tries
    };
    until_written(&mut http, &vm).await.context("after the recovery")?;
    let value = rounded(begun.elapsed().as_secs_f64());
    let detail = json!({"allowed_after": rounded(refused.as_secs_f64()), "load": load()});
    Ok(vec![Figure { measure: "recover.total", value, unit: "s", goal: 5.0, detail }])
}
