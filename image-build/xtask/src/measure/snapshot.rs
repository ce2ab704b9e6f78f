//! How long a snapshot of a running machine and its deletion with the merge of 1 GiB take, against libvirt's own calls
//! on the same machine, side by side.

use super::{Figure, daemon, quantile, rounded};
use crate::checkout::Checkout;
use anyhow::{Context, Result, bail, ensure};
use hyper::Method;
use lab::host::Host;
use lab::http::Http;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Pairs of a snapshot and its deletion.
const PAIRS: usize = 3;
/// What is merged, MiB.
const MERGED: usize = 1024;
/// Time for one of them.
const DEADLINE: Duration = Duration::from_secs(300);

/// The ratio of the medians of create and delete together.
pub async fn ratio(checkout: &Checkout) -> Result<Vec<Figure>> {
    let (_dir, mut host) = daemon::host(checkout).await?;
    let mut console = host.console();
    let disks = json!([{"from": "blank", "size_bytes": (MERGED + 64) << 20}]);
    let vm = json!({"name": "kept", "cpus": 1, "memory_mib": 64, "disks": disks});
    let accepted = console.post("/api/v1/vms", &vm).await?;
    let vm = accepted["id"].as_str().context("the answer names the machine")?.to_owned();
    end(&mut console, &accepted).await?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        ours.push(rounded(own(&host, &mut console, &vm).await?));
        power(&mut console, &vm, "start").await?;
        // It would mend what is done to its machine behind its back.
        host.terminate().await?;
        theirs.push(rounded(direct(&host, &vm)?));
        host.restart().await?;
        console = host.console();
    }
    let (own, other) = (quantile(&mut ours.clone(), 0.5), quantile(&mut theirs.clone(), 0.5));
    let detail = json!({"ours_s": ours, "libvirt_s": theirs, "merged_mib": MERGED});
    Ok(vec![Figure { measure: "snapshot.ratio", value: rounded(own / other), unit: "1", goal: 1.2, detail }])
}

/// Seconds of a snapshot and of its deletion, with 1 GiB written in between.
async fn own(host: &Host, console: &mut Http, vm: &str) -> Result<f64> {
    let path = format!("/api/v1/vms/{vm}/snapshots");
    power(console, vm, "start").await?;
    let begun = Instant::now();
    let accepted = console.post(&path, &json!({"name": "measured"})).await?;
    end(console, &accepted).await?;
    let taking = begun.elapsed();
    power(console, vm, "force_off").await?;
    let detail = console.get(&format!("/api/v1/vms/{vm}")).await?;
    let (id, layers) = (&detail["disks"][0]["id"], &detail["disks"][0]["spec"]["layers"]);
    let name = format!("{}.{}.qcow2", text(id)?, text(&layers["active"])?);
    fill(host, &host.pool().join("volumes").join(name))?;
    power(console, vm, "start").await?;
    let begun = Instant::now();
    let snapshot = text(&accepted["id"])?;
    let deleted = console.send(Method::DELETE, &format!("{path}/{snapshot}"), None).await?.success()?;
    end(console, &deleted.json()?).await?;
    let deleting = begun.elapsed();
    power(console, vm, "force_off").await?;
    Ok((taking + deleting).as_secs_f64())
}

/// The same by libvirt's own calls on the same domain, which runs.
fn direct(host: &Host, vm: &str) -> Result<f64> {
    let base = source(host, vm)?;
    let over = base.with_extension("direct");
    let _ = std::fs::remove_file(&over);
    let virsh = |args: &[&str]| host.libvirt.run_inside("virsh", &[&["-q"], args].concat());
    let spec = format!("vda,snapshot=external,file={}", over.display());
    let create = ["snapshot-create-as", vm, "--no-metadata", "--disk-only", "--atomic", "--diskspec", &spec];
    let begun = Instant::now();
    virsh(&create)?;
    let taking = begun.elapsed();
    virsh(&["destroy", vm])?;
    fill(host, &over)?;
    virsh(&["start", vm])?;
    ensure!(source(host, vm)? == over, "libvirt starts the machine with the new file");
    let begun = Instant::now();
    virsh(&["blockcommit", vm, "vda", "--active", "--pivot", "--wait"])?;
    let deleting = begun.elapsed();
    virsh(&["destroy", vm])?;
    std::fs::remove_file(&over)?;
    Ok((taking + deleting).as_secs_f64())
}

/// The file that the first disk is written to.
fn source(host: &Host, vm: &str) -> Result<PathBuf> {
    let listed = host.libvirt.run_inside("virsh", &["-q", "domblklist", vm])?;
    let line = listed.lines().find(|line| line.trim_start().starts_with("vda")).context("a disk")?;
    Ok(PathBuf::from(line.split_whitespace().nth(1).context("its file")?))
}

pub(super) fn fill(host: &Host, file: &Path) -> Result<()> {
    let order = format!("write -P 85 0 {MERGED}M");
    host.libvirt.run_inside("qemu-io", &["-f", "qcow2", "-c", &order, &file.display().to_string()]).map(drop)
}

pub(super) async fn power(console: &mut Http, vm: &str, action: &str) -> Result<()> {
    let wanted = if action == "start" { "running" } else { "off" };
    let begun = Instant::now();
    let path = format!("/api/v1/vms/{vm}");
    if text(&console.get(&path).await?["vm"]["status"]["state"])? == wanted {
        return Ok(());
    }
    let accepted = console.post(&format!("{path}/power"), &json!({"action": action})).await?;
    end(console, &accepted).await?;
    while text(&console.get(&path).await?["vm"]["status"]["state"])? != wanted {
        ensure!(begun.elapsed() < DEADLINE, "the machine is not {wanted}");
        tokio::time::sleep(Duration::from_millis(20)).await; // between two looks
    }
    Ok(())
}

/// Waits for the end of accepted work.
pub(super) async fn end(console: &mut Http, accepted: &Value) -> Result<()> {
    let (begun, path) = (Instant::now(), format!("/api/v1/tasks/{}", text(&accepted["task"])?));
    loop {
        let task = console.get(&path).await?;
        match text(&task["state"])?.as_str() {
            "succeeded" => return Ok(()),
            "failed" => bail!("it failed: {task}"),
            _ => ensure!(begun.elapsed() < DEADLINE, "it does not end: {task}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await; // between two looks
    }
}

pub(super) fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).with_context(|| format!("a text, not {value}"))
}
