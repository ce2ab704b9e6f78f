//! The cluster's own record and the level of the state. Tokens, joining, importing and removing have files of their own.

use super::scope::Scope;
use super::{Done, Rejection, Step, import, join, join_token, remove, rotation};
use crate::error::StateError;
use crate::membership;
use crate::schema;
use hostd_types::command::ClusterCommand;
use hostd_types::*;
use rusqlite::OptionalExtension;

/// Most members that vote when nobody says otherwise.
const VOTERS: u8 = 5;

pub(crate) fn apply(scope: &mut Scope<'_>, command: &ClusterCommand) -> Step<Done> {
    match command {
        ClusterCommand::Found { id, name, authority, host, node } => {
            found(scope, *id, name, authority, *host, *node)
        }
        ClusterCommand::Raise { level } => raise(scope, *level),
        ClusterCommand::Edit { name, voters } => edit(scope, name.as_ref(), *voters),
        ClusterCommand::ChooseCpu { model } => choose_cpu(scope, model.as_ref()),
        ClusterCommand::CreateToken { id, secret, expires_at } => {
            join_token::create(scope, *id, secret, *expires_at)
        }
        ClusterCommand::RevokeToken { id } => join_token::revoke(scope, *id),
        ClusterCommand::Join { token, secret, host, node, name, role, status } => {
            let comer = join::Comer { host: *host, node: *node, name, role: *role, status };
            join::join(scope, *token, secret, &comer)
        }
        ClusterCommand::Import { host, belongings } => import::import(scope, *host, belongings),
        ClusterCommand::Recover { host, generation } => recover(scope, *host, *generation),
        ClusterCommand::Remove { host } => remove::remove(scope, *host),
        ClusterCommand::RotateAuthority { authority, fingerprint } => {
            rotation::begin(scope, authority, fingerprint)
        }
        ClusterCommand::RotateWithout { hosts } => rotation::without(scope, hosts),
        ClusterCommand::StepRotation { from } => rotation::step(scope, *from),
    }
}

fn found(
    scope: &mut Scope<'_>,
    id: ClusterId,
    name: &str,
    authority: &Authority,
    host: HostId,
    node: NodeId,
) -> Step<Done> {
    if let Some(present) = scope.cluster()? {
        let detail = format!("This host is in the cluster {} already.", present.spec.name);
        return Err(Problem::wrong_state(detail).into());
    }
    let spec = ClusterSpec { name: name.to_owned(), voters: VOTERS, cpu_model: None };
    let level = schema::level(scope.db)?;
    let status = ClusterStatus { level, generation: 0, authorities: vec![authority.clone()], rotation: None };
    let cluster = ClusterRecord { id, meta: scope.created(), spec, status };
    scope.insert(&cluster)?;
    match scope.find::<Host>(host)? {
        Some(mut founder) => {
            founder.spec.node = Some(node);
            scope.touch(&mut founder);
            scope.update(&founder)?;
        }
        None => {
            let spec = HostSpec {
                name: name.to_owned(),
                node: Some(node),
                role: HostRole::Host,
                fence_epoch: 0,
                leaving: false,
                state: HostState::New,
            };
            scope.insert(&Host { id: host, meta: scope.created(), spec, status: HostStatus::default() })?;
        }
    }
    let subject = cluster.subject();
    scope.accepted(&subject, "")?;
    Ok(Done::about(subject))
}

