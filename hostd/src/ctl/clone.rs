//! `qx vm clone` and `qx vm template`

use super::lookup::id;
use super::snapshot::{find, path};
use super::{Session, Stop, customize, follow};
use anyhow::Context;
use clap::Args;
use hostd_types::{CloneMode, CloneVm, SetTemplate};
use hyper::Method;
use serde_json::Value;

#[derive(Debug, Args)]
pub struct Clone {
    /// The machine or template that is copied
    source: String,
    /// Name of the copy
    name: String,
    /// Put its disks over those of the source: there at once, but the source's disks can't go before it
    #[arg(long, conflicts_with = "test")]
    linked: bool,
    /// Linked, on isolated networks of its own: to try something out, and to throw away
    #[arg(long)]
    test: bool,
    /// Copy this snapshot of the source, with the hardware of that time
    #[arg(long)]
    snapshot: Option<String>,
    /// Its description; that of the source by default
    #[arg(long)]
    description: Option<String>,
    /// Ask the running guest's agent to write everything out before
    #[arg(long)]
    quiesce: bool,
    /// Start it as soon as it is made
    #[arg(long)]
    start: bool,
    #[command(flatten)]
    guest: customize::Guest,
}

#[derive(Debug, Args)]
pub struct Template {
    id: String,
    /// Make a machine of it again
    #[arg(long)]
    back: bool,
}

pub async fn run(session: &Session, asked: Clone) -> Result<(), Stop> {
    let Clone { source, name, linked, test, snapshot, description, quiesce, start, guest } = asked;
    let snapshot = match snapshot {
        Some(text) => Some(find(session, &path(session, &source).await?, &text).await?),
        None => None,
    };
    let mode = match (linked, test) {
        (_, true) => CloneMode::Test,
        (true, false) => CloneMode::Linked,
        (false, false) => CloneMode::Full,
    };
    let (customization, typed) = guest.read().await?;
    let copy = CloneVm { name, description, mode, snapshot, customization, filing: None, quiesce, start };
    let path = format!("/api/v1/vms/{}/clone", id(session, "vms", &source).await?);
    let mut body = serde_json::to_value(&copy).context("writing the request")?;
    customize::put_password(&mut body, "/customization", typed);
    let accepted = session.client.ask(Method::POST, &path, Some(&body)).await?;
    follow::accepted(session, accepted).await
}

pub async fn template(session: &Session, asked: Template) -> Result<(), Stop> {
    let path = format!("/api/v1/vms/{}/template", id(session, "vms", &asked.id).await?);
    let body = SetTemplate { template: !asked.back };
    let vm: Value = session.client.ask(Method::PUT, &path, Some(&body)).await?;
    if session.json {
        super::output::json(&vm);
    } else {
        super::output::say!("{} is a {}", asked.id, if asked.back { "machine" } else { "template" });
    }
    Ok(())
}
