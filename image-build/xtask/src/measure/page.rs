//! Bytes a page costs a browser that never saw the product before: the page and everything it loads, headers included.

use super::{Figure, daemon};
use crate::checkout::Checkout;
use anyhow::Result;
use lab::browser::Browser;
use lab::story::{self, Story};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Time for one thing in the browser.
const PATIENCE: Duration = Duration::from_secs(30);
/// Machines in the list.
const MACHINES: usize = 20;

/// Weighs the login page and the list of machines.
pub async fn weights(checkout: &Checkout) -> Result<Vec<Figure>> {
    let (_dir, host) = daemon::host(checkout).await?;
    daemon::machines(&host, MACHINES).await?;
    let browser = Browser::start(&host.url(), PATIENCE).await?;
    let (login, login_parts) = weigh(&browser, "/login", "login").await?;
    let scratch = story::scratch(&checkout.target)?;
    Story::new(&browser, &scratch).log_in(&host.password()?).await?;
    let (vms, vms_parts) = weigh(&browser, "/vms", "vms").await?;
    browser.end().await?;
    Ok(vec![
        Figure { measure: "page.login", value: login, unit: "B", goal: 40960.0, detail: login_parts },
        Figure {
            measure: "page.vms",
            value: vms,
            unit: "B",
            goal: 40960.0,
            detail: json!({"machines": MACHINES, "parts": vms_parts}),
        },
    ])
}

/// Bytes on the wire of a page opened with an empty cache, in all and by part.
async fn weigh(browser: &Browser, path: &str, page: &str) -> Result<(f64, Value)> {
    browser.developer("Network.clearBrowserCache", json!({})).await?;
    browser.network_log().await?;
    browser.open(path).await?;
    browser.on_page(page).await?;
    browser.holds("the page's parts", "return document.readyState === 'complete'").await?;
    let mut addresses: BTreeMap<String, String> = BTreeMap::new();
    let mut parts: BTreeMap<String, f64> = BTreeMap::new();
    for event in browser.network_log().await? {
        let parameters = &event["params"];
        let request = parameters["requestId"].as_str().unwrap_or_default().to_owned();
        match event["method"].as_str().unwrap_or_default() {
            "Network.requestWillBeSent" => {
                let url = parameters["request"]["url"].as_str().unwrap_or_default();
                let path = url.splitn(4, '/').nth(3).unwrap_or_default();
                addresses.insert(request, format!("/{path}"));
            }
            "Network.loadingFinished" => {
                let bytes = parameters["encodedDataLength"].as_f64().unwrap_or_default();
                let name = addresses.get(&request).cloned().unwrap_or(request);
                *parts.entry(name).or_default() += bytes;
            }
            _ => {}
        }
    }
    Ok((parts.values().sum(), json!(parts)))
}
