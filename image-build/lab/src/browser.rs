//! A headless Chromium driven over WebDriver: a fresh profile, the appliance's own certificate accepted, and the
//! developer protocol for what WebDriver lacks (screen sizes, dark mode, scripts off).

use crate::wait;
use anyhow::{Context, Result, bail};
use base64::Engine;
use fantoccini::elements::Element;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Chromium's switches: no sandbox as tests run as root, nothing that reaches out to the network.
const SWITCHES: [&str; 14] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-extensions",
    "--hide-scrollbars",
    "--no-proxy-server",
    "--force-color-profile=srgb",
];

/// What Chromium shows when the network of the machine changed while a page came.
const INTERRUPTED: &str = "ERR_NETWORK_CHANGED";

/// A screen to draw pages on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// CSS pixels.
    pub width: u32,
    /// CSS pixels.
    pub height: u32,
    /// The user prefers dark pages.
    pub dark: bool,
}

/// The browser. Ending it (or dropping it) ends chromedriver and Chromium.
#[derive(Debug)]
pub struct Browser {
    /// The WebDriver session.
    pub client: Client,
    base: String,
    deadline: Duration,
    driver: Child,
    profile: TempDir,
}

impl Browser {
    /// Why no browser can be started here, for the line `skipped: why`.
    pub fn missing() -> Option<String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = |program: &str| std::env::split_paths(&path).any(|dir| dir.join(program).exists());
        ["chromedriver", "chromium"].into_iter().find(|p| !found(p)).map(|p| format!("{p} is not installed"))
    }

    /// Starts a browser whose relative addresses are below `base`. `deadline` bounds every wait; it depends on how fast
    /// the product behind it is.
    ///
    /// # Errors
    /// When chromedriver or Chromium does not start.
    pub async fn start(base: &str, deadline: Duration) -> Result<Self> {
        let profile = tempfile::Builder::new().prefix("browser-").tempdir().context("making a profile")?;
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        // Its own process group: Ctrl-C in a terminal must reach us first, or nothing is left to end it in order.
        let mut driver =
            command.process_group(0).kill_on_drop(true).spawn().context("starting chromedriver")?;
        let output = driver.stdout.take().context("chromedriver's output")?;
        let port = tokio::time::timeout(Duration::from_secs(30), announced_port(output))
            .await
            .context("chromedriver does not start")??;
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(profile.path()))
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .context("starting Chromium")?;
        Ok(Self { client, base: base.trim_end_matches('/').into(), deadline, driver, profile })
    }

    /// How long every wait may take.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Opens a page of the product; tried again when the network of the machine changed meanwhile, at which Chromium
    /// drops every connection.
    ///
    /// # Errors
    /// When it does not load.
    pub async fn open(&self, path: &str) -> Result<()> {
        let address = format!("{}{path}", self.base);
        let opened = wait::until(&address, self.deadline, || async {
            match self.client.goto(&address).await {
                Err(error) if error.to_string().contains(INTERRUPTED) => Ok(None),
                outcome => Ok(Some(outcome)),
            }
        });
        opened.await?.with_context(|| format!("opening {address}"))
    }

    /// The path and query of the page that is shown.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub async fn path(&self) -> Result<String> {
        let url = self.client.current_url().await?;
        Ok(url.query().map_or_else(|| url.path().to_owned(), |q| format!("{}?{q}", url.path())))
    }

    /// Waits for an element.
    ///
    /// # Errors
    /// When it does not appear in time; the message quotes the page.
    pub async fn find(&self, css: &str) -> Result<Element> {
        let found = wait::until(css, self.deadline, || async {
            let found = self.client.find_all(Locator::Css(css)).await?.into_iter().next();
            if found.is_none() && self.page_text().await.contains(INTERRUPTED) {
                self.client.refresh().await?;
            }
            Ok(found)
        });
        match found.await {
            Ok(element) => Ok(element),
            Err(error) => bail!("{error:#}\n{}", self.page_text().await),
        }
    }

    /// Whether an element is on the page now.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub async fn has(&self, css: &str) -> Result<bool> {
        Ok(!self.client.find_all(Locator::Css(css)).await?.is_empty())
    }

    /// Waits until no such element is on the page.
    ///
    /// # Errors
    /// When one still is after the deadline.
    pub async fn gone(&self, css: &str) -> Result<()> {
        let wanted = format!("no {css}");
        wait::until(&wanted, self.deadline, || async { Ok((!self.has(css).await?).then_some(())) }).await
    }

    /// Waits for an element, scrolls to it and clicks it; tried again when the page was just replaced.
    ///
    /// # Errors
    /// When it can't be clicked in time.
    pub async fn click(&self, css: &str) -> Result<()> {
        self.find(css).await?;
        let what = format!("click on {css}");
        let clicked = wait::until(&what, self.deadline, || async {
            let element = self.client.find(Locator::Css(css)).await?;
            Ok(Some(element.click().await?))
        });
        match clicked.await {
            Ok(()) => Ok(()),
            Err(error) => bail!("{error:#}\n{}", self.page_text().await),
        }
    }

    /// Replaces the content of an input; tried again when the page was just replaced.
    ///
    /// # Errors
    /// When it does not appear or can't be typed into in time.
    pub async fn fill(&self, css: &str, text: &str) -> Result<()> {
        self.find(css).await?;
        wait::until(&format!("typing into {css}"), self.deadline, || async {
            let input = self.client.find(Locator::Css(css)).await?;
            input.clear().await?;
            Ok(Some(input.send_keys(text).await?))
        })
        .await
    }

    /// Chooses the option of a `<select>` by its value; tried again when the page was just replaced.
    ///
    /// # Errors
    /// When there is none in time.
    pub async fn choose(&self, css: &str, value: &str) -> Result<()> {
        self.find(css).await?;
        wait::until(&format!("choosing {value} in {css}"), self.deadline, || async {
            Ok(Some(self.client.find(Locator::Css(css)).await?.select_by_value(value).await?))
        })
        .await
    }

    /// Waits for a page of the product by its `data-page`.
    ///
    /// # Errors
    /// When another page is shown.
    pub async fn on_page(&self, name: &str) -> Result<()> {
        self.find(&format!("main[data-page=\"{name}\"]")).await.map(drop)
    }

    /// Runs a script (`return …`) in the page.
    ///
    /// # Errors
    /// When it throws.
    pub async fn script(&self, script: &str) -> Result<Value> {
        self.client.execute(script, Vec::new()).await.with_context(|| format!("running {script}"))
    }

    /// Waits until a script returns something true.
    ///
    /// # Errors
    /// When it does not in time; `what` names what was waited for.
    pub async fn holds(&self, what: &str, script: &str) -> Result<()> {
        let held = wait::until(what, self.deadline, || async {
            Ok((self.script(script).await? == Value::Bool(true)).then_some(()))
        });
        match held.await {
            Ok(()) => Ok(()),
            Err(error) => bail!("{error:#}\n{}", self.page_text().await),
        }
    }

    /// The text a person reads on the page.
    pub async fn page_text(&self) -> String {
        let path = self.path().await.unwrap_or_default();
        let text =
            self.script("return document.body ? document.body.innerText : ''").await.unwrap_or_default();
        format!("[{path}] {}", text.as_str().unwrap_or_default().chars().take(1500).collect::<String>())
    }

    /// Gives a command of the developer protocol.
    ///
    /// # Errors
    /// When Chromium refuses it.
    pub async fn developer(&self, command: &str, parameters: Value) -> Result<Value> {
        let order = Post { path: "goog/cdp/execute", body: json!({"cmd": command, "params": parameters}) };
        self.client.issue_cmd(order).await.with_context(|| format!("giving {command}"))
    }

    /// The developer protocol's events since the last call.
    ///
    /// # Errors
    /// When Chromium refuses.
    pub async fn network_log(&self) -> Result<Vec<Value>> {
        let log =
            self.client.issue_cmd(Post { path: "se/log", body: json!({"type": "performance"}) }).await?;
        let lines = log.as_array().cloned().unwrap_or_default();
        let parse = |line: &Value| -> Option<Value> {
            let outer: Value = serde_json::from_str(line.get("message")?.as_str()?).ok()?;
            outer.get("message").cloned()
        };
        Ok(lines.iter().filter_map(parse).collect())
    }

    /// Draws pages as on `screen` from now on.
    ///
    /// # Errors
    /// When Chromium refuses.
    pub async fn set_screen(&self, screen: Screen) -> Result<()> {
        let metrics = json!({"width": screen.width, "height": screen.height, "deviceScaleFactor": 1,
            "mobile": screen.width < 600});
        self.developer("Emulation.setDeviceMetricsOverride", metrics).await?;
        let scheme = if screen.dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"}]});
        self.developer("Emulation.setEmulatedMedia", features).await.map(drop)
    }

    /// Switches the pages' scripts off or on again, from the next page on.
    ///
    /// # Errors
    /// When Chromium refuses.
    pub async fn set_scripts(&self, on: bool) -> Result<()> {
        self.developer("Emulation.setScriptExecutionDisabled", json!({"value": !on})).await.map(drop)
    }

    /// Saves the whole page, what lies below the screen included, as a PNG.
    ///
    /// # Errors
    /// When it can't be taken or written.
    pub async fn screenshot(&self, file: &Path) -> Result<PathBuf> {
        let taken = self.developer("Page.captureScreenshot", json!({"captureBeyondViewport": true})).await?;
        let png = taken["data"].as_str().context("a picture")?;
        let png = base64::engine::general_purpose::STANDARD.decode(png).context("reading the picture")?;
        if let Some(dir) = file.parent() {
            std::fs::create_dir_all(dir)?;
        }
        std::fs::write(file, png).with_context(|| file.display().to_string())?;
        Ok(file.to_owned())
    }

    /// Ends the browser in order.
    ///
    /// # Errors
    /// When it can't be ended.
    pub async fn end(self) -> Result<()> {
        self.client.clone().close().await.context("closing Chromium")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A chromedriver that is killed leaves its Chromium behind; ours is known by its profile.
        let _ = self.driver.start_kill();
        let Ok(processes) = std::fs::read_dir("/proc") else { return };
        let ours = self.profile.path().to_string_lossy().into_owned();
        for process in processes.flatten() {
            let pid = process.file_name().to_string_lossy().parse::<i32>();
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            if let Ok(pid) = pid
                && String::from_utf8_lossy(&line).contains(&ours)
            {
                let _ = nix::sys::signal::kill(
                    nix::unistd::Pid::from_raw(pid),
                    nix::sys::signal::Signal::SIGKILL,
                );
            }
        }
    }
}

