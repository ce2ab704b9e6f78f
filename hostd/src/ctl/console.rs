//! `qx vm viewers`, `screenshot`, `link`, `xml`, `log`: what belongs to a machine's consoles, and what tells of it.

use super::lookup::id;
use super::{Session, Stop, output, screen};
use crate::client::Failure;
use anyhow::Context;
use clap::Subcommand;
use hostd_core::{ConsoleViewers, Viewer, VmLog, VmXml};
use hostd_types::{ConsoleLink, ConsoleLinkId, NewConsoleLink, ShareConsole};
use http_body_util::{BodyExt, Empty};
use hyper::header::HOST;
use hyper::{Method, Request};
use serde_json::Value;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Who is at its consoles, and who of them controls
    Viewers { id: String },
    /// Give its screen to one viewer on this machine, such as virt-viewer, through a loopback address
    Screen(screen::Screen),
    /// Save a picture of its screen (PNG)
    Screenshot { id: String, file: PathBuf },
    /// Print its definition inside libvirt, without secrets: as it will run, or as it runs with --live
    Xml {
        id: String,
        #[arg(long)]
        live: bool,
    },
    /// Print the end of the log of its QEMU, or of its serial port with --serial
    Log {
        id: String,
        #[arg(long)]
        serial: bool,
        /// Lines at most, up to 1000
        #[arg(long, default_value_t = 200)]
        lines: u32,
    },
    /// Links that open its consoles without a login
    #[command(subcommand)]
    Link(LinkVerb),
}

#[derive(Debug, Subcommand)]
pub enum LinkVerb {
    /// List a machine's links
    List { vm: String },
    /// Make one; it opens once and is printed once
    Create {
        vm: String,
        /// Whoever opens it may type, too
        #[arg(long)]
        control: bool,
        /// Seconds it is valid, a week at most
        #[arg(long, default_value_t = 3600)]
        valid: u32,
    },
    /// Take one back; what was opened with it closes
    Revoke { link: ConsoleLinkId },
}

pub async fn run(session: &Session, verb: Verb) -> Result<(), Stop> {
    match verb {
        Verb::Viewers { id: name } => viewers(session, &name).await,
        Verb::Screenshot { id: name, file } => {
            let path = format!("/api/v1/vms/{}/screenshot", id(session, "vms", &name).await?);
            let picture = bytes(session, &path).await?;
            std::fs::write(&file, picture).with_context(|| file.display().to_string())?;
            output::say!("{}", file.display());
            Ok(())
        }
        Verb::Xml { id: name, live } => xml(session, &name, live).await,
        Verb::Log { id: name, serial, lines } => log(session, &name, serial, lines).await,
        Verb::Screen(asked) => screen::run(session, asked).await,
        Verb::Link(verb) => link(session, verb).await,
    }
}

async fn viewers(session: &Session, name: &str) -> Result<(), Stop> {
    let path = format!("/api/v1/vms/{}/viewers", id(session, "vms", name).await?);
    let answer: Value = session.client.get(&path).await?;
    if session.json {
        output::json(&answer);
        return Ok(());
    }
    let ConsoleViewers { screen, serial } = output::typed(answer)?;
    let row = |what: &str, viewer: &Viewer| {
        let does = if viewer.controls { "controls" } else { "looks" };
        [what.to_owned(), viewer.who.clone(), does.into(), viewer.since.to_string()]
    };
    let rows = screen.iter().map(|v| row("screen", v)).chain(serial.iter().map(|v| row("serial", v)));
    output::table(["CONSOLE", "WHO", "DOES", "SINCE"], rows);
    Ok(())
}

async fn xml(session: &Session, name: &str, live: bool) -> Result<(), Stop> {
    let path = format!("/api/v1/vms/{}/xml", id(session, "vms", name).await?);
    let answer: Value = session.client.get(&path).await?;
    if session.json {
        output::json(&answer);
        return Ok(());
    }
    let VmXml { live: running, persistent, .. } = output::typed(answer)?;
    let text = if live { running.ok_or_else(|| anyhow::anyhow!("{name} does not run"))? } else { persistent };
    output::say!("{}", text.trim_end());
    Ok(())
}

async fn log(session: &Session, name: &str, serial: bool, lines: u32) -> Result<(), Stop> {
    let source = if serial { "serial" } else { "qemu" };
    let id = id(session, "vms", name).await?;
    let answer: Value =
        session.client.get(&format!("/api/v1/vms/{id}/log?source={source}&lines={lines}")).await?;
    if session.json {
        output::json(&answer);
        return Ok(());
    }
    let VmLog { lines, missing, .. } = output::typed(answer)?;
    if let Some(missing) = missing {
        return Err(anyhow::anyhow!(missing).into());
    }
    lines.iter().for_each(|line| output::say!("{line}"));
    Ok(())
}

async fn link(session: &Session, verb: LinkVerb) -> Result<(), Stop> {
    match verb {
        LinkVerb::List { vm } => {
            let path = format!("/api/v1/vms/{}/links", id(session, "vms", &vm).await?);
            let page: Value = session.client.get(&path).await?;
            output::page(session, page, ["ID", "ALLOWS", "STATE", "ENDS"], |link: ConsoleLink| {
                let allows = if link.control { "control" } else { "looking" };
                let state = match link.used {
                    Some(used) => format!("opened from {}", used.address),
                    None => "not opened".into(),
                };
                [link.id.to_string(), allows.into(), state, link.expires_at.to_string()]
            })
        }
        LinkVerb::Create { vm, control, valid } => {
            let path = format!("/api/v1/vms/{}/links", id(session, "vms", &vm).await?);
            let body = ShareConsole { control, valid_s: valid };
            let answer: Value = session.client.ask(Method::POST, &path, Some(&body)).await?;
            if session.json {
                output::json(&answer);
                return Ok(());
            }
            let made: NewConsoleLink = output::typed(answer)?;
            output::say!("{}", made.path);
            eprintln!("Put the address of a host in front, such as https://HOST:8443. It opens once.");
            Ok(())
        }
        LinkVerb::Revoke { link } => {
            session.client.ask::<()>(Method::DELETE, &format!("/api/v1/links/{link}"), None::<&()>).await?;
            output::say!("{link}: revoked");
            Ok(())
        }
    }
}

/// A body that is not JSON.
async fn bytes(session: &Session, path: &str) -> Result<Vec<u8>, Stop> {
    let body = Empty::new().map_err(|never| match never {}).boxed();
    let request = Request::get(path).header(HOST, "localhost").body(body);
    let response = session.client.send(request.map_err(|e| Failure::Unclear(e.into()))?).await?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(|e| Failure::Unreachable(e.into()))?.to_bytes();
    if status.is_success() {
        return Ok(body.to_vec());
    }
    match serde_json::from_slice(&body) {
        Ok(problem) => Err(Failure::Refused(problem).into()),
        Err(_) => Err(Failure::Unclear(anyhow::anyhow!("HTTP status {status}")).into()),
    }
}
