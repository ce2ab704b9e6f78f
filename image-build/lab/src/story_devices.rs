//! The chapters about a machine's devices, its snapshots, and several consoles side by side.

use crate::story::{DRAWN, Story};
use crate::wait;
use anyhow::{Context, Result, ensure};

impl Story<'_> {
    /// Gives a running machine a disk, refuses to shrink it, grows it, and pulls the cable of its card, on its hardware page.
    ///
    /// # Errors
    /// When the page does not show one of these.
    pub async fn plug(&self, vm: &str) -> Result<()> {
        let browser = self.browser;
        browser.open(&format!("/vms/{vm}/hardware")).await?;
        browser.click("#add-disk summary").await?;
        browser.fill("#new-size", "1").await?;
        browser.choose("#add-disk select[name=disk0_unit]", "gib").await?;
        browser.click("#add-disk button.primary").await?;
        self.device_says("1 GiB").await?;
        browser.click("#devices button[popovertarget=\"grow-1\"]").await?;
        self.grow("0.5").await?;
        // The dialog stands open again, with the message at its field.
        let refusal = browser.find("#grow-1-size-error").await.context("a refusal to shrink a disk")?;
        let refusal = refusal.text().await?;
        ensure!(refusal.contains("only become larger"), "the refusal says: {refusal}");
        self.grow("2").await?;
        self.device_says("2 GiB").await?;
        browser.click("#devices button[popovertarget=\"nic-0\"]").await?;
        browser.click("#nic-0 label:has(input[name=plugged])").await?;
        browser.click("#nic-0 button.primary").await?;
        self.device_says("cable pulled").await
    }

    /// Takes the second disk away from a machine that is off, with what is on it.
    ///
    /// # Errors
    /// When it stays.
    pub async fn unplug(&self, vm: &str) -> Result<()> {
        let browser = self.browser;
        browser.open(&format!("/vms/{vm}/hardware")).await?;
        browser.click("#devices button[popovertarget=\"detach-1\"]").await?;
        browser.click("#detach-1 button[value=delete]").await?;
        browser.gone("#devices button[popovertarget=\"detach-1\"]").await
    }

    /// In the dialog of the second disk.
    async fn grow(&self, gib: &str) -> Result<()> {
        self.browser.fill("#grow-1-size", gib).await?;
        self.browser.click("#grow-1 button.primary").await
    }

    async fn device_says(&self, text: &str) -> Result<()> {
        wait::until(&format!("{text} among the devices"), self.browser.deadline(), || async {
            let said =
                self.browser.script("return document.querySelector('#devices')?.textContent ?? ''").await?;
            Ok(said.as_str().is_some_and(|said| said.contains(text)).then_some(()))
        })
        .await
    }

    /// Takes two snapshots, goes back to the second keeping what is there as a third, and deletes the first: the tree shows
    /// each of these.
    ///
    /// # Errors
    /// When it does not.
    pub async fn keep_and_go_back(&self, vm: &str) -> Result<()> {
        let browser = self.browser;
        browser.open(&format!("/vms/{vm}/snapshots")).await?;
        for name in ["first", "second"] {
            browser.fill("#snapshot-form input[name=name]", name).await?;
            browser.click("#snapshot-form .submit button").await?;
            self.in_tree(name).await?;
        }
        browser.click("li[data-name=second] button[popovertarget^=\"revert-\"]").await?;
        browser.fill("li[data-name=second] input[name=snapshot_first]", "before").await?;
        browser.click("li[data-name=second] [id^=\"revert-\"] button.danger.solid").await?;
        self.in_tree("before").await?;
        // Both hang below the second one, so one of them is drawn as a branch.
        let apart = "const [a, b] = ['[data-name=before]', '[data-here]'].map((css) => document.querySelector(css).className); \
            return a.match(/d\\d+/)[0] !== b.match(/d\\d+/)[0]";
        browser.holds("a branch in the tree of snapshots", apart).await?;
        browser.click("li[data-name=first] button[popovertarget^=\"delete-\"]").await?;
        browser.click("li[data-name=first] [id^=\"delete-\"] button.danger.solid").await?;
        browser.gone("li[data-name=first]").await?;
        self.in_tree("second").await
    }

    /// The tree has a snapshot that is ready.
    async fn in_tree(&self, name: &str) -> Result<()> {
        let css = format!("li[data-name={name}] button[popovertarget^=\"revert-\"]");
        self.browser.find(&css).await.map(drop).with_context(|| format!("{name} in the tree of snapshots"))
    }

    /// Shows two machines side by side; the one that is off is started from there, and the running one's serial port is
    /// shown in place of its screen. On a narrow screen one is seen at a time.
    ///
    /// # Errors
    /// When nothing is drawn, or a pane is not seen when it should be.
    pub async fn dock(&self, running: &str, off: &str, narrow: bool) -> Result<()> {
        let browser = self.browser;
        browser.open(&format!("/consoles?vms={running},{off}")).await?;
        browser
            .holds("something on the first screen", &DRAWN.replace("#screen canvas", ".pane .screen canvas"))
            .await?;
        let seen = "return [...document.querySelectorAll('[data-pane]')].filter(p => p.offsetParent !== null).length";
        let count = browser.script(seen).await?;
        ensure!(count == if narrow { 1 } else { 2 }, "{count} machines are seen at once");
        if narrow {
            browser.click(".dock-tabs button:nth-of-type(2)").await?;
        }
        browser.click(".pane:nth-of-type(2) button[value=start]").await?;
        if narrow {
            browser.on_page("consoles").await?;
            browser.click(".dock-tabs button:nth-of-type(2)").await?;
        }
        let second = DRAWN.replace("#screen canvas", ".pane:nth-of-type(2) .screen canvas");
        browser.holds("something on the second screen", &second).await?;
        if narrow {
            browser.click(".dock-tabs button:nth-of-type(1)").await?;
        }
        browser.click(".pane:nth-of-type(1) > header > a:nth-of-type(1)").await?;
        browser.find(".pane:nth-of-type(1) .serial[data-connected=\"true\"]").await.map(drop)
    }
}
