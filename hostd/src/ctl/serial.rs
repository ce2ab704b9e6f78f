//! `qx vm serial`: this terminal on a machine's serial port.

use super::{Session, Stop};
use crate::client::Failure;
use crate::console::terminal::RawMode;
use anyhow::{Context, anyhow};
use futures_util::{SinkExt, StreamExt};
use hyper::Method;
use serde_json::{Value, json};
use std::io::Write;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

/// Ctrl-], as in telnet and virsh.
const ESCAPE: u8 = 0x1d;

/// Carries bytes both ways until Ctrl-] or until the machine stops.
pub async fn connect(session: &Session, vm: &str) -> Result<(), Stop> {
    let path = format!("/api/v1/vms/{vm}/console");
    let ticket: Value = session.client.ask(Method::POST, &path, Some(&json!({"console": "serial"}))).await?;
    let ticket = ticket["ticket"].as_str().ok_or_else(|| Failure::Unclear(anyhow!("no ticket")))?;
    let stream = UnixStream::connect(session.client.socket()).await.context("connecting to hostd")?;
    let address = format!("ws://localhost/api/v1/console?ticket={ticket}");
    let (socket, _) = client_async(address, stream).await.context("opening the console")?;
    eprintln!("Connected; Ctrl-] ends it.\r");
    let _raw = RawMode::enter().context("preparing the terminal")?;
    let (mut sink, mut source) = socket.split();
    let mut typed = [0; 1024];
    let mut keyboard = tokio::io::stdin();
    let why = loop {
        tokio::select! {
            read = keyboard.read(&mut typed) => {
                let n = read.context("reading the keyboard")?;
                let end = typed[..n].iter().position(|b| *b == ESCAPE);
                let bytes = typed[..end.unwrap_or(n)].to_vec();
                if !bytes.is_empty() {
                    sink.send(Message::Binary(bytes.into())).await.context("sending to the machine")?;
                }
                if end.is_some() || n == 0 {
                    break "disconnected".to_owned();
                }
            }
            message = source.next() => match message {
                Some(Ok(Message::Binary(bytes))) => {
                    let mut screen = std::io::stdout();
                    screen.write_all(&bytes).and_then(|()| screen.flush()).context("writing to the terminal")?;
                }
                Some(Ok(Message::Close(Some(frame)))) => break frame.reason.to_string(),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break "the connection broke".to_owned(),
            }
        }
    };
    eprintln!("\r\n{why}\r");
    Ok(())
}
