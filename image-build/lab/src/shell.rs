//! A shell on the appliance: logged in on the local console as an administrator does.

use crate::serial::Serial;
use crate::wait;
use anyhow::{Context, Result, bail};
use std::time::Duration;

/// A shell that answers on a serial line.
#[derive(Debug)]
pub struct Shell<'a> {
    serial: &'a mut Serial,
    deadline: Duration,
    count: u32,
}

impl<'a> Shell<'a> {
    /// Logs in as `admin` with `password`. `deadline` bounds every answer.
    ///
    /// # Errors
    /// When the console does not ask, or refuses.
    pub async fn log_in(serial: &'a mut Serial, password: &str, deadline: Duration) -> Result<Self> {
        let mut shell = Self { serial, deadline, count: 0 };
        shell.dialogue("", "Name: ").await?;
        shell.dialogue("admin", "Password: ").await?;
        let before = shell.serial.text().len();
        shell.serial.send(&format!("{password}\r")).await?;
        shell.after(before, "# ").await.context("logging in on the local console")?;
        Ok(shell)
    }

    /// Runs one command line and returns what it printed.
    ///
    /// # Errors
    /// When it fails or does not end in time.
    pub async fn run(&mut self, line: &str) -> Result<String> {
        self.count += 1;
        let (begin, end) = (format!("begin-{}:", self.count), format!(":end-{}=", self.count));
        let before = self.serial.text().len();
        // The quotes keep the marks out of the line's own echo.
        let (b, e) = (begin.replacen("begin", "beg''in", 1), end.replacen("end", "en''d", 1));
        self.serial.send(&format!("echo {b}; {line}; echo {e}$?=\r")).await?;
        let printed = self.after(before, &end).await.with_context(|| format!("running {line}"))?;
        let (_, rest) = printed.split_once(&begin).context("the shell did not begin")?;
        let (output, status) = rest.split_once(&end).context("the shell did not end")?;
        let status = status.split('=').next().unwrap_or_default().trim();
        if status != "0" {
            bail!("{line} failed ({status}): {}", output.trim());
        }
        Ok(output.trim().to_owned())
    }

    async fn dialogue(&mut self, line: &str, wanted: &str) -> Result<()> {
        let before = self.serial.text().len();
        self.serial.send(&format!("{line}\r")).await?;
        self.after(before, wanted).await.map(drop)
    }

    /// Waits until `wanted` and one more line or prompt was printed after position `before`.
    async fn after(&self, before: usize, wanted: &str) -> Result<String> {
        let found = wait::until(wanted, self.deadline, || async {
            let text = self.serial.text();
            let rest = text.get(before..).unwrap_or_default();
            // An end mark is whole once its closing sign is there.
            let whole =
                rest.split_once(wanted).is_some_and(|(_, tail)| !wanted.ends_with('=') || tail.contains('='));
            Ok(whole.then(|| rest.to_owned()))
        });
        match found.await {
            Ok(rest) => Ok(rest),
            Err(error) => {
                bail!("{error:#}; printed was: {}", self.serial.text().get(before..).unwrap_or_default())
            }
        }
    }
}
