//! `qx cluster join` and `leave`: told before, asked, and followed to the end.

use super::cluster::{condition, view};
use super::given::typed;
use super::{Session, Stop, output, size};
use crate::http::v1::cluster::{JoinCluster, LeaveCluster, PreviewJoin, Standing};
use anyhow::anyhow;
use hostd_core::{Condition, JoinPreview};
use hostd_types::{Clash, DiskFacts, HostFacts, HostRole};
use hyper::Method;
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Time to arrive in another cluster, or out of one.
const ARRIVE: Duration = Duration::from_secs(120);
/// It is looked at least so often meanwhile: the stream of changes may end with the state it told of.
const LOOK: Duration = Duration::from_secs(2);

/// Asks what a join would do and prints it.
pub async fn preview(session: &Session, token: String) -> Result<JoinPreview, Stop> {
    let body = PreviewJoin { token };
    let answer: Value = session.client.ask(Method::POST, "/api/v1/cluster/preview", Some(&body)).await?;
    let preview: JoinPreview = output::typed(answer.clone())?;
    if session.json {
        output::json(&answer);
        return Ok(preview);
    }
    let brought = &preview.belongings;
    output::facts([
        ("Cluster", preview.name.clone()),
        ("Hosts", preview.members.join(", ")),
        ("This host", becomes(&preview.host)),
        ("Brings", format!("{} machines, {} volumes", brought.vms.len(), brought.volumes.len())),
        ("", format!("{} images, {} networks", brought.images.len(), brought.networks.len())),
    ]);
    output::facts(hardware(&preview.facts));
    output::facts([("Version", format!("{}, level {}", preview.facts.versions.quantix, preview.level))]);
    output::facts(preview.clashes.iter().map(|c| ("Renamed", format!("{} {}", c.kind.as_str(), becomes(c)))));
    output::facts(preview.notes.iter().map(|note| ("Note", note.clone())));
    output::facts(preview.blockers.iter().map(|why| ("Impossible", why.clone())));
    Ok(preview)
}

/// What the cluster gets with this host.
fn hardware(facts: &HostFacts) -> impl Iterator<Item = (&'static str, String)> {
    let unknown = || "not known".to_owned();
    let cpu = match (facts.cpu.model.as_str(), facts.cpu.threads) {
        ("", 0) => unknown(),
        (model, 0) => model.to_owned(),
        ("", threads) => format!("{threads} threads"),
        (model, threads) => format!("{model}, {threads} threads"),
    };
    let memory = Some(facts.memory_bytes).filter(|bytes| *bytes > 0).map_or_else(unknown, size::shown);
    let disk = |disk: &DiskFacts| ("Disk", format!("{}, {}", disk.name, size::shown(disk.size_bytes)));
    let none = facts.disks.is_empty().then(|| ("Disk", unknown()));
    [("CPU", cpu), ("Memory", memory)].into_iter().chain(facts.disks.iter().map(disk)).chain(none)
}

fn becomes(clash: &Clash) -> String {
    match clash.name == clash.becomes {
        true => clash.name.clone(),
        false => format!("{} becomes {}", clash.name, clash.becomes),
    }
}

/// Joins the cluster of a token; unless told not to, asks before.
pub async fn join(session: &Session, token: String, role: Option<HostRole>, yes: bool) -> Result<(), Stop> {
    if !yes {
        let preview = preview(session, token.clone()).await?;
        if !preview.blockers.is_empty() {
            return Err(anyhow!("this host can't join {} as things are", preview.name).into());
        }
        let answer = typed(&format!("Join {}? Type yes:", preview.name)).await?;
        if !answer.eq_ignore_ascii_case("yes") {
            return Err(anyhow!("nothing was changed").into());
        }
    }
    let body = JoinCluster { token, role };
    let begun: Standing = session.client.ask(Method::POST, "/api/v1/cluster/join", Some(&body)).await?;
    arrive(session, begun, Condition::Member).await
}

/// Leaves the cluster; `yes` is this host's name, asked for when absent.
pub async fn leave(session: &Session, yes: Option<String>) -> Result<(), Stop> {
    let confirm = match yes {
        Some(name) => name,
        None => {
            let view = view(session).await?;
            let here = view.members.iter().find(|m| m.host.id == view.here);
            let name = here.map_or("this host", |m| &m.host.spec.name);
            let cluster = view.cluster.as_ref().map_or("its cluster", |c| &c.spec.name);
            output::say!(
                "{name} leaves {cluster}. What is on it comes along and runs on; it becomes a cluster of its own."
            );
            typed("Type this host's name to confirm:").await?
        }
    };
    let body = LeaveCluster { confirm };
    let begun: Standing = session.client.ask(Method::POST, "/api/v1/cluster/leave", Some(&body)).await?;
    arrive(session, begun, Condition::Alone).await
}

/// Follows this host until it has arrived, unless nobody wants to wait.
async fn arrive(session: &Session, begun: Standing, at: Condition) -> Result<(), Stop> {
    let deadline = Instant::now() + ARRIVE;
    let mut standing = begun.condition;
    while session.wait && standing == Condition::Moving {
        if Instant::now() > deadline {
            let text = "it takes long; the host goes on with it. Look again with: qx cluster show";
            return Err(anyhow!(text).into());
        }
        // The stream is open, which its first message says, before it is looked: nothing is missed in between.
        let mut changes = session.client.changes().await?;
        changes.next().await?;
        standing = view(session).await?.condition;
        if standing == Condition::Moving {
            // That it ended or said nothing is as good a reason to look again.
            let _ = timeout(LOOK, async { while let Ok(Some(_)) = changes.next().await {} }).await;
        }
    }
    if session.json {
        output::say!("{}", serde_json::json!({"condition": standing}));
    } else {
        output::say!("this host: {}", condition(standing));
    }
    match standing == at || standing == Condition::Moving {
        true => Ok(()),
        false => Err(anyhow!("it was to be: {}", condition(at)).into()),
    }
}
