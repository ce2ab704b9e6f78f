//! The story an administrator lives through in the browser, from the first login to a deleted machine. It is told on the
//! build machine and inside the booted ISO with the same words.

use crate::browser::Browser;
use crate::{bootsector, wait};
use anyhow::{Context, Result, bail, ensure};
use fantoccini::Locator;
use std::path::{Path, PathBuf};

/// What the guest says on its screen and serial line.
pub const GUEST_LINE: &str = "the guest of the story speaks";
/// Size of the uploaded image: large enough for the progress bar to move.
const IMAGE_SIZE: usize = 24 << 20;

/// Tells whether something is drawn on the console page's screen.
pub const DRAWN: &str = "const canvas = document.querySelector('#screen canvas'); \
    if (!canvas || !canvas.width) return false; \
    const dots = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data; \
    for (let i = 0; i < dots.length; i += 4) if (dots[i] + dots[i + 1] + dots[i + 2] > 200) return true; \
    return false";

/// One telling of the story.
#[derive(Debug)]
pub struct Story<'a> {
    pub(crate) browser: &'a Browser,
    scratch: &'a Path,
    /// Pages keep themselves current and show progress.
    scripts: bool,
    /// Name of the uploaded image.
    image: &'static str,
}

impl<'a> Story<'a> {
    /// A story told in `browser`, with files in `scratch`.
    pub fn new(browser: &'a Browser, scratch: &'a Path) -> Self {
        Self { browser, scratch, scripts: true, image: "story-guest" }
    }

    /// What works without scripts, told in `browser`, whose scripts are off meanwhile: all but the consoles.
    ///
    /// # Errors
    /// When a chapter does not end as it should; the message names it.
    pub async fn tell_without_scripts(browser: &'a Browser, scratch: &'a Path) -> Result<()> {
        browser.set_scripts(false).await?;
        let story = Self { browser, scratch, scripts: false, image: "plain-guest" };
        story.upload().await.context("uploading an image")?;
        let vm = story.create("plain-1", false).await.context("creating a machine")?;
        story.start(&vm).await.context("starting it")?;
        // A guest hears its power button once it has booted, and only the console tells when that is.
        browser.set_scripts(true).await?;
        story.use_serial(&vm).await.context("waiting for the guest")?;
        browser.set_scripts(false).await?;
        story.shut_down(&vm).await.context("shutting it down")?;
        story.edit_memory(&vm, 96).await.context("editing its memory")?;
        story.start(&vm).await.context("starting it again")?;
        story.force_off(&vm).await.context("forcing it off")?;
        story.delete_with_disks(&vm, "plain-1").await.context("deleting it with its disks")?;
        browser.set_scripts(true).await
    }

    /// The whole story. `processor` is the model name the host page must show.
    ///
    /// # Errors
    /// When a chapter does not end as it should; the message names it.
    pub async fn tell(&self, password: &str, processor: &str) -> Result<()> {
        self.log_in(password).await.context("logging in")?;
        self.see_host(processor).await.context("looking at the host")?;
        self.upload().await.context("uploading an image")?;
        let vm = self.create("story-1", false).await.context("creating a machine")?;
        self.start(&vm).await.context("starting it")?;
        self.watch_screen(&vm).await.context("watching its screen")?;
        self.use_serial(&vm).await.context("using its serial console")?;
        self.shut_down(&vm).await.context("shutting it down")?;
        self.start(&vm).await.context("starting it again")?;
        self.force_off(&vm).await.context("forcing it off")?;
        self.edit_memory(&vm, 96).await.context("editing its memory")?;
        self.delete_with_disks(&vm, "story-1").await.context("deleting it with its disks")
    }

    /// Fills in the login page and lands on the overview.
    ///
    /// # Errors
    /// When the login is refused.
    pub async fn log_in(&self, password: &str) -> Result<()> {
        self.browser.open("/login").await?;
        self.browser.fill("#login-form input[name=name]", "admin").await?;
        self.browser.fill("#login-form input[name=password]", password).await?;
        self.browser.click("#login-form button").await?;
        self.browser.on_page("overview").await
    }

    /// The host page shows this machine's processor and its memory.
    ///
    /// # Errors
    /// When it does not.
    pub async fn see_host(&self, processor: &str) -> Result<()> {
        self.browser.open("/host").await?;
        self.browser.on_page("host").await?;
        let text = self.browser.find("main").await?.text().await?;
        ensure!(text.contains(processor), "the host page does not show the processor {processor}: {text}");
        ensure!(text.contains("GiB") || text.contains("MiB"), "the host page shows no memory: {text}");
        Ok(())
    }

