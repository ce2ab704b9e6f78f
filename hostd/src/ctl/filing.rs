//! `qx tag`, and the verbs of `qx vm` that file machines, show their day, or work on several at once.

use super::lookup::{id, typed_id};
use super::{Session, Stop, folder, output, size};
use anyhow::{Context, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use hostd_types::*;
use hyper::Method;
use serde_json::Value;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Move machines into a folder
    Move {
        #[arg(required = true)]
        ids: Vec<String>,
        /// Its path, such as /Production/Web, or its id; / is the top
        #[arg(long)]
        folder: String,
    },
    /// Show its notes, or write them anew
    Notes {
        id: String,
        /// The new notes; - reads them from standard input
        text: Option<String>,
    },
    /// Its last day, a mean a minute; minutes in which nothing was measured are left out
    History {
        id: String,
        /// What is measured now instead, a line every second until you press Ctrl-C
        #[arg(long)]
        live: bool,
    },
    /// The same for several machines, each with its own result
    Batch {
        act: Act,
        #[arg(required = true)]
        ids: Vec<String>,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Act {
    Start,
    Shutdown,
    Reboot,
    Reset,
    ForceOff,
    Pause,
    Resume,
    /// Their disks stay
    Delete,
    /// Their disks go, too
    DeleteWithDisks,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Tagged {
    Vm,
    Volume,
    Image,
    Network,
}

#[derive(Debug, Args)]
pub struct TagVerb {
    kind: Tagged,
    id: String,
    /// Tags to set, such as env=prod, or a key alone
    tags: Vec<String>,
    /// Keys to take away (may be repeated)
    #[arg(long)]
    remove: Vec<String>,
}

/// How a new machine is filed.
#[derive(Debug, Args)]
pub struct New {
    /// The folder it is in, such as /Production/Web
    #[arg(long, default_value = "/")]
    folder: String,
    /// A tag, such as env=prod, or a key alone (may be repeated)
    #[arg(long = "tag")]
    tags: Vec<String>,
    /// Free text, longer than the description
    #[arg(long, default_value = "")]
    notes: String,
}

impl New {
    /// As the API takes it.
    pub async fn read(self, session: &Session) -> Result<NewFiling, Stop> {
        let FolderPlace(folder) = folder::place(session, &self.folder).await?;
        let tags = parse_tags(&self.tags.join(",")).map_err(|detail| anyhow!(detail))?;
        Ok(NewFiling { folder, tags, notes: self.notes })
    }
}

/// Which machines are listed.
#[derive(Debug, Args)]
pub struct Filter {
    /// Only those with this tag, such as env=prod, or env for any value (may be repeated)
    #[arg(long)]
    tag: Vec<String>,
    /// Only those in this folder alone
    #[arg(long)]
    folder: Option<String>,
    /// Those in the folders below, too
    #[arg(long, requires = "folder")]
    below: bool,
}

impl Filter {
    /// Fills in what lists take.
    pub async fn fill(self, session: &Session, params: &mut ListParams) -> Result<(), Stop> {
        params.tag = Some(self.tag.join(",")).filter(|tag| !tag.is_empty());
        params.below = self.below;
        if let Some(text) = self.folder {
            params.folder = Some(folder::place(session, &text).await?);
        }
        Ok(())
    }
}

pub async fn tag(session: &Session, given: TagVerb) -> Result<(), Stop> {
    let collection = match given.kind {
        Tagged::Vm => "vms",
        Tagged::Volume => "volumes",
        Tagged::Image => "images",
        Tagged::Network => "networks",
    };
    let set = parse_tags(&given.tags.join(",")).map_err(|detail| anyhow!(detail))?;
    let path = format!("/api/v1/{collection}/{}/filing", id(session, collection, &given.id).await?);
    file(session, &path, &EditFiling { set, remove: given.remove, ..EditFiling::default() }).await
}

async fn file(session: &Session, path: &str, filing: &EditFiling) -> Result<(), Stop> {
    let _: Value = session.client.ask(Method::PATCH, path, Some(filing)).await?;
    Ok(())
}

pub async fn run(session: &Session, verb: Verb) -> Result<(), Stop> {
    match verb {
        Verb::Move { ids, folder: text } => {
            let place = folder::place(session, &text).await?;
            let filing = EditFiling { folder: Some(place), ..EditFiling::default() };
            batch(session, &ids, BatchAct::File { filing }).await
        }
        Verb::Notes { id: name, text: None } => {
            let path = format!("/api/v1/vms/{}", id(session, "vms", &name).await?);
            let detail: Value = session.client.get(&path).await?;
            for line in detail["vm"]["spec"]["filing"]["notes"].as_str().unwrap_or_default().lines() {
                output::say!("{}", line.replace(char::is_control, " "));
            }
            Ok(())
        }
        Verb::Notes { id: name, text: Some(text) } => {
            let notes = match text.as_str() {
                "-" => std::io::read_to_string(std::io::stdin()).context("reading the notes")?,
                _ => text,
            };
            let path = format!("/api/v1/vms/{}/filing", id(session, "vms", &name).await?);
            let notes = Some(notes.trim_end().to_owned());
            file(session, &path, &EditFiling { notes, ..EditFiling::default() }).await
        }
        Verb::History { id: name, live: false } => history(session, &name).await,
        Verb::History { id: name, live: true } => seconds(session, &name).await,
        Verb::Batch { act, ids } => {
            let power = |action| BatchAct::Power { action, deadline_s: None };
            let act = match act {
                Act::Start => power(PowerAction::Start),
                Act::Shutdown => power(PowerAction::Shutdown),
                Act::Reboot => power(PowerAction::Reboot),
                Act::Reset => power(PowerAction::Reset),
                Act::ForceOff => power(PowerAction::ForceOff),
                Act::Pause => power(PowerAction::Pause),
                Act::Resume => power(PowerAction::Resume),
                Act::Delete => BatchAct::Delete { disks: false },
                Act::DeleteWithDisks => BatchAct::Delete { disks: true },
            };
            batch(session, &ids, act).await
        }
    }
}

async fn history(session: &Session, name: &str) -> Result<(), Stop> {
    let path = format!("/api/v1/vms/{}/history", id(session, "vms", name).await?);
    let answer: Value = session.client.get(&path).await?;
    if session.json {
        output::json(&answer);
        return Ok(());
    }
    let minutes: Vec<VmSample> = output::typed(answer)?;
    let headings = ["MINUTE", "CPU", "MEMORY", "READ", "WRITTEN", "RECEIVED", "SENT"];
    output::table(headings, minutes.iter().map(row));
    Ok(())
}

fn row(sample: &VmSample) -> [String; 7] {
    let rate = |bytes: f64| format!("{}/s", size::shown(bytes as u64));
    let at = Timestamp::from_unix(sample.at).to_string();
    let cpu = format!("{:.1} %", sample.cpu * 100.0);
    let [read, written, received, sent] =
        [sample.read_bps, sample.write_bps, sample.rx_bps, sample.tx_bps].map(rate);
    [at, cpu, size::shown(sample.memory_rss), read, written, received, sent]
}

/// Prints each point once, as it comes; asking for them is what has the machine measured every second.
async fn seconds(session: &Session, name: &str) -> Result<(), Stop> {
    let path = format!("/api/v1/vms/{}/seconds", id(session, "vms", name).await?);
    let mut last = i64::MIN;
    loop {
        let points: Vec<VmSample> = output::typed(session.client.get(&path).await?)?;
        for point in points.iter().filter(|point| point.at > last) {
            match session.json {
                true => output::json(&serde_json::to_value(point).context("writing a point")?),
                false => {
                    let [at, cpu, memory, read, written, received, sent] = row(point);
                    output::say!(
                        "{at}  {cpu:>8}  {memory:>9}  {read:>11}  {written:>11}  {received:>11}  {sent:>11}"
                    );
                }
            }
        }
        last = points.last().map_or(last, |point| point.at);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Does the same with each machine and prints a line for each; the tasks go on by themselves.
async fn batch(session: &Session, names: &[String], act: BatchAct) -> Result<(), Stop> {
    let mut vms = Vec::new();
    for name in names {
        vms.push(typed_id(session, "vms", name).await?);
    }
    let answer: Value =
        session.client.ask(Method::POST, "/api/v1/vms/batch", Some(&VmBatch { vms, act })).await?;
    let result: BatchResult = output::typed(answer.clone())?;
    if session.json {
        output::json(&answer);
    } else {
        output::table(
            ["NAME", "RESULT", "TASK", "ID"],
            result.items.iter().map(|item| {
                let said = item.problem.as_ref().map_or("accepted".into(), |problem| problem.detail.clone());
                let task = item.task.map(|task| task.to_string()).unwrap_or_default();
                [item.name.clone(), said, task, item.id.to_string()]
            }),
        );
    }
    match result.refused {
        0 => Ok(()),
        refused => Err(anyhow!("{refused} of {} were refused", result.items.len()).into()),
    }
}
