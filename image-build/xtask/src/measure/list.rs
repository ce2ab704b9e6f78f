//! The list of machines when there are many: how long its page takes, and what it weighs on the wire.

use super::{Figure, daemon, quantile, rounded};
use crate::checkout::Checkout;
use anyhow::{Context, Result};
use hyper::Method;
use serde_json::json;
use std::time::Instant;

/// Machines in the state.
const MACHINES: usize = 2000;
/// Folders they are in.
const FOLDERS: usize = 20;
/// Pages asked for.
const ASKED: usize = 200;

/// The list's page and its variants, over the daemon's Unix socket with gzip: no TLS, no browser.
pub async fn pages(checkout: &Checkout) -> Result<Vec<Figure>> {
    let (_dir, host) = daemon::host(checkout).await?;
    let mut console = host.console();
    let networks = console.get("/api/v1/networks").await?;
    let network = networks["items"][0]["id"].as_str().context("a network")?.to_owned();
    let mut folders = Vec::new();
    for index in 0..FOLDERS {
        let folder = console.post("/api/v1/folders", &json!({"name": format!("Folder {index}")})).await?;
        folders.push(folder["id"].as_str().context("a folder has an id")?.to_owned());
    }
    let first = folders[0].clone();
    daemon::machines_of(&host, MACHINES, move |index| {
        json!({"name": format!("machine-{index:04}"), "cpus": 1, "memory_mib": 64, "nics": [{"network": network}],
            "filing": {"folder": folders[index % FOLDERS], "tags": {"env": "prod", "row": format!("{}", index % 10)}}})
    })
    .await?;
    console.fields = vec![("accept-encoding", "gzip".into())];
    let mut figures = Vec::new();
    for (measure, path, goal) in [
        ("list.vms2000", "/vms".to_owned(), 30.0),
        ("list.vms2000.folder", format!("/vms?folder={first}&below=true"), 30.0),
        ("list.vms2000.tag", "/vms?tag=env%3Dprod,row%3D7".to_owned(), 30.0),
    ] {
        let (mut samples, mut bytes) = (Vec::with_capacity(ASKED), 0);
        for index in 0..ASKED + ASKED / 10 {
            let begun = Instant::now();
            let answer = console.send(Method::GET, &path, None).await?.success()?;
            if index >= ASKED / 10 {
                samples.push(begun.elapsed().as_secs_f64() * 1e3);
            }
            bytes = answer.body.len();
        }
        let detail = json!({"machines": MACHINES, "folders": FOLDERS, "pages": samples.len(), "gzip_bytes": bytes, "p99": rounded(quantile(&mut samples, 0.99))});
        figures.push(Figure {
            measure,
            value: rounded(quantile(&mut samples, 0.5)),
            unit: "ms",
            goal,
            detail,
        });
        if measure == "list.vms2000" {
            let (value, detail) =
                (f64::from(u32::try_from(bytes)?), json!({"machines": MACHINES, "gzip": true}));
            figures.push(Figure { measure: "list.vms2000.bytes", value, unit: "B", goal: 61440.0, detail });
        }
    }
    Ok(figures)
}
