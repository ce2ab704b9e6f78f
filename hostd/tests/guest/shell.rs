//! A shell on a guest's serial console, through the API.

use crate::api::console::{Socket, open_at, ticket};
use crate::bed::Bed;
use futures_util::{SinkExt, StreamExt};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

/// Time for one command; an emulated guest is slow.
const PATIENCE: Duration = Duration::from_secs(180);

pub struct Shell {
    socket: Socket,
    count: usize,
}

impl Shell {
    /// Logs in on the console of a guest that asks for it.
    pub async fn log_in(bed: &Bed, vm: &str, user: &str, password: &str) -> Self {
        let (mut browser, cookie) = bed.log_in().await;
        let ticket = ticket(&mut browser, vm, "serial").await;
        let url = bed.host.url();
        let fields = [("origin", url.as_str()), ("cookie", cookie.as_str())];
        let socket = open_at(bed, &fields, &format!("/api/v1/console?ticket={ticket}")).await.unwrap();
        let mut shell = Self { socket, count: 0 };
        shell.say("\n").await;
        shell.read_until("login: ").await;
        shell.say(&format!("{user}\n")).await;
        shell.read_until("Password: ").await;
        shell.say(&format!("{password}\n")).await;
        shell.read_until("$ ").await;
        shell.run("stty -echo; PS1=; bind 'set enable-bracketed-paste off' 2>/dev/null; true").await;
        shell
    }

    /// What a command prints.
    pub async fn run(&mut self, command: &str) -> String {
        self.count += 1;
        let (begin, end) = (format!("<{}-", self.count), format!("-{}>", self.count));
        // The marks are put together by the shell, so that an echo of the line has none.
        self.say(&format!("printf '<%s-' {n}; {command}; printf -- '-%s>\\n' {n}\n", n = self.count)).await;
        let said = self.read_until(&end).await;
        let said = said.split(&begin).last().unwrap_or_default();
        said.split(&end).next().unwrap_or_default().replace('\r', "").trim().to_owned()
    }

    async fn say(&mut self, text: &str) {
        self.socket.send(Message::Binary(text.as_bytes().to_vec().into())).await.unwrap();
    }

    async fn read_until(&mut self, what: &str) -> String {
        let mut bytes = Vec::new();
        let reading = async {
            while !String::from_utf8_lossy(&bytes).contains(what) {
                match self.socket.next().await.unwrap().unwrap() {
                    Message::Binary(more) => bytes.extend_from_slice(&more),
                    Message::Ping(_) | Message::Pong(_) | Message::Text(_) => {}
                    other => panic!("{other:?} instead of {what:?}"),
                }
            }
        };
        let read = timeout(PATIENCE, reading).await.is_ok();
        let said = String::from_utf8_lossy(&bytes).into_owned();
        assert!(read, "no {what:?} in what the guest said:\n{said}");
        said
    }
}

/// Waits for a line on the serial port, as the host keeps it.
pub async fn said(bed: &Bed, vm: &str, what: &str) {
    let log = bed.host.libvirt.outside(&PathBuf::from(format!("/run/quantix/vm/{vm}/serial.log")));
    let waiting = lab::wait::until(what, Duration::from_secs(600), || {
        let said = std::fs::read(&log).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).contains(what);
        async move { Ok(said.then_some(())) }
    });
    let shown = || std::fs::read_to_string(&log).unwrap_or_default();
    waiting.await.unwrap_or_else(|error| panic!("{error:#}\n{}", shown()));
}
