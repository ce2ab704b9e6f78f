//! Figures of the ISO and of the booted appliance.

use super::fleet::load;
use super::{Figure, quantile, rounded};
use crate::cases::{BOOTED, PATIENCE, plan};
use crate::checkout::Checkout;
use crate::iso::{self, Daemon};
use anyhow::{Context, Result};
use lab::appliance::{Appliance, Firmware};
use lab::shell::Shell;
use serde_json::json;
use std::time::Duration;

/// Boots a median is taken of.
const BOOTS: usize = 5;
/// How long an appliance is left alone before it counts as idle.
const IDLE: Duration = Duration::from_secs(60);

/// Bytes of the ISO without firmware, and beside it those of the one that ships.
pub fn size(checkout: &Checkout) -> Result<Vec<Figure>> {
    let whole = std::fs::metadata(iso::build(checkout, Daemon::Image)?)?.len();
    let bare = checkout.target.join("iso/quantix-bare.iso");
    iso::build_to(checkout, Daemon::Image, &bare, &checkout.target.join("iso/cache"), &["--no-firmware"])?;
    let bytes = std::fs::metadata(&bare)?.len();
    let detail = json!({"without_firmware": bytes, "with_firmware": whole});
    Ok(vec![Figure { measure: "iso.bytes", value: bytes as f64, unit: "B", goal: 150e6, detail }])
}

/// Seconds from QEMU's start to the answering login page.
pub async fn boot(checkout: &Checkout, firmware: Firmware) -> Result<Vec<Figure>> {
    iso::build(checkout, Daemon::Image)?;
    let (measure, goal) = match firmware {
        Firmware::Bios => ("boot.bios", 30.0),
        Firmware::Uefi => ("boot.uefi", 40.0),
    };
    let mut runs = Vec::new();
    let mut accel = None;
    for _ in 0..BOOTS {
        let boot = plan(checkout, firmware, "measure", Vec::new()).await?;
        accel = Some(boot.accel);
        let mut appliance = Appliance::start(&boot).await?;
        runs.push(rounded(appliance.answers(BOOTED).await?));
        appliance.machine.pull_plug().await?;
    }
    let detail = json!({"runs": runs, "accel": format!("{accel:?}"), "load": load()});
    Ok(vec![Figure { measure, value: rounded(quantile(&mut runs.clone(), 0.5)), unit: "s", goal, detail }])
}

/// Memory in use a minute after the boot, as the appliance itself tells it.
pub async fn idle(checkout: &Checkout) -> Result<Vec<Figure>> {
    iso::build(checkout, Daemon::Image)?;
    let boot = plan(checkout, Firmware::Bios, "measure", Vec::new()).await?;
    let mut appliance = Appliance::start(&boot).await?;
    appliance.answers(BOOTED).await?;
    let greeting = appliance.greeting(true, PATIENCE).await?;
    let password = greeting.password.context("the console shows the password in live mode")?;
    // Nothing is waited for: an idle appliance is one that was left alone.
    tokio::time::sleep(IDLE).await;
    let mut shell = Shell::log_in(&mut appliance.machine.serial, &password, PATIENCE).await?;
    let free = shell.run("free -m").await?;
    let words: Vec<&str> =
        free.lines().find(|l| l.starts_with("Mem:")).context("free tells")?.split_whitespace().collect();
    let used: f64 = words.get(2).context("free tells what is used")?.parse()?;
    let line =
        "for p in $(pidof hostd); do tr '\\0' ' ' < /proc/$p/cmdline; grep VmRSS /proc/$p/status; done";
    let processes = shell.run(line).await?;
    let told = processes.lines().find(|l| l.contains("hostd run")).context("hostd runs")?;
    let rss: f64 =
        told.split("VmRSS:").nth(1).and_then(|r| r.split_whitespace().next()).context("its RSS")?.parse()?;
    appliance.machine.pull_plug().await?;
    let memory = json!({"free": free.lines().nth(1), "after_s": IDLE.as_secs()});
    Ok(vec![
        Figure { measure: "idle.used_mib", value: used, unit: "MiB", goal: 130.0, detail: memory },
        Figure {
            measure: "idle.hostd_rss_mb",
            value: rounded(rss * 1024.0 / 1e6),
            unit: "MB",
            goal: 45.0,
            detail: json!({"VmRSS_kB": rss}),
        },
    ])
}
