//! `qx vm snapshot`

use super::lookup::id;
use super::{Session, Stop, follow, output, size};
use anyhow::anyhow;
use clap::Subcommand;
use hostd_core::SnapshotsView;
use hostd_types::{CreateSnapshot, Phase, RevertSnapshot, SnapshotId};
use hyper::Method;

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List a machine's snapshots
    List { vm: String },
    /// Take one of the disks, whether the machine runs or not
    Create {
        vm: String,
        name: String,
        #[arg(long, default_value = "")]
        description: String,
        /// Ask the guest's agent to write everything out before
        #[arg(long)]
        quiesce: bool,
        /// Keep the memory of the running guest too, so that it can go on from there
        #[arg(long, conflicts_with = "quiesce")]
        memory: bool,
    },
    /// Go back to one: the disks become what they were, and the guest goes on from its memory if that was kept
    Revert {
        vm: String,
        snapshot: String,
        /// Take a snapshot of this name of what the disks hold now, before
        #[arg(long, value_name = "NAME")]
        first: Option<String>,
        /// Start the machine afterwards, anew
        #[arg(long, conflicts_with = "off")]
        start: bool,
        /// Leave the machine off, although the snapshot keeps memory that the guest could go on from
        #[arg(long)]
        off: bool,
    },
    /// Delete one; the disks keep what they hold now
    Delete { vm: String, snapshot: String },
}

pub async fn run(session: &Session, verb: Verb) -> Result<(), Stop> {
    match verb {
        Verb::List { vm } => list(session, &vm).await,
        Verb::Create { vm, name, description, quiesce, memory } => {
            let path = path(session, &vm).await?;
            let body = CreateSnapshot { name, description, include_memory: memory, quiesce };
            let accepted = session.client.ask(Method::POST, &path, Some(&body)).await?;
            follow::accepted(session, accepted).await
        }
        Verb::Revert { vm, snapshot, first, start, off } => {
            let path = path(session, &vm).await?;
            let id = find(session, &path, &snapshot).await?;
            let body = RevertSnapshot { snapshot_first: first, start, resume: off.then_some(false) };
            let accepted =
                session.client.ask(Method::POST, &format!("{path}/{id}/revert"), Some(&body)).await?;
            follow::accepted(session, accepted).await
        }
        Verb::Delete { vm, snapshot } => {
            let path = path(session, &vm).await?;
            let id = find(session, &path, &snapshot).await?;
            let accepted = session.client.ask(Method::DELETE, &format!("{path}/{id}"), None::<&()>).await?;
            follow::accepted(session, accepted).await
        }
    }
}

pub(super) async fn path(session: &Session, vm: &str) -> Result<String, Stop> {
    Ok(format!("/api/v1/vms/{}/snapshots", id(session, "vms", vm).await?))
}

/// The snapshot of this id or name.
pub(super) async fn find(session: &Session, path: &str, text: &str) -> Result<SnapshotId, Stop> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let view: SnapshotsView = session.client.get(path).await?;
    let named = view.snapshots.iter().find(|s| s.snapshot.spec.name.eq_ignore_ascii_case(text));
    named.map(|s| s.snapshot.id).ok_or_else(|| anyhow!("there is no {text:?} among the snapshots").into())
}

async fn list(session: &Session, vm: &str) -> Result<(), Stop> {
    let answer: serde_json::Value = session.client.get(&path(session, vm).await?).await?;
    if session.json {
        output::json(&answer);
        return Ok(());
    }
    let view: SnapshotsView = output::typed(answer)?;
    for s in &view.snapshots {
        let here = if view.current == Some(s.snapshot.id) { "  <- you are here" } else { "" };
        let state = match s.snapshot.status.phase {
            Phase::Creating => ", being taken",
            Phase::Deleting if s.snapshot.status.stopped => ", merge stopped: delete it again to go on",
            Phase::Deleting => ", being deleted",
            Phase::Ready if s.snapshot.status.quiesced => ", quiesced",
            Phase::Ready => "",
        };
        let taken = s.snapshot.status.taken_at.map(|at| at.to_string()).unwrap_or_default();
        let size = s.size_bytes.map(size::shown).unwrap_or_else(|| "unknown".into());
        let (indent, name) = ("  ".repeat(s.depth), &s.snapshot.spec.name);
        let memory = s.snapshot.status.memory_bytes.map(size::shown);
        let memory = memory.map(|bytes| format!(", with {bytes} of memory")).unwrap_or_default();
        output::say!("{indent}{name}  {taken}  {size}{memory}{state}  {}{here}", s.snapshot.id);
        for gone in &s.gone {
            output::say!("{indent}  a clone of it does without: {gone}");
        }
        if !s.detaches.is_empty() {
            output::say!("{indent}  going back to it detaches {}", s.detaches.join(", "));
        }
    }
    if view.snapshots.is_empty() {
        output::say!("no snapshots");
    }
    for debt in &view.debt {
        let size = debt.size_bytes.map(size::shown).unwrap_or_else(|| "unknown".into());
        output::say!("still to merge: {size} of {}. {}", debt.volume_name, debt.reason);
    }
    Ok(())
}
