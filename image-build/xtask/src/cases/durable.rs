//! What a data disk keeps, and what happens when it can't be used.

use super::boot::{BOOTED, PATIENCE, plan};
use crate::checkout::Checkout;
use anyhow::{Context, Result, ensure};
use hyper::{Method, StatusCode};
use lab::appliance::{Appliance, Firmware};
use lab::browser::Browser;
use lab::datadisk;
use lab::http::{Http, Target};
use lab::shots::SCREENS;
use lab::story::{self, Story};
use lab::wait;
use std::time::Duration;

/// Size of the data disk; it is sparse.
const DISK: u64 = 4 << 30;

/// A machine marked autostart is made on an appliance with a data disk; it is there and runs after a shutdown, and
/// after a power cut. The password of the first boot stays good.
///
/// # Errors
/// When something is lost.
pub async fn reboot(checkout: &Checkout) -> Result<()> {
    let disk = checkout.target.join("lab/durable/data.img");
    std::fs::create_dir_all(checkout.target.join("lab/durable"))?;
    datadisk::make(&disk, DISK)?;
    let plan = plan(checkout, Firmware::Bios, "durable", vec![disk]).await?;
    let scratch = story::scratch(&checkout.target)?;
    let mut appliance = Appliance::start(&plan).await?;
    appliance.answers(BOOTED).await?;
    let greeting = appliance.greeting(true, PATIENCE).await?;
    let password = greeting.password.clone().context("the console shows the first password")?;
    ensure!(!appliance.machine.serial.text().contains("LIVE MODE"), "a data disk is no live mode");
    let browser = Browser::start(&appliance.url(), PATIENCE).await?;
    browser.set_screen(SCREENS[0]).await?;
    let story = Story::new(&browser, &scratch);
    story.log_in(&password).await?;
    story.upload().await?;
    let vm = story.create("kept", true).await?;
    story.start(&vm).await?;
    browser.end().await?;
    appliance.shut_down(PATIENCE).await.context("shutting the appliance down")?;
    for (what, orderly) in [("a shutdown", true), ("a power cut", false)] {
        let mut appliance = Appliance::start(&plan).await?;
        appliance.answers(BOOTED).await.with_context(|| format!("booting after {what}"))?;
        let again = appliance.greeting(false, PATIENCE).await?;
        ensure!(again.fingerprint == greeting.fingerprint, "the certificate changed over {what}");
        let browser = Browser::start(&appliance.url(), PATIENCE).await?;
        browser.set_screen(SCREENS[0]).await?;
        let story = Story::new(&browser, &scratch);
        story.log_in(&password).await.with_context(|| format!("logging in after {what}"))?;
        story.still_there(&vm, "running").await.with_context(|| format!("autostart after {what}"))?;
        if orderly {
            browser.end().await?;
            appliance.machine.pull_plug().await?;
            continue;
        }
        story.force_off(&vm).await?;
        story.delete_with_disks(&vm, "kept").await?;
        browser.end().await?;
        appliance.shut_down(PATIENCE).await?;
    }
    Ok(())
}

/// A data partition that can't be mounted: the console says so, and no page pretends that all is well.
///
/// # Errors
/// When the appliance falls back in silence.
pub async fn broken(checkout: &Checkout) -> Result<()> {
    let disk = checkout.target.join("lab/broken/data.img");
    std::fs::create_dir_all(checkout.target.join("lab/broken"))?;
    datadisk::make_broken(&disk, 256 << 20)?;
    let plan = plan(checkout, Firmware::Bios, "broken", vec![disk]).await?;
    let mut appliance = Appliance::start(&plan).await?;
    let console = appliance.machine.serial.wait_for("THE DATA PARTITION CAN'T BE USED", BOOTED).await?;
    ensure!(!console.contains("LIVE MODE"), "a broken data partition must not become live mode");
    let page = wait::until("a page that names the fault", BOOTED, || async {
        let answer = Http::new(Target::Tls(appliance.address())).send(Method::GET, "/login", None).await?;
        Ok(Some(answer))
    });
    let page = page.await?;
    let text = page.text();
    ensure!(page.status == StatusCode::SERVICE_UNAVAILABLE, "answered {}: {text}", page.status);
    ensure!(
        text.contains("data partition") && !text.contains("login-form"),
        "the page hides the fault: {text}"
    );
    appliance.machine.press_power().await?;
    appliance.machine.wait_off(Duration::from_secs(120)).await.map(drop).context("the power button")
}
