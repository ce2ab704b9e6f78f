//! What administrators do in the browser to bring hosts together, and what they see of them afterwards: the same words on
//! the build machine and for booted ISOs.

use crate::browser::Browser;
use crate::wait;
use anyhow::{Context, Result, ensure};

/// Makes a join token on the cluster's page; answers its text.
///
/// # Errors
/// When none is shown.
pub async fn invite(browser: &Browser) -> Result<String> {
    browser.open("/cluster").await?;
    browser.on_page("cluster").await?;
    browser.click("#invite-form button").await?;
    let token = browser.find("#join-token").await?;
    let text = token.prop("value").await?.unwrap_or_default();
    ensure!(text.starts_with("qxj1_"), "no token is shown: {text}");
    Ok(text)
}

/// Pastes a token into the cluster's page of the host that comes, and stands on the page that tells what would happen,
/// which must name `guest`.
///
/// # Errors
/// When that page does not come.
pub async fn preview(browser: &Browser, token: &str, guest: &str) -> Result<()> {
    browser.open("/cluster").await?;
    browser.on_page("cluster").await?;
    browser.fill("#join-form textarea[name=token]", token).await?;
    browser.click("#join-form button.primary").await?;
    browser.on_page("join").await?;
    let text = browser.find("main").await?.text().await?;
    ensure!(text.contains(guest), "the preview does not name {guest}: {text}");
    Ok(())
}

/// Agrees to what the preview tells. The page that says that the host is on its way is there for as long as that takes.
///
/// # Errors
/// When neither that page nor the one after it comes.
pub async fn agree(browser: &Browser) -> Result<()> {
    browser.click("#join-confirm button.primary").await?;
    browser.find("main:is([data-page=joining], [data-page=login])").await.map(drop)
}

/// The page of a host on its way goes on by itself, to the login, which says that the host has arrived.
///
/// # Errors
/// When it stays, or the login says nothing.
pub async fn arrives(browser: &Browser) -> Result<()> {
    browser.on_page("login").await?;
    let text = browser.find(".toast").await?.text().await?;
    ensure!(text.contains("is a member of its cluster now"), "the login page says: {text}");
    Ok(())
}

/// Logs in with the cluster's password as soon as the host takes it.
///
/// # Errors
/// When it does not.
pub async fn log_in(browser: &Browser, password: &str) -> Result<()> {
    wait::until("a login with the cluster's password", browser.deadline(), || async {
        browser.open("/login").await?;
        browser.fill("#login-form input[name=name]", "admin").await?;
        browser.fill("#login-form input[name=password]", password).await?;
        browser.click("#login-form button").await?;
        browser.holds("an answer", "return document.readyState === 'complete'").await?;
        Ok(browser.has("main[data-page=overview]").await?.then_some(()))
    })
    .await
}

/// The cluster's page lists `hosts` members.
///
/// # Errors
/// When it does not.
pub async fn counts(browser: &Browser, hosts: usize) -> Result<()> {
    let rows = "return document.querySelectorAll('tr[data-host]').length";
    watches(browser, &format!("{hosts} hosts"), rows, hosts).await
}

/// The list of machines shows each of `guests`.
///
/// # Errors
/// When it does not.
pub async fn lists(browser: &Browser, guests: &[String]) -> Result<()> {
    wait::until("all machines", browser.deadline(), || async {
        browser.open("/vms").await?;
        browser.on_page("vms").await?;
        let text = browser.find("main").await?.text().await?;
        Ok(guests.iter().all(|guest| text.contains(guest.as_str())).then_some(()))
    })
    .await
}

/// The cluster's page shows `hosts` that don't answer, each with the age of what is known of it.
///
/// # Errors
/// When it does not.
pub async fn misses(browser: &Browser, hosts: usize) -> Result<()> {
    let away = "return [...document.querySelectorAll('tr[data-host]')].filter(row => \
        ['suspect', 'down', 'fenced'].includes(row.querySelector('[data-liveness]').dataset.liveness) && \
        /\\d/.test(row.querySelector('.stale')?.textContent ?? '')).length";
    watches(browser, &format!("{hosts} hosts away"), away, hosts).await
}

/// The cluster's page says whether there is a majority.
///
/// # Errors
/// When it says the other.
pub async fn majority(browser: &Browser, held: bool) -> Result<()> {
    let says = format!("return document.querySelector('#quorum')?.dataset.held === '{held}' ? 1 : 0");
    watches(browser, &format!("a majority: {held}"), &says, 1).await
}

/// Waits until a script finds `count` on the cluster's page.
async fn watches(browser: &Browser, what: &str, script: &str, count: usize) -> Result<()> {
    let wanted = u64::try_from(count).context("a count")?;
    wait::until(what, browser.deadline(), || async {
        browser.open("/cluster").await?;
        browser.on_page("cluster").await?;
        let found = browser.script(script).await?;
        ensure!(found.as_u64() == Some(wanted), "{found} found");
        Ok(Some(()))
    })
    .await
}
