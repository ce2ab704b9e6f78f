//! The daemon is killed at random points of creating, deleting and uploading. After each restart every task ends, with
//! the truth, and nothing half-made is left.

use crate::checkout::Checkout;
use anyhow::{Context, Result, bail, ensure};
use hyper::Method;
use hyper::body::Bytes;
use lab::host::Host;
use lab::http::{Http, Target};
use lab::{bootsector, wait};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::time::Duration;

/// How often the daemon is killed.
const KILLS: u64 = 20;
/// The daemon is killed within this time after the work began.
const WINDOW_MS: u64 = 900;
/// Time for tasks to end after a restart.
const SETTLE: Duration = Duration::from_secs(90);

/// Kills the daemon again and again and looks at what it left.
///
/// # Errors
/// When a task does not end, or something half-made is left.
pub async fn many(checkout: &Checkout) -> Result<()> {
    let program = checkout.program("hostd")?;
    let dir = tempfile::Builder::new().prefix("qx").tempdir().context("making a test bed")?;
    let mut host = Host::start(&program, dir.path()).await?;
    let random = RandomState::new();
    for round in 0..KILLS {
        let after = random.hash_one(round) % WINDOW_MS;
        let outcome = one(&mut host, round, after).await;
        if let Err(error) = outcome {
            let kept = checkout.target.join("lab/crash.log");
            std::fs::copy(host.log(), &kept)?;
            bail!(
                "round {round}, killed after {after} ms: {error:#}; the daemon's log is {}",
                kept.display()
            );
        }
        println!("round {round}: killed after {after} ms, nothing half-made is left");
    }
    Ok(())
}

async fn one(host: &mut Host, round: u64, after: u64) -> Result<()> {
    let mut console = host.console();
    let vms = console.get("/api/v1/vms?limit=500").await?;
    let oldest = vms["items"].as_array().and_then(|rows| rows.first()).and_then(|vm| vm["id"].as_str());
    let socket = host.socket();
    let work = [
        tokio::spawn(create(Http::new(Target::Unix(socket.clone())), format!("crash-{round}-a"))),
        tokio::spawn(create(Http::new(Target::Unix(socket.clone())), format!("crash-{round}-b"))),
        tokio::spawn(upload(Http::new(Target::Unix(socket.clone())), format!("crash-{round}"))),
        tokio::spawn(delete(Http::new(Target::Unix(socket)), oldest.map(str::to_owned))),
    ];
    // A random moment, not a wait for something: the kill may come at any point.
    tokio::time::sleep(Duration::from_millis(after)).await;
    host.kill()?;
    for task in work {
        let _ = task.await; // cut off, refused or done: the state after the restart tells
    }
    host.restart().await?;
    let mut console = host.console();
    wait::until("the end of every task", SETTLE, || {
        let mut console = host.console();
        async move {
            let running = console.get("/api/v1/tasks?state=running&limit=500").await?;
            let none = running["items"].as_array().is_some_and(Vec::is_empty);
            Ok(none.then_some(()))
        }
    })
    .await?;
    nothing_half(host, &mut console).await
}

async fn create(mut http: Http, name: String) -> Result<Value> {
    let disk = json!({"from": "blank", "size_bytes": 64 << 20});
    let vm = json!({"name": name, "cpus": 1, "memory_mib": 32, "disks": [disk], "start": true});
    http.post("/api/v1/vms", &vm).await
}

async fn upload(mut http: Http, name: String) -> Result<Value> {
    let body = Bytes::from(bootsector::image("crash", 32 << 20));
    let path = format!("/api/v1/images?name={name}");
    http.send_bytes(Method::POST, &path, Some("application/octet-stream"), body).await?.success()?.json()
}

async fn delete(mut http: Http, vm: Option<String>) -> Result<Value> {
    let Some(vm) = vm else { return Ok(Value::Null) };
    http.send(Method::DELETE, &format!("/api/v1/vms/{vm}?disks=true"), None).await?.success()?.json()
}

/// Rows and files belong together, no machine is half there, no failed task is without a reason.
async fn nothing_half(host: &Host, console: &mut Http) -> Result<()> {
    let volumes = console.get("/api/v1/volumes?limit=500").await?;
    let images = console.get("/api/v1/images?limit=500").await?;
    same("volumes", &ids(&volumes, "ready")?, &files(&host.pool().join("volumes"))?)?;
    same("images", &ids(&images, "ready")?, &files(&host.pool().join("images"))?)?;
    let vms = console.get("/api/v1/vms?limit=500").await?;
    let known = ids(&volumes, "ready")?;
    for vm in vms["items"].as_array().context("a page of machines")? {
        ensure!(vm["status"]["phase"] == "ready", "a machine is half made: {vm}");
        for disk in vm["spec"]["disks"].as_array().context("disks")? {
            let volume = disk["volume"].as_str().unwrap_or_default();
            ensure!(known.contains(volume), "machine {} has lost its disk {volume}", vm["spec"]["name"]);
        }
    }
    let domains = host.libvirt.run_inside("virsh", &["-q", "list", "--all", "--uuid"])?;
    let domains: BTreeSet<String> = domains.split_whitespace().map(str::to_owned).collect();
    ensure!(
        domains.len() == vms["items"].as_array().map_or(0, Vec::len),
        "libvirt knows {} domains, the product {} machines",
        domains.len(),
        vms["total"]
    );
    let failed = console.get("/api/v1/tasks?state=failed&limit=500").await?;
    for task in failed["items"].as_array().context("a page of tasks")? {
        let detail = task["problem"]["detail"].as_str().unwrap_or_default();
        ensure!(!detail.is_empty(), "a failed task says nothing: {task}");
    }
    Ok(())
}

fn ids(page: &Value, phase: &str) -> Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    for row in page["items"].as_array().context("a page of rows")? {
        ensure!(row["status"]["phase"] == phase, "not {phase}: {row}");
        ids.insert(row["id"].as_str().context("a row has an id")?.to_owned());
    }
    Ok(ids)
}

/// The files of a folder by the id they are named after.
fn files(folder: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    if folder.exists() {
        for entry in std::fs::read_dir(folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            ensure!(!name.ends_with(".part"), "a half-written file is left: {name}");
            found.insert(name.split('.').next().unwrap_or_default().to_owned());
        }
    }
    Ok(found)
}

fn same(what: &str, rows: &BTreeSet<String>, files: &BTreeSet<String>) -> Result<()> {
    let lost: Vec<_> = rows.difference(files).collect();
    let orphans: Vec<_> = files.difference(rows).collect();
    ensure!(
        lost.is_empty() && orphans.is_empty(),
        "{what}: rows without files {lost:?}, files without rows {orphans:?}"
    );
    Ok(())
}
