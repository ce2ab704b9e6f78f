//! `apply`: what each command does to the state. Pure and deterministic: the same entries give the same rows on every
//! host, whatever way they are cut into batches.
//!
//! Nothing here may read a clock, a random number, a file or the network, or make an identifier: times and ids come in
//! the [`Entry`]. A refusal leaves no trace but that it is remembered. A failure of the database stops consensus on this host.

mod access;
mod cluster;
mod console_link;
mod event;
mod folder;
mod host;
mod image;
mod import;
mod join;
mod join_token;
mod lease;
mod lookup;
mod network;
mod organize;
mod origin;
mod remove;
mod request;
mod rotation;
mod scope;
mod snapshot;
mod snapshot_added;
mod snapshot_delete;
mod specification;
mod task;
mod unknown;
mod vm;
mod vm_adopt;
mod vm_clone;
mod vm_clone_gone;
mod vm_create;
mod vm_customize;
mod vm_device;
mod vm_device_held;
mod vm_device_open;
mod vm_edit;
mod vm_host_device;
mod vm_place;
mod vm_report;
mod vm_room;
mod volume;
mod volume_layers;

use crate::error::StateError;
use crate::level;
use crate::raft::{LogId, RaftEntry, Results};
use crate::record;
use crate::rows::millis;
use hostd_types::command::ENTRY_VERSION;
use hostd_types::*;
use openraft::EntryPayload;
use rusqlite::{Connection, params};
use scope::Scope;

/// What a run of entries came to.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// One answer for each entry.
    pub(crate) results: Vec<Results>,
    /// What changed, in order.
    pub(crate) changes: Vec<Change>,
}

/// Why a command did not act.
#[derive(Debug)]
pub(crate) enum Rejection {
    /// The state does not allow it: the same answer on every host.
    Refused(Problem),
    /// The database failed: this host must stop.
    Failed(StateError),
}

impl From<Problem> for Rejection {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl From<StateError> for Rejection {
    fn from(error: StateError) -> Self {
        // A violated constraint depends on the rows alone, so it is a refusal like any other; checks in front give
        // better words for the expected ones.
        if let StateError::Sqlite(rusqlite::Error::SqliteFailure(code, _)) = &error
            && code.code == rusqlite::ErrorCode::ConstraintViolation
        {
            return Self::Refused(Problem::new(
                ProblemKind::Conflict,
                "Something with the same name, id or address is there already.",
            ));
        }
        Self::Failed(error)
    }
}

impl From<rusqlite::Error> for Rejection {
    fn from(error: rusqlite::Error) -> Self {
        StateError::from(error).into()
    }
}

/// Result of applying one command or a part of it.
pub(crate) type Step<T = ()> = Result<T, Rejection>;

/// What a command started and was about.
pub(crate) struct Done {
    task: Option<TaskId>,
    subject: Option<Subject>,
}

impl Done {
    /// It acted at once.
    fn about(subject: Subject) -> Self {
        Self { task: None, subject: Some(subject) }
    }
    /// It started `task`.
    fn started(task: TaskId, subject: Subject) -> Self {
        Self { task: Some(task), subject: Some(subject) }
    }
}

/// Applies `entries` in one transaction.
pub(crate) fn entries(db: &mut Connection, entries: &[RaftEntry]) -> Result<Applied, StateError> {
    let mut applied = Applied::default();
    let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for entry in entries {
        let results = match &entry.payload {
            EntryPayload::Blank => Vec::new(),
            EntryPayload::Normal(batch) => {
                let mut results = Vec::with_capacity(batch.0.len());
                for command in batch.0.iter() {
                    results.push(once(&tx, &entry.log_id, command, &mut applied.changes)?);
                }
                results
            }
            EntryPayload::Membership(membership) => {
                let members = record::encode_membership(membership)?;
                let at = record::encode_log_id(&entry.log_id);
                tx.execute("UPDATE raft_meta SET membership_at = ?1, membership = ?2", params![at, members])?;
                Vec::new()
            }
        };
        applied.results.push(results);
    }
    if let Some(last) = entries.last() {
        set_applied(&tx, &last.log_id)?;
    }
    tx.commit()?;
    Ok(applied)
}

fn set_applied(db: &Connection, at: &LogId) -> Result<(), StateError> {
    db.prepare_cached("UPDATE raft_meta SET last_applied = ?1")?.execute([record::encode_log_id(at)])?;
    Ok(())
}

/// Applies a command unless the same request acted or was refused already.
fn once(
    db: &Connection,
    at: &LogId,
    entry: &Entry,
    changes: &mut Vec<Change>,
) -> Result<Result<Outcome, Problem>, StateError> {
    let (index, leader) = (at.index, (NodeId(at.leader_id.node_id), at.leader_id.term));
    if entry.version > ENTRY_VERSION {
        return Err(StateError::EntryTooNew { index, found: entry.version, known: ENTRY_VERSION });
    }
    request::forget(db, index, millis(entry.at))?;
    if let Some(first) = request::recall(db, entry)? {
        return Ok(first);
    }
    db.prepare_cached("SAVEPOINT command")?.execute([])?;
    let mut scope = Scope { db, index, leader, entry, changes: Vec::new() };
    let result = match dispatch(&mut scope) {
        Ok(Done { task, subject }) => {
            changes.append(&mut scope.changes);
            Ok(Outcome { index, task, subject })
        }
        Err(Rejection::Refused(problem)) => {
            db.prepare_cached("ROLLBACK TO command")?.execute([])?;
            Err(problem)
        }
        Err(Rejection::Failed(error)) => return Err(error),
    };
    request::remember(db, index, entry, &result)?;
    db.prepare_cached("RELEASE command")?.execute([])?;
    Ok(result)
}

fn dispatch(scope: &mut Scope<'_>) -> Step<Done> {
    if let Some(problem) = level::refusal(scope.db, scope.entry.command.level())? {
        return Err(problem.into());
    }
    match &scope.entry.command {
        Command::Host(command) => host::apply(scope, command),
        Command::Vm(command) => vm::apply(scope, command),
        Command::Volume(command) => volume::apply(scope, command),
        Command::Snapshot(command) => snapshot::apply(scope, command),
        Command::Image(command) => image::apply(scope, command),
        Command::Network(command) => network::apply(scope, command),
        Command::Task(command) => task::apply(scope, command),
        Command::Access(command) => access::apply(scope, command),
        Command::Cluster(command) => cluster::apply(scope, command),
        Command::Organize(command) => organize::apply(scope, command),
        Command::Specification(command) => specification::apply(scope, command),
        Command::Audit(command) => event::audit(scope, command),
    }
}
