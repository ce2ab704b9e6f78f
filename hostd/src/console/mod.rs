//! `hostd console`: what a person in front of the host sees, on a screen or a serial line.
//!
//! It shows how to reach the host and redraws when that changes. Enter asks for an administrator's name and password,
//! which the running daemon checks; only then does a shell start, in this program's place. Nothing else leads to a shell.

mod login;
mod screen;
pub mod terminal;

use crate::client::{Client, Failure};
use crate::config::DataState;
use crate::http::v1::appliance::Banner;
use anyhow::{Context, Result, bail};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How often the screen is compared with the host.
const PERIOD: Duration = Duration::from_secs(3);

/// One thing a person did.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    /// A line, without its end.
    Line(String),
    /// Ctrl-D.
    End,
}

/// Shows the console until somebody logs in.
///
/// # Errors
/// Standard input is no terminal, or the terminal is gone; whoever supervises this program starts it again.
pub async fn main(run_dir: &Path) -> Result<()> {
    if !std::io::stdin().is_terminal() {
        bail!("the console needs a terminal");
    }
    let client = Client::new(&run_dir.join("api.sock"));
    let mut typed = read_lines();
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut shown = String::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let now = current(&client, run_dir).await;
                if now != shown {
                    draw(&now)?;
                    shown = now;
                }
            }
            line = typed.recv() => match line.context("the terminal is gone")? {
                Typed::Line(_) => {
                    login::ask(&client, &mut typed, &mut interrupts).await?;
                    shown.clear();
                    ticks.reset_immediately();
                }
                Typed::End => shown.clear(),
            },
            _ = interrupts.recv() => shown.clear(),
        }
    }
}

async fn current(client: &Client, run_dir: &Path) -> String {
    let answer = timeout(PERIOD, client.get::<Banner>("/api/v1/banner")).await;
    let why = match answer {
        Ok(Ok(banner)) => return screen::of(&banner),
        Ok(Err(Failure::Unreachable(_))) => String::new(),
        Ok(Err(refused)) => refused.to_string(),
        Err(_) => "It does not answer.".into(),
    };
    let data = DataState::read(run_dir).unwrap_or_else(|error| Some(DataState::Failed(format!("{error:#}"))));
    screen::silent(data.as_ref(), &why)
}

fn draw(screen: &str) -> Result<()> {
    let mut out = std::io::stdout();
    // Clear, go home; a serial line's terminal needs the carriage return the line discipline adds.
    write!(out, "\x1b[2J\x1b[H{screen}").and_then(|()| out.flush()).context("writing to the terminal")
}

/// Lines typed, read by a thread of their own: a read of a terminal can't be given up.
fn read_lines() -> mpsc::Receiver<Typed> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        loop {
            let mut line = String::new();
            let typed = match std::io::stdin().read_line(&mut line) {
                Ok(0) if !std::io::stdin().is_terminal() => return,
                Ok(0) => Typed::End,
                Ok(_) => Typed::Line(line.trim_end_matches(['\r', '\n']).to_owned()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                // Bytes that are no text: nothing anybody meant.
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => continue,
                Err(_) => return,
            };
            if sender.blocking_send(typed).is_err() {
                return;
            }
        }
    });
    receiver
}
