//! Logging in at the local console.

use super::Typed;
use super::terminal::{NoEcho, forget_typed};
use crate::client::{Client, Failure};
use anyhow::{Context, Result};
use hostd_types::Credentials;
use hyper::Method;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;
use tokio::signal::unix::Signal;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// A prompt nobody answers goes away.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks for name and password. With the right ones this program becomes a login shell and does not return; otherwise it
/// returns to the screen.
///
/// # Errors
/// The terminal is gone, or the shell can't be started.
pub async fn ask(client: &Client, typed: &mut Receiver<Typed>, interrupts: &mut Signal) -> Result<()> {
    let Some(name) = prompt("\nName: ", typed, interrupts).await? else { return Ok(()) };
    let password = {
        let _quiet = NoEcho::enter().context("hiding the password")?;
        prompt("Password: ", typed, interrupts).await?
    };
    forget_typed();
    let Some(password) = password else { return Ok(()) };
    match check(client, Credentials { name, password }).await {
        Ok(()) => Err(become_shell().into()),
        Err(failure) => {
            say(&format!("\n{failure}\nPress Enter to go back.\n"))?;
            // Whether Enter was pressed or patience ran out, the screen comes back.
            let _ = prompt("", typed, interrupts).await?;
            Ok(())
        }
    }
}

/// Lets the daemon check the credentials, as it does for browsers, rate limit and audit trail included.
async fn check(client: &Client, credentials: Credentials) -> Result<(), Failure> {
    client.ask(Method::POST, "/api/v1/account/verify", Some(&credentials)).await
}

async fn prompt(text: &str, typed: &mut Receiver<Typed>, interrupts: &mut Signal) -> Result<Option<String>> {
    say(text)?;
    tokio::select! {
        line = timeout(PATIENCE, typed.recv()) => match line {
            Ok(line) => match line.context("the terminal is gone")? {
                Typed::Line(line) => Ok(Some(line)),
                Typed::End => Ok(None),
            },
            Err(_) => Ok(None),
        },
        _ = interrupts.recv() => Ok(None),
    }
}

fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout();
    write!(out, "{text}").and_then(|()| out.flush()).context("writing to the terminal")
}

/// Replaces this program by a login shell; returns only why that failed.
fn become_shell() -> std::io::Error {
    let terminal = std::env::var("TERM").unwrap_or_else(|_| "linux".into());
    let mut shell = Command::new("/bin/sh");
    shell.arg("-l").env_clear().current_dir("/");
    shell.envs([
        ("TERM", terminal.as_str()),
        ("HOME", "/root"),
        ("USER", "root"),
        ("LOGNAME", "root"),
        ("SHELL", "/bin/sh"),
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ]);
    shell.exec()
}
