//! What a command is applied with: the open transaction, its entry, and the list of what it touched.

use super::{Step, unknown};
use crate::error::StateError;
use crate::rows::{Resource, millis, result_name};
use hostd_types::*;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

/// One command being applied.
pub(crate) struct Scope<'a> {
    pub(crate) db: &'a Connection,
    pub(crate) index: u64,
    /// The leader that wrote the entry, and its term.
    pub(crate) leader: (NodeId, u64),
    pub(crate) entry: &'a Entry,
    pub(crate) changes: Vec<Change>,
}

impl Scope<'_> {
    /// Notes that a row was touched.
    pub(crate) fn changed(&mut self, kind: Kind, id: impl ToString) {
        self.changes.push(Change { kind, id: id.to_string(), index: self.index });
    }

    /// The resource of this id, if there is one.
    pub(crate) fn find<T: Resource>(&self, id: impl ToString) -> Step<Option<T>> {
        let id = id.to_string();
        let parts = self.parts::<T>(&id)?;
        Ok(parts.map(|[meta, spec, status]| T::from_columns(&id, &meta, &spec, &status)).transpose()?)
    }

    /// Bookkeeping, spec and status of a row as they are written.
    fn parts<T: Resource>(&self, id: &str) -> Step<Option<[String; 3]>> {
        let sql = format!("SELECT meta, spec, status FROM {} WHERE id = ?1", T::TABLE);
        let mut query = self.db.prepare_cached(&sql)?;
        Ok(query.query_row([id], |r| Ok([r.get(0)?, r.get(1)?, r.get(2)?])).optional()?)
    }

    /// The resource of this id.
    ///
    /// # Errors
    /// Refused as not found.
    pub(crate) fn get<T: Resource>(&self, id: impl ToString) -> Step<T> {
        let id = id.to_string();
        self.find(&id)?.ok_or_else(|| Problem::not_found(T::NOUN, id).into())
    }

    /// Adds a new row.
    pub(crate) fn insert<T: Resource>(&mut self, resource: &T) -> Step {
        let extra = T::EXTRA.iter().map(|c| format!(", {c}")).collect::<String>();
        let places = (0..T::EXTRA.len()).map(|n| format!(", ?{}", n + 7)).collect::<String>();
        let written = resource.parts()?;
        self.write(
            resource,
            written,
            &format!(
                "INSERT INTO {} (id, name, created, meta, spec, status{extra}) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6{places})",
                T::TABLE
            ),
        )
    }

    /// Writes a row that is there; what a newer version put into it stays.
    pub(crate) fn update<T: Resource>(&mut self, resource: &T) -> Step {
        let mut written = resource.parts()?;
        let id = resource.id_text();
        if let Some(old) = self.parts::<T>(&id)? {
            let [meta, spec, status] = &old;
            let known = T::from_columns(&id, meta, spec, status)?.parts()?;
            for ((new, old), known) in written.iter_mut().zip(&old).zip(&known) {
                *new = unknown::keep(old, known, std::mem::take(new))?;
            }
        }
        let extra =
            T::EXTRA.iter().enumerate().map(|(n, c)| format!(", {c} = ?{}", n + 7)).collect::<String>();
        self.write(
            resource,
            written,
            &format!(
                "UPDATE {} SET name = ?2, created = ?3, meta = ?4, spec = ?5, status = ?6{extra} WHERE id = ?1",
                T::TABLE
            ),
        )
    }

    fn write<T: Resource>(&mut self, resource: &T, [meta, spec, status]: [String; 3], sql: &str) -> Step {
        let mut values: Vec<Value> = vec![
            resource.id_text().into(),
            resource.named().name.into(),
            millis(resource.meta().created_at).into(),
            meta.into(),
            spec.into(),
            status.into(),
        ];
        values.extend(resource.extra());
        self.db.prepare_cached(sql)?.execute(params_from_iter(values))?;
        self.changed(T::KIND, resource.id_text());
        Ok(())
    }

    /// Drops a row.
    pub(crate) fn remove<T: Resource>(&mut self, resource: &T) -> Step {
        let sql = format!("DELETE FROM {} WHERE id = ?1", T::TABLE);
        self.db.prepare_cached(&sql)?.execute([resource.id_text()])?;
        self.changed(T::KIND, resource.id_text());
        Ok(())
    }

    /// Bookkeeping of something made by this command.
    pub(crate) fn created(&self) -> Meta {
        Meta::created(self.entry.at, &self.entry.by)
    }

    /// Records in `resource` that this command changed its spec.
    pub(crate) fn touch<T: Resource>(&self, resource: &mut T) {
        resource.meta_mut().touch(self.entry.at, &self.entry.by);
    }

    /// Writes the audit event of this command.
    pub(crate) fn event(
        &mut self,
        action: impl Into<String>,
        subject: Option<&Subject>,
        result: EventResult,
        detail: impl Into<String>,
    ) -> Step {
        let seq: i64 = self
            .db
            .prepare_cached("UPDATE raft_meta SET event_seq = event_seq + 1 RETURNING event_seq")?
            .query_row([], |r| r.get(0))?;
        let event = Event {
            seq: seq.unsigned_abs(),
            at: self.entry.at,
            by: self.entry.by.clone(),
            action: action.into(),
            subject: subject.cloned(),
            result,
            detail: detail.into(),
        };
        let body = serde_json::to_string(&event).map_err(StateError::from)?;
        self.db
            .prepare_cached(
                "INSERT INTO event (seq, at, action, subject, name, result, body) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                seq,
                millis(event.at),
                event.action,
                subject.map(|s| &s.id),
                subject.map(|s| &s.name),
                result_name(result),
                body
            ])?;
        self.changed(Kind::Event, seq);
        Ok(())
    }

    /// The event of a command that was accepted, under the command's own name.
    pub(crate) fn accepted(&mut self, subject: &Subject, detail: impl Into<String>) -> Step {
        self.event(self.entry.command.name(), Some(subject), EventResult::Ok, detail)
    }
}
