//! The browser against a daemon on the build machine: the story, pictures of the pages, pages without scripts, and a
//! machine made by keyboard alone.

use crate::checkout::Checkout;
use anyhow::{Context, Result};
use lab::browser::Browser;
use lab::host::Host;
use lab::shots;
use lab::story::{self, Story};
use serde_json::json;
use std::time::Duration;

/// A key that nobody has the other half of.
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHQfoe28Z2XpyBLVxVZq0nUvgOtuJFTCr6LdQPRWNCbt ada";
/// Time for one thing in the browser.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tells the story on a private host and takes the pictures.
///
/// # Errors
/// When a chapter fails; a picture of the page is left beside the daemon's log.
pub async fn story(checkout: &Checkout) -> Result<()> {
    let program = checkout.program("hostd")?;
    let dir = tempfile::Builder::new().prefix("qx").tempdir().context("making a test bed")?;
    let host = Host::start(&program, dir.path()).await?;
    let browser = Browser::start(&host.url(), PATIENCE).await?;
    browser.set_screen(shots::SCREENS[0]).await?;
    let outcome = chapters(checkout, &host, &browser).await;
    if outcome.is_err() {
        let kept = checkout.target.join("lab/host-story");
        std::fs::create_dir_all(&kept)?;
        let _ = browser.screenshot(&kept.join("failed.png")).await;
        let _ = std::fs::copy(host.log(), kept.join("hostd.log"));
        for list in ["vms", "tasks", "events"] {
            if let Ok(page) = host.console().get(&format!("/api/v1/{list}?limit=500")).await {
                std::fs::write(kept.join(format!("{list}.json")), serde_json::to_string_pretty(&page)?)?;
            }
        }
        println!("the daemon's log and a picture of the page are in {}", kept.display());
    }
    outcome?;
    browser.end().await
}

async fn chapters(checkout: &Checkout, host: &Host, browser: &Browser) -> Result<()> {
    let scratch = story::scratch(&checkout.target)?;
    let story = Story::new(browser, &scratch);
    story.tell(&host.password()?, &story::own_processor()).await?;
    println!("the story is told");
    let vm = story.create("pictured", false).await?;
    story.start(&vm).await?;
    let off = story.create("web-1", true).await?;
    let linked = story.clone_linked(&off, "web-2").await.context("cloning")?;
    story.make_template(&off).await.context("making a template")?;
    story.try_and_discard(&off).await.context("a test clone")?;
    println!("a clone was made, a template, and a test clone was thrown away");
    let mut kept = String::new();
    for screen in [shots::SCREENS[0], shots::SCREENS[2]] {
        browser.set_screen(screen).await?;
        kept =
            devices(&story, screen.width).await.with_context(|| format!("{} pixels wide", screen.width))?;
    }
    browser.set_screen(shots::SCREENS[0]).await?;
    println!("devices, snapshots and several consoles were seen at two widths");
    let page = shots::create_by_keyboard(browser, "typed-only").await.context("by keyboard alone")?;
    println!("a machine was made by keyboard alone: {page}");
    let read = shots::without_scripts(browser).await.context("without scripts")?;
    println!("{read} pages read without scripts");
    Story::tell_without_scripts(browser, &scratch).await.context("without scripts")?;
    println!("the story is told without scripts");
    story.watch_screen(&vm).await?;
    let windows = specify(host).await.context("customization specifications")?;
    let extra = [
        ("vm", format!("/vms/{vm}")),
        ("vm-hardware", format!("/vms/{vm}/hardware")),
        ("vm-console", format!("/vms/{vm}/console")),
        ("vm-snapshots", format!("/vms/{kept}/snapshots")),
        ("vm-live", format!("/vms/{vm}?span=live")),
        ("vm-clone", format!("/vms/{vm}/clone")),
        ("vm-linked", format!("/vms/{linked}")),
        ("vm-template", format!("/vms/{off}")),
        ("vms-templates", "/vms?template=true".to_owned()),
        ("vm-diagnosis", format!("/vms/{vm}/diagnosis")),
        ("consoles", format!("/consoles?vms={vm},{off}")),
        ("events", "/events".to_owned()),
        ("tokens", "/tokens".to_owned()),
        ("cluster", "/cluster".to_owned()),
        ("discovered", "/vms/discovered".to_owned()),
        ("specifications", "/specifications".to_owned()),
        ("specification-new", "/specifications/new".to_owned()),
        ("specification-windows", format!("/specifications/{windows}")),
    ];
    let pictures = checkout.target.join("screenshots");
    let taken = shots::take(browser, &pictures, &extra).await?;
    println!("{taken} pictures are in {}", pictures.display());
    story.force_off(&vm).await?;
    story.delete_with_disks(&vm, "pictured").await
}

/// Hardware, snapshots and the dock, on a machine made for that by the form, whose id is answered.
async fn devices(story: &Story<'_>, width: u32) -> Result<String> {
    let (vm, other) = (format!("wide-{width}"), format!("beside-{width}"));
    let vm = story.create(&vm, false).await.context("creating a machine")?;
    let other = story.create(&other, false).await.context("creating another")?;
    story.start(&vm).await?;
    story.plug(&vm).await.context("changing its hardware while it runs")?;
    story.force_off(&vm).await?;
    story.unplug(&vm).await.context("taking a disk away")?;
    story.start(&vm).await?;
    story.keep_and_go_back(&vm).await.context("snapshots")?;
    story.start(&vm).await?;
    story.dock(&vm, &other, width < 600).await.context("several consoles")?;
    Ok(vm)
}

/// Makes a specification for Linux and one for Windows; answers the id of the latter.
async fn specify(host: &Host) -> Result<String> {
    let user = json!({"name": "ada", "sudo": "no_password", "ssh_keys": [KEY]});
    let linux = json!({"hostname": "{{vm.name}}", "timezone": "Europe/Berlin", "users": [user], "packages": ["htop"]});
    let settings = json!({"administrator_password": {"plain": "pictured, not kept"}, "organization": "Example", "locale": "de-DE"});
    let windows = json!({"hostname": "{{vm.name}}", "timezone": "Europe/Berlin", "windows": settings});
    let mut console = host.console();
    let mut made = serde_json::Value::Null;
    for (name, text, custom) in [
        ("web-servers", "Debian, in the rack downstairs", linux),
        ("windows-2022", "Installed from the ISO", windows),
    ] {
        let body = json!({"name": name, "description": text, "customization": custom});
        made = console.post("/api/v1/specifications", &body).await?;
    }
    made["id"].as_str().map(str::to_owned).context("a specification has an id")
}
