//! The chapters of the story about copies and templates.

use crate::story::Story;
use anyhow::{Context, Result};

impl Story<'_> {
    /// Makes a linked clone by the form of the machine `of`; answers its id.
    ///
    /// # Errors
    /// When it does not become a machine that is off.
    pub async fn clone_linked(&self, of: &str, name: &str) -> Result<String> {
        let browser = self.browser;
        browser.open(&format!("/vms/{of}/clone")).await?;
        browser.fill("#clone-form input[name=name]", name).await?;
        browser.click("#clone-form label:has(input[name=mode][value=linked])").await?;
        browser.click("#clone-form .submit button.primary").await?;
        browser.on_page("vm").await?;
        let path = browser.path().await?;
        let id = path.rsplit('/').next().context("the page of the clone")?.to_owned();
        self.in_state(&id, "off").await?;
        Ok(id)
    }

    /// Makes a template of a machine that is off, by the dialog that asks.
    ///
    /// # Errors
    /// When its page does not show it as one.
    pub async fn make_template(&self, vm: &str) -> Result<()> {
        let browser = self.browser;
        browser.open(&format!("/vms/{vm}")).await?;
        browser.click("#copies button[popovertarget=\"ask-template\"]").await?;
        browser.click("#ask-template button[name=template]").await?;
        browser.find("#copies button[name=template][value=false]").await.map(drop)
    }

    /// Starts a test clone by one click and throws it away by another.
    ///
    /// # Errors
    /// When it does not run, or stays.
    pub async fn try_and_discard(&self, of: &str) -> Result<()> {
        let browser = self.browser;
        browser.open(&format!("/vms/{of}")).await?;
        browser.click(&format!("#copies form[action=\"/vms/{of}/try\"] button")).await?;
        browser.find("#head button[data-action=\"discard\"]").await?;
        let path = browser.path().await?;
        let id = path.rsplit('/').next().context("the page of the clone")?.to_owned();
        self.in_state(&id, "running").await?;
        browser.click("#head button[data-action=\"discard\"]").await?;
        browser.on_page("vms").await?;
        browser.gone(&format!("tr[data-vm=\"{id}\"]")).await
    }
}