    /// Uploads a disk image with a boot sector, and sees the progress bar move.
    ///
    /// # Errors
    /// When the image does not become ready.
    pub async fn upload(&self) -> Result<()> {
        let file = self.scratch.join("story-guest.img");
        std::fs::write(&file, bootsector::image(GUEST_LINE, IMAGE_SIZE)).context("writing the image")?;
        self.browser.open("/images").await?;
        self.browser.on_page("images").await?;
        self.browser.fill("#upload-form input[name=name]", self.image).await?;
        let input = self.browser.find("#upload-form input[type=file][name=file]").await?;
        input.send_keys(&file.to_string_lossy()).await.context("choosing the file")?;
        if self.scripts {
            // The page goes on by itself after the upload; what was seen of the bar must survive that.
            let watch = "setInterval(() => { const bar = document.querySelector('progress#upload-progress'); \
                if (bar && bar.value > 0) sessionStorage.setItem('bar', bar.value); }, 20); return true";
            self.browser.script(watch).await?;
        }
        self.browser.click("#upload-form button.primary").await?;
        wait::until("the uploaded image", self.browser.deadline(), || async {
            let rows = self.browser.client.find_all(Locator::Css("tr[data-image]")).await?;
            for row in rows {
                let text = row.text().await?;
                if text.contains(self.image) && row.find(Locator::Css("a[href^='/vms/new']")).await.is_ok() {
                    return Ok(Some(()));
                }
            }
            Ok(None)
        })
        .await?;
        if self.scripts {
            let moved = "return sessionStorage.getItem('bar') > 0";
            self.browser.holds("a progress bar that moved", moved).await?;
        }
        Ok(())
    }

    /// Creates a machine from the uploaded image in the form, without starting it, and returns its id.
    ///
    /// # Errors
    /// When the form is refused or the machine does not become ready.
    pub async fn create(&self, name: &str, autostart: bool) -> Result<String> {
        let browser = self.browser;
        browser.open("/vms/new").await?;
        browser.on_page("vm-new").await?;
        browser.fill("#vm-form input[name=name]", name).await?;
        self.step("hardware").await?;
        browser.fill("#vm-form input[name=cpus]", "1").await?;
        browser.fill("#vm-form input[name=memory]", "64").await?;
        browser.choose("#vm-form select[name=memory_unit]", "mib").await?;
        self.step("storage").await?;
        browser.click("#vm-form label:has(input[name=disk0_from][value=image])").await?;
        let images = browser.find("#vm-form select[name=disk0_image]").await?;
        images.select_by_label(self.image).await.context("choosing the image")?;
        self.step("options").await?;
        self.tick("start", false).await?;
        self.tick("autostart", autostart).await?;
        self.step("review").await?;
        if self.scripts {
            let review = browser.find("#review").await?.text().await?;
            for said in [name, "64", "MiB", self.image] {
                ensure!(review.contains(said), "the review does not say {said}: {review}");
            }
        }
        browser.click("#wizard-create").await?;
        browser.on_page("vm").await?;
        let path = browser.path().await?;
        let vm =
            path.split(['/', '?']).nth(2).context("the machine's page has its id in its address")?.to_owned();
        self.in_state(&vm, "off").await?;
        browser.find("#head button[data-action=\"start\"]").await.context("a machine that can be started")?;
        Ok(vm)
    }

    /// Goes to a step of the form of a new machine; without scripts all are on the page.
    async fn step(&self, step: &str) -> Result<()> {
        if self.scripts {
            self.browser.click(&format!(".wizard-steps a[data-step={step}]")).await?;
        }
        Ok(())
    }

    /// Ticks or clears a box of the form of a new machine.
    async fn tick(&self, name: &str, on: bool) -> Result<()> {
        let css = format!("#vm-form input[type=checkbox][name={name}]");
        if self.browser.find(&css).await?.is_selected().await? != on {
            self.browser.click(&format!("#vm-form label:has(input[name={name}])")).await?;
        }
        Ok(())
    }

    /// Presses Start and sees the machine run.
    ///
    /// # Errors
    /// When it does not.
    pub async fn start(&self, vm: &str) -> Result<()> {
        self.open_vm(vm, "").await?;
        self.browser.click("#head button[data-action=\"start\"]").await?;
        self.in_state(vm, "running").await
    }

    /// The console page shows the guest's screen, and something is drawn on it.
    ///
    /// # Errors
    /// When it stays blank.
    pub async fn watch_screen(&self, vm: &str) -> Result<()> {
        self.open_vm(vm, "/console").await?;
        self.browser.find("#screen[data-connected=\"true\"]").await?;
        self.browser.holds("something on the guest's screen", DRAWN).await
    }

    /// The console page shows the guest's line, and what is typed comes back.
    ///
    /// # Errors
    /// When it does not.
    pub async fn use_serial(&self, vm: &str) -> Result<()> {
        self.open_vm(vm, "/console").await?;
        self.browser.find("#serial[data-connected=\"true\"]").await?;
        let keys = self.browser.find("#serial textarea").await?;
        // Scripts put the focus where a person's click would; the typing is the browser's.
        self.browser.script("document.querySelector('#serial textarea').focus(); return true").await?;
        keys.send_keys("\u{e007}").await.context("pressing Enter")?;
        self.serial_says(GUEST_LINE).await?;
        keys.send_keys("typed in the browser").await.context("typing")?;
        self.serial_says("typed in the browser").await
    }

