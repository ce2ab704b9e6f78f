//! The ISO boots; by BIOS the whole story is lived through inside it.

use crate::checkout::Checkout;
use crate::iso;
use anyhow::{Context, Result, ensure};
use lab::accel::Accel;
use lab::appliance::{Appliance, Boot, Firmware};
use lab::browser::Browser;
use lab::machine::free_port;
use lab::shell::Shell;
use lab::shots::SCREENS;
use lab::story::{self, Story};
use std::path::PathBuf;
use std::time::Duration;

/// Time from QEMU's start to the login page; generous, as the machine may be busy with other things.
pub const BOOTED: Duration = Duration::from_secs(240);
/// Time for one thing in a browser whose product runs in emulation.
pub const PATIENCE: Duration = Duration::from_secs(150);

/// How to boot the built ISO in a test.
///
/// # Errors
/// When there is no free port.
pub async fn plan(checkout: &Checkout, firmware: Firmware, name: &str, disks: Vec<PathBuf>) -> Result<Boot> {
    Ok(Boot {
        iso: iso::path(checkout),
        firmware,
        accel: iso::accel(checkout).await?,
        memory_mib: 3072,
        cpus: 2,
        disks,
        port: free_port()?,
        lan: None,
        dir: checkout.target.join("lab").join(name),
    })
}

/// The processor the appliance must show.
pub fn processor(accel: Accel) -> String {
    match accel {
        Accel::Kvm => story::own_processor(),
        Accel::Emulation => "QEMU TCG CPU".into(),
    }
}

/// Boots by BIOS and tells the story.
///
/// # Errors
/// When a step of it fails.
pub async fn bios(checkout: &Checkout) -> Result<()> {
    let boot = plan(checkout, Firmware::Bios, "bios", Vec::new()).await?;
    let mut appliance = Appliance::start(&boot).await?;
    let seconds = appliance.answers(BOOTED).await?;
    println!("the login page answers after {seconds:.1} s");
    let greeting = appliance.greeting(true, PATIENCE).await?;
    let password = greeting.password.context("the console shows the password in live mode")?;
    ensure!(appliance.machine.serial.text().contains("LIVE MODE"), "live mode must say so on the console");
    let browser = Browser::start(&appliance.url(), PATIENCE).await?;
    browser.set_screen(SCREENS[0]).await?;
    let scratch = story::scratch(&checkout.target)?;
    let told = Story::new(&browser, &scratch).tell(&password, &processor(boot.accel)).await;
    if told.is_err() {
        let _ = browser.screenshot(&boot.dir.join("failed.png")).await;
        let _ = appliance.machine.screen(&boot.dir.join("console.png")).await;
    }
    told?;
    browser.end().await?;
    appliance.shut_down(PATIENCE).await.context("the power button")
}

/// Boots by UEFI with Secure Boot; the kernel says that it is on.
///
/// # Errors
/// When it does not boot or Secure Boot is off.
pub async fn uefi(checkout: &Checkout) -> Result<()> {
    let boot = plan(checkout, Firmware::Uefi, "uefi", Vec::new()).await?;
    let mut appliance = Appliance::start(&boot).await?;
    let seconds = appliance.answers(BOOTED).await?;
    println!("the login page answers after {seconds:.1} s");
    let greeting = appliance.greeting(true, PATIENCE).await?;
    let password = greeting.password.context("the console shows the password in live mode")?;
    let mut shell = Shell::log_in(&mut appliance.machine.serial, &password, PATIENCE).await?;
    let said = shell.run("dmesg | grep -i 'secure boot'").await?;
    ensure!(said.contains("Secure boot enabled"), "Secure Boot is not on: {said}");
    println!("{}", said.lines().next().unwrap_or_default());
    appliance.shut_down(PATIENCE).await.context("the power button")
}
