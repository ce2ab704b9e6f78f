//! A host leaves or is removed.

use super::scope::Scope;
use super::{Done, Step};
use crate::error::StateError;
use crate::rows::{Resource, millis};
use crate::schema;
use hostd_types::*;
use rusqlite::{OptionalExtension, params};

pub(crate) fn remove(scope: &mut Scope<'_>, id: HostId) -> Step<Done> {
    scope.the_cluster()?;
    let host = scope.get::<Host>(id)?;
    let name = &host.spec.name;
    let hosts: i64 = scope.db.query_row("SELECT count(*) FROM host", [], |r| r.get(0))?;
    if hosts <= 1 {
        let detail = format!("{name} is the cluster's last host; there is nothing it could be removed from.");
        return Err(Problem::wrong_state(detail).into());
    }
    if host.spec.node == Some(scope.leader.0) {
        // A request that waited for it while it was off; it may have the only vote, and would take that along.
        let detail =
            format!("{name} leads the cluster, so it is on. Let it leave instead: it hands over first.");
        return Err(Problem::wrong_state(detail).into());
    }
    scope.db.execute("DELETE FROM nic WHERE vm IN (SELECT id FROM vm WHERE host = ?1)", [id.to_string()])?;
    let vms = drop_rows::<Vm>(scope, id)?;
    let volumes = drop_rows::<Volume>(scope, id)?;
    if schema::level(scope.db)? >= LIFE {
        drop_rows::<Snapshot>(scope, id)?;
    }
    let images = drop_rows::<Image>(scope, id)?;
    let networks = drop_rows::<Network>(scope, id)?;
    let running = scope.names("SELECT id FROM task WHERE host = ?1 AND state = 'running' ORDER BY id", id)?;
    let tasks = running.len();
    for task in running {
        let task = task.parse().map_err(StateError::from)?;
        let left = format!("The host {name} left the cluster; look there whether the work was done.");
        scope.end_task(task, Some(Problem::new(ProblemKind::Cancelled, left)))?;
    }
    if let Some(node) = host.spec.node {
        remember(scope, &host, node)?;
    }
    scope.remove(&host)?;
    let subject = host.subject();
    let detail = format!(
        "with it went machines: {vms}, volumes: {volumes}, images: {images}, networks: {networks}; \
         running tasks that ended: {tasks}"
    );
    scope.accepted(&subject, detail)?;
    Ok(Done::about(subject))
}

/// Drops the rows of a host; tells how many.
fn drop_rows<T: Resource>(scope: &mut Scope<'_>, host: HostId) -> Step<usize> {
    let ids = scope.names(&format!("SELECT id FROM {} WHERE host = ?1 ORDER BY id", T::TABLE), host)?;
    scope.db.execute(&format!("DELETE FROM {} WHERE host = ?1", T::TABLE), [host.to_string()])?;
    let count = ids.len();
    for id in ids {
        scope.changed(T::KIND, id);
    }
    Ok(count)
}

/// Writes that `host` was removed, so that it can be told when it comes back.
fn remember(scope: &mut Scope<'_>, host: &Host, node: NodeId) -> Step {
    let removed = RemovedHost {
        node,
        host: host.id,
        name: host.spec.name.clone(),
        at: scope.entry.at,
        by: scope.entry.by.clone(),
    };
    let body = serde_json::to_string(&removed).map_err(StateError::from)?;
    scope.db.execute(
        "INSERT INTO removed (node, host, name, at, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![node.to_string(), host.id.to_string(), removed.name, millis(removed.at), body],
    )?;
    Ok(())
}

impl Scope<'_> {
    /// The member of this identity that was removed. Asked in a cluster only.
    pub(crate) fn removed(&self, node: NodeId) -> Step<Option<RemovedHost>> {
        self.removed_by("SELECT body FROM removed WHERE node = ?1", node.to_string())
    }

    /// The newest removal of a host. Asked in a cluster only.
    pub(crate) fn removed_host(&self, host: HostId) -> Step<Option<RemovedHost>> {
        let sql = "SELECT body FROM removed WHERE host = ?1 ORDER BY at DESC, node LIMIT 1";
        self.removed_by(sql, host.to_string())
    }

    fn removed_by(&self, sql: &str, value: String) -> Step<Option<RemovedHost>> {
        let body: Option<String> =
            self.db.prepare_cached(sql)?.query_row([value], |r| r.get(0)).optional()?;
        Ok(body.map(|b| serde_json::from_str(&b)).transpose().map_err(StateError::from)?)
    }
}