fn raise(scope: &mut Scope<'_>, level: u16) -> Step<Done> {
    // Who proposed it may not have seen yet that an older version came in; a host that was never a member tells none.
    let members: Vec<Host> = membership::all(scope.db)?;
    let members: Vec<Host> = members.into_iter().filter(|host| host.spec.node.is_some()).collect();
    let behind = behind(&members, level);
    if level > schema::level(scope.db)? && !behind.is_empty() {
        return Err(Problem::wrong_state(format!("Level {level} is not known by {behind}.")).into());
    }
    if level > LEVEL {
        // Its tables are unknown here: going on without them would make another state than the other hosts'.
        let newer = StateError::LevelTooNew { index: scope.index, found: level, known: LEVEL };
        return Err(Rejection::Failed(newer));
    }
    let before = schema::level(scope.db)?;
    if level > before {
        schema::migrate(scope.db, before, level)?;
    }
    let mut cluster = scope.cluster()?;
    if level > before {
        if let Some(cluster) = &mut cluster {
            cluster.status.level = level;
            scope.update(cluster)?;
        }
        let subject = cluster.as_ref().map(ClusterRecord::subject);
        let detail = format!("level {before} to {level}");
        scope.event(scope.entry.command.name(), subject.as_ref(), EventResult::Ok, detail)?;
    }
    Ok(Done { task: None, subject: cluster.as_ref().map(ClusterRecord::subject) })
}

fn recover(scope: &mut Scope<'_>, host: HostId, generation: u64) -> Step<Done> {
    let mut cluster = scope.the_cluster()?;
    if generation <= cluster.status.generation {
        let detail = format!("The cluster is in generation {} already.", cluster.status.generation);
        return Err(Problem::wrong_state(detail).into());
    }
    let survivor = scope.get::<Host>(host)?;
    for lost in scope.names("SELECT id FROM host WHERE id <> ?1 ORDER BY id", host)? {
        remove::remove(scope, lost.parse().map_err(StateError::from)?)?;
    }
    cluster.status.generation = generation;
    scope.update(&cluster)?;
    let subject = survivor.subject();
    scope.accepted(&subject, format!("goes on alone, generation {generation}"))?;
    Ok(Done::about(subject))
}

fn choose_cpu(scope: &mut Scope<'_>, model: Option<&String>) -> Step<Done> {
    let Some(mut cluster) = scope.cluster()? else {
        return Err(
            Problem::wrong_state("This host has no cluster's record yet; try again in a moment.").into()
        );
    };
    cluster.spec.cpu_model = model.cloned();
    scope.touch(&mut cluster);
    scope.update(&cluster)?;
    let subject = cluster.subject();
    scope.accepted(&subject, model.map_or("what all hosts can run", String::as_str))?;
    Ok(Done::about(subject))
}

fn edit(scope: &mut Scope<'_>, name: Option<&String>, voters: Option<u8>) -> Step<Done> {
    let mut cluster = scope.the_cluster()?;
    let before = cluster.spec.clone();
    if let Some(name) = name {
        cluster.spec.name.clone_from(name);
    }
    cluster.spec.voters = voters.unwrap_or(before.voters);
    let mut changes = Vec::new();
    if cluster.spec.name != before.name {
        changes.push(format!("name: {} to {}", before.name, cluster.spec.name));
    }
    if cluster.spec.voters != before.voters {
        changes.push(format!("voters: {} to {}", before.voters, cluster.spec.voters));
    }
    let subject = cluster.subject();
    if changes.is_empty() {
        scope.accepted(&subject, "nothing changed")?;
        return Ok(Done::about(subject));
    }
    scope.touch(&mut cluster);
    scope.update(&cluster)?;
    scope.accepted(&subject, changes.join(", "))?;
    Ok(Done::about(subject))
}

impl Scope<'_> {
    /// The cluster's record, once there is one.
    pub(crate) fn cluster(&self) -> Step<Option<ClusterRecord>> {
        if schema::level(self.db)? < FEDERATION {
            return Ok(None);
        }
        let id: Option<String> =
            self.db.prepare_cached("SELECT id FROM cluster")?.query_row([], |r| r.get(0)).optional()?;
        id.map(|id| self.get::<ClusterRecord>(id)).transpose()
    }

    /// The cluster's record.
    ///
    /// # Errors
    /// Refused when there is none yet.
    pub(crate) fn the_cluster(&self) -> Step<ClusterRecord> {
        let none = || Problem::wrong_state("This host is in no cluster yet; make one first.").into();
        self.cluster()?.ok_or_else(none)
    }
}
