//! Screenshots of the main pages, light and dark, wide and narrow; and what must work without scripts or mouse.

use crate::browser::{Browser, Screen};
use crate::story::DRAWN;
use anyhow::{Context, Result, ensure};
use std::path::Path;

/// Pages that every installation has, with the name of their pictures.
const PAGES: [(&str, &str); 9] = [
    ("overview", "/"),
    ("vms", "/vms"),
    ("vm-new", "/vms/new"),
    ("images", "/images"),
    ("networks", "/networks"),
    ("volumes", "/volumes"),
    ("host", "/host"),
    ("tasks", "/tasks"),
    ("help", "/help"),
];

/// The screens pictures are taken on.
pub const SCREENS: [Screen; 4] = [
    Screen { width: 1440, height: 900, dark: false },
    Screen { width: 1440, height: 900, dark: true },
    Screen { width: 390, height: 844, dark: false },
    Screen { width: 390, height: 844, dark: true },
];

/// Takes a picture of every page on every screen into `dir`, `extra` pages included; no page may be wider than its
/// screen. Returns the number of pictures.
///
/// # Errors
/// When a page does not load or scrolls sideways.
pub async fn take(browser: &Browser, dir: &Path, extra: &[(&str, String)]) -> Result<usize> {
    let mut taken = 0;
    for screen in SCREENS {
        browser.set_screen(screen).await?;
        let pages = PAGES.iter().map(|(name, path)| (*name, (*path).to_owned()));
        for (name, path) in pages.chain(extra.iter().cloned()) {
            browser.open(&path).await?;
            browser.find("main[data-page]").await?;
            if browser.has("#screen").await? {
                browser.holds("something on the guest's screen", DRAWN).await?;
            }
            let wide = browser.script("return document.documentElement.scrollWidth").await?;
            let wide = wide.as_u64().context("the page has a width")?;
            ensure!(wide <= screen.width.into(), "{path} is {wide} wide on a screen of {}", screen.width);
            let scheme = if screen.dark { "dark" } else { "light" };
            browser.screenshot(&dir.join(format!("{name}-{scheme}-{}.png", screen.width))).await?;
            taken += 1;
        }
    }
    browser.set_screen(SCREENS[0]).await?;
    Ok(taken)
}

/// Every page says what it shows with scripts off.
///
/// # Errors
/// When one does not.
pub async fn without_scripts(browser: &Browser) -> Result<usize> {
    browser.set_scripts(false).await?;
    let mut read = 0;
    for (name, path) in PAGES {
        browser.open(path).await?;
        let main = browser.find(&format!("main[data-page=\"{name}\"]")).await?;
        ensure!(!main.text().await?.trim().is_empty(), "{path} is empty without scripts");
        read += 1;
    }
    browser.set_scripts(true).await?;
    Ok(read)
}

/// The Tab key.
const TAB: char = '\u{e004}';
/// The Enter key.
const ENTER: char = '\u{e007}';
/// Most presses of Tab before giving up on reaching something.
const PRESSES: usize = 80;

/// Creates a machine by keyboard alone: from the list to the form, name and memory typed, sent with Enter. Returns its
/// page's address.
///
/// # Errors
/// When something can't be reached with Tab, or the form is refused.
pub async fn create_by_keyboard(browser: &Browser, name: &str) -> Result<String> {
    browser.open("/vms").await?;
    browser.on_page("vms").await?;
    reach(browser, "a[href='/vms/new']").await?;
    press(browser, ENTER).await?;
    browser.on_page("vm-new").await?;
    reach(browser, "input[name=name]").await?;
    browser.client.active_element().await?.send_keys(name).await?;
    press(browser, ENTER).await?; // on to the next step
    reach(browser, ".wizard-steps a[data-step=options]").await?;
    press(browser, ENTER).await?;
    reach(browser, "input[name=start]").await?;
    press(browser, ' ').await?; // not started
    reach(browser, "#wizard-next").await?;
    press(browser, ENTER).await?;
    reach(browser, "#wizard-create").await?;
    press(browser, ENTER).await?;
    browser.on_page("vm").await?;
    browser.path().await
}

async fn press(browser: &Browser, key: char) -> Result<()> {
    browser.client.active_element().await?.send_keys(&key.to_string()).await.context("pressing a key")
}

/// Presses Tab until the focus is on an element, which must show that it has it.
async fn reach(browser: &Browser, css: &str) -> Result<()> {
    let at = format!("return document.activeElement.matches({})", serde_json::Value::from(css));
    for _ in 0..PRESSES {
        if browser.script(&at).await? == true {
            let ring = "const s = getComputedStyle(document.activeElement); \
                return s.outlineStyle !== 'none' || s.boxShadow !== 'none'";
            ensure!(browser.script(ring).await? == true, "{css} does not show that it has the focus");
            return Ok(());
        }
        press(browser, TAB).await?;
    }
    anyhow::bail!("{css} can't be reached with {PRESSES} presses of Tab")
}
