//! From the click on the link to a machine's console until the first picture of its screen is drawn, on loopback.

use super::{Figure, daemon, quantile, rounded};
use crate::checkout::Checkout;
use anyhow::{Context, Result};
use lab::browser::Browser;
use lab::story::{self, Story};
use serde_json::json;
use std::time::Duration;

/// Time for one thing in the browser.
const PATIENCE: Duration = Duration::from_secs(60);
/// Clicks that are counted; the one before them fills the browser's cache.
const CLICKS: usize = 9;
/// Runs in every page before its own scripts: looks at each frame whether the screen's canvas shows something. The clock
/// of a page begins with the click that opened it.
const WATCH: &str = "
const look = () => {
  const canvas = document.querySelector('#screen canvas');
  if (canvas && canvas.width > 0 && canvas.height > 0) {
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    if (pixels.some((value, n) => n % 4 < 3 && value > 0)) { window.firstFrame = performance.now(); return; }
  }
  requestAnimationFrame(look);
};
requestAnimationFrame(look);";

/// The median of some clicks.
pub async fn first_frame(checkout: &Checkout) -> Result<Vec<Figure>> {
    let (_dir, host) = daemon::host(checkout).await?;
    let browser = Browser::start(&host.url(), PATIENCE).await?;
    let scratch = story::scratch(&checkout.target)?;
    let story = Story::new(&browser, &scratch);
    story.log_in(&host.password()?).await?;
    let made = host
        .console()
        .post("/api/v1/vms", &json!({"name": "seen", "cpus": 1, "memory_mib": 64, "start": true}))
        .await?;
    let vm = made["id"].as_str().context("the answer names the machine")?.to_owned();
    browser.open(&format!("/vms/{vm}")).await?;
    story.in_state(&vm, "running").await?;
    browser.developer("Page.addScriptToEvaluateOnNewDocument", json!({"source": WATCH})).await?;
    let mut times = Vec::new();
    for click in 0..=CLICKS {
        browser.open(&format!("/vms/{vm}")).await?;
        browser.click(&format!("nav.tabs a[href='/vms/{vm}/console']")).await?;
        browser.on_page("vm-console").await?;
        browser.holds("the first picture", "return window.firstFrame > 0").await?;
        let passed = browser.script("return window.firstFrame").await?;
        if click > 0 {
            times.push(rounded(passed.as_f64().context("a time")?));
        }
    }
    browser.end().await?;
    let detail = json!({"clicks": CLICKS, "ms": times});
    let value = rounded(quantile(&mut times, 0.5));
    Ok(vec![Figure { measure: "console.first_frame", value, unit: "ms", goal: 500.0, detail }])
}