    async fn serial_says(&self, text: &str) -> Result<()> {
        let what = format!("{text} on the serial console");
        wait::until(&what, self.browser.deadline(), || async {
            let log = self
                .browser
                .script("return document.querySelector('#serial-log')?.textContent ?? ''")
                .await?;
            Ok(log.as_str().is_some_and(|log| log.replace(['\r', '\n'], "").contains(text)).then_some(()))
        })
        .await
    }

    /// Asks the guest to shut down; it obeys.
    ///
    /// # Errors
    /// When it does not.
    pub async fn shut_down(&self, vm: &str) -> Result<()> {
        self.open_vm(vm, "").await?;
        self.browser.click("#head button[data-action=\"shutdown\"]").await?;
        self.in_state(vm, "off").await
    }

    /// Pulls the plug, by the dialog that asks.
    ///
    /// # Errors
    /// When the machine goes on running.
    pub async fn force_off(&self, vm: &str) -> Result<()> {
        self.open_vm(vm, "").await?;
        self.browser.click("#head button[popovertarget=\"ask-off\"]").await?;
        self.browser.click("#ask-off button[data-action=\"force_off\"]").await?;
        self.in_state(vm, "off").await
    }

    /// Changes the memory on the hardware page and sees it on the summary.
    ///
    /// # Errors
    /// When it is refused or not shown.
    pub async fn edit_memory(&self, vm: &str, mib: u64) -> Result<()> {
        self.open_vm(vm, "/hardware").await?;
        self.browser.fill("#edit-form input[name=memory]", &mib.to_string()).await?;
        self.browser.choose("#edit-form select[name=memory_unit]", "mib").await?;
        self.browser.click("#edit-form .submit button.primary").await?;
        let wanted = format!("{mib} MiB");
        wait::until(&format!("{wanted} on the machine's page"), self.browser.deadline(), || async {
            self.browser.open(&format!("/vms/{vm}")).await?;
            let text = self.browser.find("main").await?.text().await?;
            Ok(text.contains(&wanted).then_some(()))
        })
        .await
    }

    /// Deletes the machine with its disks; its page, its row and its volume are gone.
    ///
    /// # Errors
    /// When one of them stays.
    pub async fn delete_with_disks(&self, vm: &str, name: &str) -> Result<()> {
        let browser = self.browser;
        browser.open(&format!("/vms/{vm}/delete")).await?;
        browser.click("#delete-form label:has(input[name=disks][value=delete])").await?;
        browser.fill("#delete-form input[name=confirm]", name).await?;
        browser.click("#delete-form .submit button.danger").await?;
        for (page, row) in [("/vms", format!("tr[data-vm=\"{vm}\"]")), ("/volumes", String::new())] {
            wait::until(&format!("{page} without {name}"), browser.deadline(), || async {
                browser.open(page).await?;
                let text = browser.find("main").await?.text().await?;
                let there = if row.is_empty() {
                    text.contains(&format!("{name}-disk"))
                } else {
                    browser.has(&row).await?
                };
                Ok((!there).then_some(()))
            })
            .await?;
        }
        Ok(())
    }

    /// Waits until the machine's page shows it in a state, without loading the page again: it is live. Without scripts
    /// it is loaded again.
    ///
    /// # Errors
    /// When it does not; the message quotes the page.
    pub async fn in_state(&self, vm: &str, state: &str) -> Result<()> {
        let badge = format!("#head [data-vm-state=\"{state}\"]");
        if !self.scripts {
            return wait::until(&format!("machine {vm} {state}"), self.browser.deadline(), || async {
                self.open_vm(vm, "").await?;
                Ok(self.browser.has(&badge).await?.then_some(()))
            })
            .await;
        }
        if let Err(error) = self.browser.find(&badge).await {
            bail!("machine {vm}: {error:#}");
        }
        Ok(())
    }

    async fn open_vm(&self, vm: &str, tab: &str) -> Result<()> {
        self.browser.open(&format!("/vms/{vm}{tab}")).await?;
        let page = if tab.is_empty() { "vm".into() } else { format!("vm-{}", tab.trim_start_matches('/')) };
        self.browser.on_page(&page).await
    }

    /// Uploads nothing and creates nothing: looks whether a machine made before is there and in `state`.
    ///
    /// # Errors
    /// When it is not.
    pub async fn still_there(&self, vm: &str, state: &str) -> Result<()> {
        self.open_vm(vm, "").await?;
        self.in_state(vm, state).await
    }
}

/// The model name of this machine's processor, as the kernel tells it.
pub fn own_processor() -> String {
    let told = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = told.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split(':').nth(1)).unwrap_or_default().trim().to_owned()
}

/// A scratch directory for stories below `target`.
///
/// # Errors
/// When it can't be made.
pub fn scratch(target: &Path) -> Result<PathBuf> {
    let dir = target.join("story");
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    Ok(dir)
}