async fn announced_port(output: tokio::process::ChildStdout) -> Result<u16> {
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await? {
        let port =
            line.split("successfully on port ").nth(1).map(|rest| rest.trim_end_matches('.').parse::<u16>());
        if let Some(Ok(port)) = port {
            // Whatever else it says must be read, or it would stop at a full pipe.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(port);
        }
    }
    bail!("chromedriver ended at once")
}

fn capabilities(profile: &Path) -> Map<String, Value> {
    let mut switches: Vec<String> = SWITCHES.map(String::from).to_vec();
    switches.push(format!("--user-data-dir={}", profile.display()));
    let mut wanted = Map::new();
    wanted.insert("browserName".into(), json!("chrome"));
    wanted.insert("acceptInsecureCerts".into(), json!(true));
    wanted.insert("goog:loggingPrefs".into(), json!({"performance": "ALL"}));
    wanted.insert("goog:chromeOptions".into(), json!({"args": switches, "binary": "/usr/bin/chromium"}));
    wanted
}

/// A POST that is chromedriver's own, below the session.
#[derive(Debug)]
struct Post {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Post {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }
    fn method_and_body(&self, _request_url: &url::Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_browser_reads_a_page_changes_its_screen_and_ends() {
        if let Some(why) = Browser::missing() {
            println!("skipped: {why}");
            return;
        }
        let page = "data:text/html,<main data-page='x'><p id=w></p><input name=n></main>\
            <script>document.getElementById('w').textContent=matchMedia('(prefers-color-scheme: dark)').matches+' '+innerWidth</script>";
        let browser = Browser::start("", Duration::from_secs(30)).await.expect("browser");
        browser.set_screen(Screen { width: 390, height: 844, dark: true }).await.expect("screen");
        browser.open(page).await.expect("page");
        browser.on_page("x").await.expect("the page");
        let text = browser.find("#w").await.expect("element").text().await.expect("text");
        assert!(text.starts_with("true "), "{text}");
        browser.fill("input[name=n]", "typed").await.expect("typing");
        browser
            .holds("the input", "return document.querySelector('input').value=='typed'")
            .await
            .expect("value");
        let dir = tempfile::tempdir().expect("scratch");
        let png = browser.screenshot(&dir.path().join("shots/x.png")).await.expect("screenshot");
        assert!(std::fs::read(png).expect("png").starts_with(b"\x89PNG"));
        browser.set_scripts(false).await.expect("scripts off");
        browser.open(page).await.expect("page");
        assert_eq!(browser.find("#w").await.expect("element").text().await.expect("text"), "");
        browser.end().await.expect("end");
    }
}
