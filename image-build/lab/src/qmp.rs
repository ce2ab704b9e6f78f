//! QEMU's control socket.

use crate::wait;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// Time QEMU has to answer a command.
const ANSWER: Duration = Duration::from_secs(30);

/// A connection on which commands can be given.
#[derive(Debug)]
pub struct Qmp {
    stream: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects to a QEMU that is just being started.
    ///
    /// # Errors
    /// When the socket does not appear or does not speak QMP.
    pub async fn connect(socket: &Path) -> Result<Self> {
        let stream = wait::until("QEMU's control socket", ANSWER, || async {
            Ok(Some(UnixStream::connect(socket).await?))
        })
        .await?;
        let mut qmp = Self { stream: BufReader::new(stream) };
        let greeting = qmp.line().await?;
        if greeting.get("QMP").is_none() {
            bail!("not QMP: {greeting}");
        }
        qmp.command("qmp_capabilities", json!({})).await?;
        Ok(qmp)
    }

    /// Gives one command and returns its result.
    ///
    /// # Errors
    /// When QEMU refuses it or does not answer.
    pub async fn command(&mut self, name: &str, arguments: Value) -> Result<Value> {
        let mut line = json!({"execute": name, "arguments": arguments}).to_string();
        line.push('\n');
        self.stream.get_mut().write_all(line.as_bytes()).await.context("writing to QEMU")?;
        loop {
            let mut answer = self.line().await?;
            if let Some(result) = answer.get_mut("return") {
                return Ok(result.take());
            }
            if let Some(error) = answer.get("error") {
                bail!("QEMU refused {name}: {error}");
            }
            // Anything else is an event.
        }
    }

    async fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        let read = tokio::time::timeout(ANSWER, self.stream.read_line(&mut line)).await;
        let bytes = read.context("QEMU does not answer")?.context("reading from QEMU")?;
        if bytes == 0 {
            bail!("QEMU closed its control socket");
        }
        serde_json::from_str(&line).with_context(|| format!("reading {line}"))
    }
}
