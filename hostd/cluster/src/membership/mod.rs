//! Membership follows the cluster's hosts: the leader compares the two and takes one step at a time. A crash between two
//! steps costs nothing: the next leader sees what is left to do.

mod plan;

pub use plan::Pace;
use plan::{Look, Step};

use crate::beat::Pulses;
use crate::engine::{self, Engine};
use crate::error::StateError;
use crate::rows::Resource;
use crate::schema;
use hostd_types::{ClusterRecord, FEDERATION, Host, HostRole, Kind, NodeId};
use openraft::ChangeMembers;
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long one step may take; the next look sees whether it went through all the same.
const STEP: Duration = Duration::from_secs(20);
/// How long a leader that steps down keeps still.
const STILL: Duration = Duration::from_secs(6);

/// Keeps the membership in step with the hosts while this host leads, until `stop`.
pub(crate) async fn follow(engine: Engine, pulses: Pulses, pace: Pace, stop: CancellationToken) {
    let mut changes = engine.state().changes.subscribe();
    loop {
        let again = match look(&engine).await {
            Ok(Some(look)) => {
                let known = |node: NodeId| look.members.contains(&node.0) || look.wanted.contains(&node.0);
                engine.peers().contacts.keep(known);
                pulses.keep(known);
                serve_learners(&engine, &look, &pace);
                match look.step(&pace) {
                    Some(step) => take(&engine, step).await,
                    None => false,
                }
            }
            Ok(None) => false,
            Err(error) => {
                tracing::warn!(%error, "the hosts can't be read, so the membership stays as it is");
                false
            }
        };
        if again {
            continue;
        }
        let woken = async {
            loop {
                match changes.recv().await {
                    Ok(change) if matches!(change.kind, Kind::Host | Kind::Cluster) => return,
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
        };
        let waited = tokio::time::timeout(pace.look_every, woken);
        if stop.run_until_cancelled(waited).await.is_none() {
            return;
        }
    }
}

/// What there is to compare; `None` unless this host leads.
async fn look(engine: &Engine) -> Result<Option<Look>, StateError> {
    let metrics = engine.metrics();
    if !engine::leads(&metrics) {
        return Ok(None);
    }
    let Some((cluster, hosts)) = engine.state().writer.run(|db| cluster(db)).await? else { return Ok(None) };
    let now = Instant::now();
    let contacts = engine.peers().contacts.all();
    let membership = metrics.membership_config.membership();
    Ok(Some(Look {
        me: metrics.id,
        voters: membership.get_joint_config().last().cloned().unwrap_or_default(),
        members: membership.nodes().map(|(node, _)| *node).collect(),
        joint: membership.get_joint_config().len() > 1,
        wanted: hosts.iter().filter_map(|host| host.spec.node).map(|node| node.0).collect(),
        leaving: hosts
            .iter()
            .filter(|host| host.spec.leaving)
            .filter_map(|host| host.spec.node)
            .map(|node| node.0)
            .collect(),
        witnesses: hosts
            .iter()
            .filter(|host| host.spec.role == HostRole::Witness)
            .filter_map(|host| host.spec.node)
            .map(|node| node.0)
            .collect(),
        voters_max: cluster.spec.voters.into(),
        last: metrics.last_log_index.unwrap_or(0),
        matched: metrics
            .replication
            .iter()
            .flatten()
            .map(|(node, at)| (*node, at.map_or(0, |id| id.index)))
            .collect(),
        answered: contacts.iter().map(|(node, c)| (node.0, (now - c.since, now - c.last))).collect(),
    }))
}

/// The cluster's record and its hosts. Before the record exists a host is alone, and its row names no node.
fn cluster(db: &Connection) -> Result<Option<(ClusterRecord, Vec<Host>)>, StateError> {
    if schema::level(db)? < FEDERATION {
        return Ok(None);
    }
    let Some(cluster) = all(db)?.pop() else { return Ok(None) };
    Ok(Some((cluster, all(db)?)))
}

/// All rows of a kind.
pub(crate) fn all<T: Resource>(db: &Connection) -> Result<Vec<T>, StateError> {
    rows(db, "true", [])
}

/// The rows of a kind for which `holds`, a condition on columns, is so.
pub(crate) fn rows<T: Resource>(
    db: &Connection,
    holds: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<T>, StateError> {
    let sql = format!("SELECT id, meta, spec, status FROM {} WHERE {holds}", T::TABLE);
    let mut query = db.prepare_cached(&sql)?;
    let columns = query.query_map(values, |r| Ok([r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?]))?;
    let resource = |columns: rusqlite::Result<[String; 4]>| {
        let [id, meta, spec, status] = columns?;
        T::from_columns(&id, &meta, &spec, &status)
    };
    columns.map(resource).collect()
}

/// Many learners get entries in batches.
fn serve_learners(engine: &Engine, look: &Look, pace: &Pace) {
    let learners: BTreeSet<NodeId> = look.members.difference(&look.voters).map(|n| NodeId(*n)).collect();
    let slow = if learners.len() > pace.slow_learners { learners } else { BTreeSet::new() };
    engine.peers().contacts.slow_down(pace.batch_every, slow);
}

/// Takes one step; tells whether to look again at once.
async fn take(engine: &Engine, step: Step) -> bool {
    let raft = engine.raft();
    let names =
        |nodes: &BTreeSet<u64>| nodes.iter().map(|n| NodeId(*n).to_string()).collect::<Vec<_>>().join(" ");
    let (change, retain) = match step {
        Step::Add(nodes) => {
            tracing::info!(nodes = names(&nodes), "making members");
            let nodes = nodes.into_iter().map(|node| (node, openraft::EmptyNode {})).collect();
            (ChangeMembers::AddNodes(nodes), true)
        }
        Step::Vote(nodes) => {
            tracing::info!(nodes = names(&nodes), "setting who votes");
            (ChangeMembers::ReplaceAllVoters(nodes), true)
        }
        Step::Drop(nodes) => {
            tracing::info!(nodes = names(&nodes), "dropping members");
            (ChangeMembers::RemoveNodes(nodes), false)
        }
        Step::Yield => {
            tracing::info!("letting another member lead");
            step_down(engine).await;
            return false;
        }
    };
    match tokio::time::timeout(STEP, raft.change_membership(change, retain)).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the membership can't be changed now");
            false
        }
        Err(_) => {
            tracing::warn!("a change of the membership is not confirmed yet");
            false
        }
    }
}

/// Stops leading: without signs of life others stand for election, and win before this host stands again.
async fn step_down(engine: &Engine) {
    let raft = engine.raft();
    raft.runtime_config().heartbeat(false);
    engine.set_yields(true);
    let other = |m: &engine::Metrics| m.current_leader.is_some_and(|leader| leader != m.id);
    if !engine::comes_to(&raft, STILL, other).await {
        tracing::warn!("nobody else leads; going on");
    }
    raft.runtime_config().heartbeat(true);
    engine.set_yields(false);
}
