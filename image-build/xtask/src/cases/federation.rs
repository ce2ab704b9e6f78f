//! Three hosts become a cluster by their pages alone: daemons on the build machine, and booted ISOs on one wire.

use super::boot::{BOOTED, PATIENCE, plan};
use crate::checkout::{Checkout, run};
use crate::previous;
use anyhow::{Context, Result, ensure};
use lab::appliance::{Appliance, Boot, Firmware};
use lab::browser::Browser;
use lab::gathering as hosts;
use lab::shell::Shell;
use lab::shots::SCREENS;
use lab::story::{self, Story};
use lab::wire::Wire;
use std::process::Command;

/// Memory of each appliance, MiB: three must fit the machine.
const MEMORY: u32 = 2048;

/// One appliance, as its administrator sees it.
struct Seat {
    appliance: Appliance,
    browser: Browser,
    password: String,
}

/// Boots three ISOs, joins them by token, cuts one off and puts it back.
///
/// # Errors
/// When a step fails; pictures of the pages are kept.
pub async fn three_isos(checkout: &Checkout) -> Result<()> {
    let dir = checkout.target.join("lab/three");
    let mut wire = Wire::start(&dir, 3).await?;
    let mut boots: Vec<Boot> = Vec::new();
    for end in wire.ends() {
        let boot = plan(checkout, Firmware::Bios, &format!("three/h{}", end.number + 1), Vec::new()).await?;
        boots.push(Boot { lan: Some(*end), memory_mib: MEMORY, ..boot });
    }
    let mut booting = Vec::new();
    for boot in &boots {
        booting.push(Appliance::start(boot).await?);
    }
    let mut seats = Vec::new();
    for (number, appliance) in (1..).zip(booting) {
        seats.push(sit_down(appliance, number).await.with_context(|| format!("host {number}"))?);
    }
    wire.end_dhcp().await.context("the wire between the appliances")?;
    let told = chapters(checkout, &mut seats).await;
    if told.is_err() {
        for (seat, boot) in seats.iter_mut().zip(&boots) {
            let _ = seat.browser.screenshot(&boot.dir.join("failed.png")).await;
            let _ = seat.appliance.machine.screen(&boot.dir.join("console.png")).await;
        }
    }
    told?;
    for seat in seats {
        seat.browser.end().await?;
        seat.appliance.shut_down(PATIENCE).await.context("the power button")?;
    }
    Ok(())
}

fn guest(number: usize) -> String {
    format!("guest-{number}")
}

/// Waits for an appliance, gives it a name and a machine, and opens a browser at it.
async fn sit_down(mut appliance: Appliance, number: usize) -> Result<Seat> {
    let seconds = appliance.answers(BOOTED).await?;
    println!("host {number} answers after {seconds:.1} s");
    let password =
        appliance.greeting(true, PATIENCE).await?.password.context("the console shows the password")?;
    let mut shell = Shell::log_in(&mut appliance.machine.serial, &password, PATIENCE).await?;
    shell.run(&format!("qx host rename host-{number}")).await?;
    shell.run(&format!("qx vm create {} --memory 32M", guest(number))).await?;
    let browser = Browser::start(&appliance.url(), PATIENCE).await?;
    browser.set_screen(SCREENS[0]).await?;
    Ok(Seat { appliance, browser, password })
}

async fn chapters(checkout: &Checkout, seats: &mut [Seat]) -> Result<()> {
    let scratch = story::scratch(&checkout.target)?;
    let cluster_password = seats[0].password.clone();
    for seat in &*seats {
        Story::new(&seat.browser, &scratch).log_in(&seat.password).await?;
    }
    for joiner in 1..seats.len() {
        // The second is invited by the first, the third by the second: any member can.
        let token = hosts::invite(&seats[joiner - 1].browser).await.context("making a token")?;
        let browser = &seats[joiner].browser;
        hosts::preview(browser, &token, &guest(joiner + 1)).await?;
        hosts::agree(browser).await.with_context(|| format!("joining host {}", joiner + 1))?;
        hosts::arrives(browser).await?;
        hosts::log_in(browser, &cluster_password).await?;
        println!("host {} has joined", joiner + 1);
    }
    let guests: Vec<String> = (1..=seats.len()).map(guest).collect();
    for (number, seat) in (1..).zip(&*seats) {
        let told = async {
            hosts::counts(&seat.browser, guests.len()).await?;
            hosts::lists(&seat.browser, &guests).await
        };
        told.await.with_context(|| format!("the pages of host {number}"))?;
    }
    println!("each shows the machines of all");
    cut(seats, &guests).await.context("cutting the third off")
}

/// The third is cut off: the first says so and shows its machine all the same; the third is still served. It comes back.
async fn cut(seats: &mut [Seat], guests: &[String]) -> Result<()> {
    let [first, .., third] = seats else { anyhow::bail!("three hosts are needed") };
    third.appliance.set_lan(false).await?;
    hosts::misses(&first.browser, 1).await.context("seen from the first")?;
    hosts::lists(&first.browser, guests).await?;
    hosts::misses(&third.browser, 2).await.context("seen from the third")?;
    println!("a cut host is shown, and is served");
    third.appliance.set_lan(true).await?;
    hosts::misses(&first.browser, 0).await
}

/// The tests of clusters that take minutes.
///
/// # Errors
/// When one fails.
pub fn long(checkout: &Checkout) -> Result<()> {
    let mut nextest = nextest(checkout, "only", "test(cluster::) - test(cluster::mixed::)");
    ensure!(run(&mut nextest).is_ok(), "a test of clusters failed");
    Ok(())
}

/// All tests of a cluster of hosts of two versions.
///
/// # Errors
/// When there is no previous release, or one fails.
pub fn mixed(checkout: &Checkout) -> Result<()> {
    let reference = previous::reference(checkout)?;
    let reference =
        reference.context("HEAD builds upon no release (vX.Y.Z); name a commit with --previous")?;
    let program = previous::build(checkout, &reference)?;
    let mut nextest = nextest(checkout, "all", "test(cluster::mixed::)");
    ensure!(run(nextest.env(previous::PROGRAM, program)).is_ok(), "a test with {reference} failed");
    Ok(())
}

/// The runner of the daemon's tests, one after the other: those that are `ignored`, by `filter`.
pub(super) fn nextest(checkout: &Checkout, ignored: &str, filter: &str) -> Command {
    let words =
        ["nextest", "run", "--workspace", "--locked", "--profile", "lab", "-j", "1", "--no-fail-fast"];
    let mut nextest = checkout.cargo(&words);
    nextest.args(["--run-ignored", ignored, "-E", &format!("package(hostd) and ({filter})")]);
    nextest
}
