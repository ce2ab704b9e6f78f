//! A guest's serial line: QEMU copies everything into a log file, which is read from the start, and takes what is typed
//! from a Unix socket.

use crate::wait;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;

/// One serial line.
#[derive(Debug)]
pub struct Serial {
    log: PathBuf,
    socket: PathBuf,
    typing: Option<OwnedWriteHalf>,
}

impl Serial {
    /// The line whose socket and log are in `dir`.
    pub fn new(dir: &Path) -> Self {
        Self { log: dir.join("serial.log"), socket: dir.join("serial.sock"), typing: None }
    }

    /// QEMU's arguments for this line; the caller adds the device (`-serial chardev:serial`).
    pub fn chardev(&self) -> String {
        format!(
            "socket,id=serial,server=on,wait=off,path={},logfile={},logappend=off",
            self.socket.display(),
            self.log.display()
        )
    }

    /// The file everything the guest printed is in.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Everything printed so far, without carriage returns and terminal control sequences.
    pub fn text(&self) -> String {
        plain(&String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()))
    }

    /// Waits until `wanted` was printed, and returns everything printed so far.
    ///
    /// # Errors
    /// When it was not printed in time; the message quotes the last lines.
    pub async fn wait_for(&self, wanted: &str, deadline: Duration) -> Result<String> {
        let found = wait::until(wanted, deadline, || async {
            let text = self.text();
            Ok(text.contains(wanted).then_some(text))
        });
        match found.await {
            Ok(text) => Ok(text),
            Err(error) => {
                let text = self.text();
                let last: Vec<&str> = text.lines().rev().take(15).collect();
                let last: Vec<&str> = last.into_iter().rev().collect();
                bail!("{error:#}; the serial line ends with:\n{}", last.join("\n"))
            }
        }
    }

    /// Types `text`.
    ///
    /// # Errors
    /// When QEMU does not take it.
    pub async fn send(&mut self, text: &str) -> Result<()> {
        if self.typing.is_none() {
            let stream = UnixStream::connect(&self.socket).await.context("connecting to the serial line")?;
            let (mut read, write) = stream.into_split();
            // What comes out of the socket is in the log already; it must be drained or QEMU would stop printing.
            tokio::spawn(async move {
                let mut sink = [0; 4096];
                while read.read(&mut sink).await.is_ok_and(|n| n > 0) {}
            });
            self.typing = Some(write);
        }
        let line = self.typing.as_mut().context("the serial line is open")?;
        line.write_all(text.as_bytes()).await.context("typing on the serial line")
    }
}

/// `text` without carriage returns and without `ESC [ … letter` sequences.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {}
            '\u{1b}' => {
                if chars.peek() == Some(&'[') {
                    chars.next();
                    while chars.next().is_some_and(|c| !c.is_ascii_alphabetic()) {}
                } else {
                    chars.next();
                }
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn control_sequences_are_dropped() {
        assert_eq!(plain("a\u{1b}[1;31mred\u{1b}[0m\r\nb\u{1b}c!"), "ared\nb!");
    }
}
