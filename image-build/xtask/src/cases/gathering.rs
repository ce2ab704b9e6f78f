//! The browser's story of a cluster, told to three daemons on the build machine: they come together by their pages, the
//! first shows the screen of a machine on the third, the third is cut off, comes back, and is removed. Pictures are taken.

use crate::checkout::Checkout;
use anyhow::{Context, Result, ensure};
use hyper::Method;
use lab::bootsector;
use lab::browser::Browser;
use lab::fleet::Fleet;
use lab::gathering as hosts;
use lab::shots::SCREENS;
use lab::story::{self, Story};
use lab::wait;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// Time for one thing in the browser.
const PATIENCE: Duration = Duration::from_secs(90);

/// Three hosts, and where pictures of their pages go.
struct Bed {
    fleet: Fleet,
    pictures: PathBuf,
    scratch: PathBuf,
}

/// Tells the story.
///
/// # Errors
/// When a chapter fails; pictures and logs are kept.
pub async fn story(checkout: &Checkout) -> Result<()> {
    let program = checkout.program("hostd")?;
    let dir = tempfile::Builder::new().prefix("qx").tempdir().context("making a test bed")?;
    let fleet = Fleet::start(&program, dir.path(), 3).await?;
    let pictures = checkout.target.join("screenshots/cluster");
    let bed = Bed { fleet, pictures, scratch: story::scratch(&checkout.target)? };
    let outcome = bed.tell().await;
    if outcome.is_err() {
        let kept = checkout.target.join("lab/cluster-story");
        std::fs::create_dir_all(&kept)?;
        for i in 0..3 {
            let _ = std::fs::copy(bed.fleet.host(i).log(), kept.join(format!("h{}.log", i + 1)));
        }
        println!("the daemons' logs are in {}", kept.display());
    }
    outcome
}

impl Bed {
    async fn tell(&self) -> Result<()> {
        let mut browsers = Vec::new();
        for i in 0..3 {
            let browser = Browser::start(&self.fleet.host(i).url(), PATIENCE).await?;
            browser.set_screen(SCREENS[0]).await?;
            browsers.push(browser);
        }
        let told = self.chapters(&browsers).await;
        if told.is_err() {
            for (number, browser) in (1..).zip(&browsers) {
                let _ = browser.screenshot(&self.pictures.join(format!("failed-h{number}.png"))).await;
            }
        }
        for browser in browsers {
            browser.end().await?;
        }
        told
    }

    async fn chapters(&self, browsers: &[Browser]) -> Result<()> {
        let [first, second, third] = browsers else { anyhow::bail!("three browsers are needed") };
        let mut guests = Vec::new();
        for (i, browser) in browsers.iter().enumerate() {
            let name = format!("guest-{}", i + 1);
            self.guest(i, &name).await.with_context(|| format!("making {name}"))?;
            guests.push(name);
            Story::new(browser, &self.scratch).log_in(&self.fleet.host(i).password()?).await?;
        }
        let password = self.fleet.host(0).password()?;
        self.join(first, second, &guests[1], &password).await.context("the second joins")?;
        self.join(second, third, &guests[2], &password).await.context("the third joins")?;
        hosts::counts(first, 3).await?;
        hosts::lists(first, &guests).await?;
        self.vote().await?;
        println!("three hosts are a cluster");
        self.picture(first, "whole", "/cluster").await?;
        self.picture(first, "whole-vms", "/vms").await?;
        let far = self.machine(0, &guests[2]).await?;
        Story::new(first, &self.scratch)
            .watch_screen(&far)
            .await
            .context("the third's screen, from the first")?;
        self.picture(first, "far-console", &format!("/vms/{far}/console")).await?;
        self.lose(first, third, &far).await.context("the third is cut off")?;
        self.remove(first, third).await.context("the third is removed")
    }

    /// A running machine on host `i` whose screen shows something.
    async fn guest(&self, i: usize, name: &str) -> Result<()> {
        let mut console = self.fleet.console(i);
        let image = bootsector::image(story::GUEST_LINE, 1 << 20);
        let kind = Some("application/octet-stream");
        let path = format!("/api/v1/images?name=boot-{}", i + 1);
        let image = console.send_bytes(Method::POST, &path, kind, image.into()).await?.success()?.json()?;
        let body = json!({"name": name, "cpus": 1, "memory_mib": 32, "start": true,
            "disks": [{"from": "image", "image": image["id"]}]});
        console.post("/api/v1/vms", &body).await?;
        wait::until("no task", PATIENCE, || async {
            let page = self.fleet.console(i).get("/api/v1/tasks?state=running&limit=1").await?;
            Ok(page["items"].as_array().is_some_and(Vec::is_empty).then_some(()))
        })
        .await
    }

