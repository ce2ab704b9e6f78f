//! Figures of the daemon's API over its Unix socket, with a thousand machines in the state.

use super::{Figure, quantile, rounded};
use crate::checkout::Checkout;
use crate::iso::Daemon;
use anyhow::{Context, Result};
use hyper::Method;
use lab::host::Host;
use lab::http::Http;
use lab::wait;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// Machines in the state.
const MACHINES: usize = 1000;
/// Connections that create them.
const CONNECTIONS: usize = 8;

/// A private host with the daemon as it ships. Its state is below the target folder: on a disk, where fsync costs what
/// it costs.
pub async fn host(checkout: &Checkout) -> Result<(tempfile::TempDir, Host)> {
    let program = Daemon::Image.build(checkout)?;
    let dir =
        tempfile::Builder::new().prefix("m").tempdir_in(&checkout.target).context("making a test bed")?;
    let host = Host::start(&program, dir.path()).await?;
    Ok((dir, host))
}

/// Creates `count` machines that stay off, and waits until every one of them is ready.
pub async fn machines(host: &Host, count: usize) -> Result<()> {
    machines_of(
        host,
        count,
        |index| json!({"name": format!("machine-{index:04}"), "cpus": 1, "memory_mib": 64}),
    )
    .await
}

/// The same, made of what `body` says of each.
pub async fn machines_of(
    host: &Host,
    count: usize,
    body: impl Fn(usize) -> Value + Clone + Send + 'static,
) -> Result<()> {
    let mut workers = Vec::new();
    for worker in 0..CONNECTIONS {
        let (mut console, body) = (host.console(), body.clone());
        workers.push(tokio::spawn(async move {
            for index in (worker..count).step_by(CONNECTIONS) {
                console.post("/api/v1/vms", &body(index)).await?;
            }
            anyhow::Ok(())
        }));
    }
    for worker in workers {
        worker.await??;
    }
    wait::until("every machine", Duration::from_secs(600), || {
        let mut console = host.console();
        async move {
            let page = console.get("/api/v1/tasks?state=running&limit=1").await?;
            Ok(page["items"].as_array().is_some_and(Vec::is_empty).then_some(()))
        }
    })
    .await
}

/// Latencies of reading and writing.
pub async fn api(checkout: &Checkout) -> Result<Vec<Figure>> {
    let (dir, host) = host(checkout).await?;
    machines(&host, MACHINES).await?;
    let mut console = host.console();
    let page = console.get("/api/v1/vms?limit=100").await?;
    let vm = page["items"][50]["id"].as_str().context("a machine has an id")?.to_owned();
    let path = format!("/api/v1/vms/{vm}");
    let (mut one, one_bytes) = times(&mut console, 2000, Method::GET, &path, |_| None).await?;
    let (mut list, list_bytes) =
        times(&mut console, 300, Method::GET, "/api/v1/vms?limit=100", |_| None).await?;
    let note = |index: usize| Some(json!({"description": format!("note {index}")}));
    let (mut submit, _) = times(&mut console, 500, Method::PATCH, &path, note).await?;
    let fsync = fsync_p50(dir.path())?;
    let vm_detail =
        json!({"requests": one.len(), "machines": MACHINES, "bytes": one_bytes, "goal_for": "p50"});
    let p50 = rounded(quantile(&mut one, 0.5));
    let p99 = rounded(quantile(&mut one, 0.99));
    let list_detail = json!({"requests": list.len(), "machines": MACHINES, "rows": 100, "bytes": list_bytes});
    let submit_detail = json!({"requests": submit.len(), "what": "PATCH description", "fsync_p50_ms": fsync,
        "p99": rounded(quantile(&mut submit, 0.99))});
    Ok(vec![
        Figure { measure: "api.vm.p50", value: p50, unit: "ms", goal: 0.5, detail: vm_detail.clone() },
        Figure { measure: "api.vm.p99", value: p99, unit: "ms", goal: 0.5, detail: vm_detail },
        Figure {
            measure: "api.list100.p50",
            value: rounded(quantile(&mut list, 0.5)),
            unit: "ms",
            goal: 2.0,
            detail: list_detail,
        },
        Figure {
            measure: "submit.p50",
            value: rounded(quantile(&mut submit, 0.5)),
            unit: "ms",
            goal: 1.0,
            detail: submit_detail,
        },
    ])
}

/// Milliseconds of each of `count` requests on one connection, after a tenth as many that are not counted; and the
/// bytes of the last answer.
async fn times(
    console: &mut Http,
    count: usize,
    method: Method,
    path: &str,
    body: impl Fn(usize) -> Option<Value>,
) -> Result<(Vec<f64>, usize)> {
    let warm = count / 10;
    let (mut samples, mut bytes) = (Vec::with_capacity(count), 0);
    for index in 0..count + warm {
        let body = body(index);
        let begun = Instant::now();
        let answer = console.send(method.clone(), path, body.as_ref()).await?.success()?;
        if index >= warm {
            samples.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        bytes = answer.body.len();
    }
    Ok((samples, bytes))
}

/// What one small write and fsync costs on the same file system, to judge committed writes by.
fn fsync_p50(dir: &Path) -> Result<f64> {
    let mut file = std::fs::File::create(dir.join("fsync"))?;
    let mut samples = Vec::new();
    for _ in 0..200 {
        let begun = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        samples.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(rounded(quantile(&mut samples, 0.5)))
}
