//! `qx vm serial`: this terminal on a machine's serial port.

use super::{Session, Stop};
use crate::client::Failure;
use crate::console::terminal::RawMode;
use crate::http::v1::vm::OpenConsole;
use anyhow::{Context, anyhow};
use futures_util::{SinkExt, StreamExt};
use hostd_core::{ConsoleKind, ConsoleMode};
use hyper::Method;
use hyper::header::HeaderValue;
use serde_json::Value;
use std::io::Write;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// Ctrl-], as in telnet and virsh.
const ESCAPE: u8 = 0x1d;

/// Carries bytes both ways until Ctrl-] or until the machine stops.
pub async fn connect(session: &Session, vm: &str, mode: ConsoleMode) -> Result<(), Stop> {
    let path = format!("/api/v1/vms/{vm}/console");
    let asked = OpenConsole { console: ConsoleKind::Serial, mode };
    let ticket: Value = session.client.ask(Method::POST, &path, Some(&asked)).await?;
    let ticket = ticket["ticket"].as_str().ok_or_else(|| Failure::Unclear(anyhow!("no ticket")))?;
    let stream = UnixStream::connect(session.client.socket()).await.context("connecting to hostd")?;
    let address = format!("ws://localhost/api/v1/console?ticket={ticket}");
    let mut request = address.into_client_request().context("the console's address")?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("quantix.console"));
    let (socket, _) = client_async(request, stream).await.context("opening the console")?;
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
                Some(Ok(Message::Text(told))) => {
                    if let Some(words) = serde_json::from_str(&told).ok().as_ref().and_then(who_controls) {
                        eprint!("\r\n[{words}]\r\n");
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break "the connection broke".to_owned(),
            }
        }
    };
    eprintln!("\r\n{why}\r");
    Ok(())
}

/// What is worth knowing of who else is there: nothing, as long as this terminal's keys count.
fn who_controls(told: &Value) -> Option<String> {
    let (all, you) = (told["viewers"]["all"].as_array()?, &told["viewers"]["you"]);
    let own = all.iter().find(|viewer| viewer["id"] == *you)?;
    if own["controls"] == true || own["watching"] == true {
        return None;
    }
    let other = all.iter().find(|viewer| viewer["controls"] == true)?;
    Some(format!("{} controls it, your keys are not sent; --take takes over", other["who"].as_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_can_t_type_is_told_why() {
        let viewer = |id: u8, controls| json!({"id": id, "who": format!("v{id}"), "controls": controls});
        let told = |you| json!({"viewers": {"you": you, "all": [viewer(1, true), viewer(2, false)]}});
        assert_eq!(who_controls(&told(1)), None);
        assert!(who_controls(&told(2)).is_some_and(|words| words.starts_with("v1 controls it")));
        assert_eq!(who_controls(&json!({"problem": {}})), None);
    }
}