    /// The id of a machine, as host `i` knows it.
    async fn machine(&self, i: usize, name: &str) -> Result<String> {
        let page = self.fleet.console(i).get("/api/v1/vms").await?;
        let rows = page["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let row = rows.iter().find(|row| row["spec"]["name"] == name).context("the machine's row")?;
        Ok(row["id"].as_str().context("its id")?.to_owned())
    }

    async fn join(&self, member: &Browser, comer: &Browser, guest: &str, password: &str) -> Result<()> {
        let token = hosts::invite(member).await?;
        self.here(member, "token").await?;
        hosts::preview(comer, &token, guest).await?;
        self.here(comer, "preview").await?;
        hosts::agree(comer).await?;
        self.here(comer, "joining").await?;
        hosts::arrives(comer).await?;
        self.here(comer, "arrived").await?;
        hosts::log_in(comer, password).await
    }

    /// Waits until all three vote.
    async fn vote(&self) -> Result<()> {
        wait::until("three voters", PATIENCE, || async {
            let view = self.fleet.console(0).get("/api/v1/cluster").await?;
            Ok((view["quorum"]["voters"] == 3).then_some(()))
        })
        .await
    }

    /// The third is cut off: the first shows its rows with their age, the third says that there is no majority. It is
    /// put back, and all is well.
    async fn lose(&self, first: &Browser, third: &Browser, far: &str) -> Result<()> {
        self.fleet.cut(2)?;
        hosts::misses(first, 1).await?;
        hosts::majority(first, true).await?;
        self.picture(first, "one-away", "/cluster").await?;
        self.picture(first, "one-away-vms", "/vms").await?;
        self.picture(first, "one-away-vm", &format!("/vms/{far}")).await?;
        self.no_power(first).await?;
        self.picture(first, "one-away-overview", "/").await?;
        hosts::misses(third, 2).await?;
        hosts::majority(third, false).await?;
        self.picture(third, "cut-off", "/cluster").await?;
        let story = Story::new(third, &self.scratch);
        story.force_off(far).await.context("its own machine is its own to stop")?;
        story.start(far).await?;
        println!("a cut host is shown, and works for itself");
        self.fleet.heal(2)?;
        hosts::misses(first, 0).await?;
        hosts::majority(third, true).await
    }

    /// The page of a machine whose host does not answer, which is shown, offers none of the power buttons.
    async fn no_power(&self, browser: &Browser) -> Result<()> {
        let offered = "const buttons = [...document.querySelectorAll('#head .actions form > button')]; \
            return buttons.length > 0 && buttons.every(b => b.disabled && b.title.includes('does not answer'))";
        ensure!(browser.script(offered).await? == true, "the host is silent: {}", browser.page_text().await);
        let charts = browser.find("#charts").await?.text().await?;
        ensure!(charts.contains("its host has been silent"), "instead of charts: {charts}");
        Ok(())
    }

    /// The third is gone for good: it is removed from the page of the first, and its own page says so.
    async fn remove(&self, first: &Browser, third: &Browser) -> Result<()> {
        let row = self.fleet.console(2).get("/api/v1/cluster").await?["here"].clone();
        let id = row.as_str().context("the host's id")?;
        self.fleet.cut(2)?;
        let button = format!("button[popovertarget=\"remove-{id}\"]:not([popovertargetaction])");
        wait::until("a host that can be removed", PATIENCE, || async {
            first.open("/cluster").await?;
            first.on_page("cluster").await?;
            Ok(first.has(&button).await?.then_some(()))
        })
        .await?;
        first.click(&button).await?;
        self.here(first, "remove").await?;
        first.fill(&format!("#confirm-{id}"), "h3").await?;
        first.click(&format!("form[action=\"/cluster/hosts/{id}/remove\"] button")).await?;
        first.find(&format!("tr[data-removed=\"{id}\"]")).await?;
        hosts::counts(first, 2).await?;
        self.picture(first, "removed", "/cluster").await?;
        self.fleet.heal(2)?;
        wait::until("the removed host told so", PATIENCE, || async {
            third.open("/cluster").await?;
            let text = third.page_text().await;
            ensure!(text.contains("was removed"), "it says: {text}");
            Ok(Some(()))
        })
        .await?;
        self.picture(third, "was-removed", "/cluster").await?;
        println!("a removed host is told so");
        Ok(())
    }

    /// Pictures of a page on every screen; none may be wider than its screen.
    async fn picture(&self, browser: &Browser, name: &str, path: &str) -> Result<()> {
        for screen in SCREENS {
            browser.set_screen(screen).await?;
            browser.open(path).await?;
            browser.find("main[data-page]").await?;
            if browser.has("#screen").await? {
                browser.holds("something on the guest's screen", story::DRAWN).await?;
            }
            let wide: Value = browser.script("return document.documentElement.scrollWidth").await?;
            let scheme = if screen.dark { "dark" } else { "light" };
            let file = self.pictures.join(format!("{name}-{scheme}-{}.png", screen.width));
            browser.screenshot(&file).await?;
            let fits = wide.as_u64().is_some_and(|wide| wide <= screen.width.into());
            ensure!(fits, "{path} is {wide} wide on a screen of {}", screen.width);
        }
        browser.set_screen(SCREENS[0]).await
    }

    /// Pictures of what is shown now, which can't be opened again.
    async fn here(&self, browser: &Browser, name: &str) -> Result<()> {
        for screen in [SCREENS[0], SCREENS[2]] {
            browser.set_screen(screen).await?;
            browser.screenshot(&self.pictures.join(format!("{name}-{}.png", screen.width))).await?;
        }
        browser.set_screen(SCREENS[0]).await
    }
}
