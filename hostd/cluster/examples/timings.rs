//! Timings, printed and never asserted: `cargo run --release -p hostd-cluster --example timings`.

#![allow(clippy::unwrap_used)] // Run by hand: a failure may end it.

#[path = "../tests/fixture.rs"]
#[allow(dead_code)] // Made for the tests; this needs a part of it.
mod fixture;

use fixture::*;
use hostd_cluster::Settings;
use hostd_types::*;
use std::time::{Duration, Instant};

fn show(what: &str, mut samples: Vec<Duration>) {
    samples.sort_unstable();
    let at = |share: f64| samples[((samples.len() - 1) as f64 * share) as usize];
    println!("{what}: p50 {:?}, p99 {:?}", at(0.5), at(0.99));
}

#[tokio::main]
async fn main() {
    let f = Fixture::new().await;
    let mut ids = Vec::new();
    let mut took = Vec::new();
    for n in 0..1000 {
        let id = VmId::new();
        let entry = f.entry(create(id, f.host, blank_vm(&format!("vm{n:04}"))));
        let begun = Instant::now();
        f.cluster.propose(entry).await.unwrap();
        took.push(begun.elapsed());
        ids.push(id);
    }
    show("propose vm.create, one client", took);
    let health = f.cluster.health().await;
    println!("log commit: p50 {:.2} ms, p99 {:.2} ms", health.fsync_p50_ms, health.fsync_p99_ms);

    let begun = Instant::now();
    let entries: Vec<Entry> =
        ids.iter().cycle().take(10_000).map(|id| f.entry(vm_report(*id, running(), None))).collect();
    for chunk in entries.chunks(512) {
        futures_util::future::join_all(chunk.iter().map(|e| f.cluster.propose(e.clone()))).await;
    }
    println!("propose vm.report, 512 clients: {:.0}/s", 10_000.0 / begun.elapsed().as_secs_f64());

    let mut took = Vec::new();
    for id in ids.iter().cycle().take(3000) {
        let begun = Instant::now();
        f.cluster.store().vm(*id).await.unwrap().unwrap();
        took.push(begun.elapsed());
    }
    show("get one machine of 1000", took);
    for (what, params) in [
        ("by name", ListParams::default()),
        (
            "by memory, filtered",
            ListParams { sort: Some("memory".into()), q: Some("vm".into()), ..ListParams::default() },
        ),
    ] {
        let params = ListParams { limit: Some(100), ..params };
        let mut took = Vec::new();
        for _ in 0..300 {
            let begun = Instant::now();
            assert_eq!(f.cluster.store().vms(&params).await.unwrap().items.len(), 100);
            took.push(begun.elapsed());
        }
        show(&format!("list 100 of 1000 machines {what}"), took);
    }

    let mut f = f;
    let mut took = Vec::new();
    for _ in 0..20 {
        f.cluster.shutdown().await;
        let begun = Instant::now();
        f.cluster = hostd_cluster::Cluster::open(f.dir.path(), Settings::default(), alone()).await.unwrap();
        took.push(begun.elapsed());
    }
    show("open with 1000 machines", took);
}
