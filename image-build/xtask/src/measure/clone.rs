//! How long a linked clone takes, of a machine that runs: from the request to a machine that could be started.

use super::snapshot::{end, fill, power, text};
use super::{Figure, daemon, quantile, rounded};
use crate::checkout::Checkout;
use anyhow::{Context, Result};
use serde_json::json;
use std::time::Instant;

/// Clones of one machine, one after the other.
const CLONES: usize = 9;

/// The median of the clones.
pub async fn linked(checkout: &Checkout) -> Result<Vec<Figure>> {
    let (_dir, host) = daemon::host(checkout).await?;
    let mut console = host.console();
    let disks = json!([{"from": "blank", "size_bytes": 2_u64 << 30}]);
    let vm = json!({"name": "source", "cpus": 1, "memory_mib": 64, "disks": disks});
    let accepted = console.post("/api/v1/vms", &vm).await?;
    let vm = text(&accepted["id"])?;
    end(&mut console, &accepted).await?;
    let detail = console.get(&format!("/api/v1/vms/{vm}")).await?;
    let file = format!("{}.qcow2", text(&detail["disks"][0]["id"])?);
    fill(&host, &host.pool().join("volumes").join(file))?;
    power(&mut console, &vm, "start").await?;
    let mut taken = Vec::new();
    for index in 0..CLONES {
        let body = json!({"name": format!("clone-{index}"), "mode": "linked"});
        let begun = Instant::now();
        let accepted = console.post(&format!("/api/v1/vms/{vm}/clone"), &body).await?;
        end(&mut console, &accepted).await?;
        let made = console.get(&format!("/api/v1/vms/{}", text(&accepted["id"])?)).await?;
        taken.push(rounded(begun.elapsed().as_secs_f64()));
        let status = &made["vm"]["status"];
        anyhow::ensure!(status["phase"] == "ready" && status["state"] == "off", "it is not ready: {status}");
    }
    power(&mut console, &vm, "force_off").await.context("ending the source")?;
    let value = quantile(&mut taken.clone(), 0.5);
    let detail = json!({"clones_s": taken, "source": "runs, 1 GiB written"});
    Ok(vec![Figure { measure: "clone-linked.total", value: rounded(value), unit: "s", goal: 1.0, detail }])
}
