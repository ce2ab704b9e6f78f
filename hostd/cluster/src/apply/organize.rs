//! How things are filed: folders have a file of their own; here are tags, notes and saved views.

use super::lookup::refuse;
use super::scope::Scope;
use super::{Done, Step, folder};
use crate::error::StateError;
use crate::rows::Resource;
use hostd_types::command::OrganizeCommand;
use hostd_types::*;
use rusqlite::{OptionalExtension, params};

pub(crate) fn apply(scope: &mut Scope<'_>, command: &OrganizeCommand) -> Step<Done> {
    match command {
        OrganizeCommand::CreateFolder { id, folder } => folder::create(scope, *id, folder),
        OrganizeCommand::EditFolder { id, expect, edit } => folder::edit(scope, *id, *expect, edit),
        OrganizeCommand::DeleteFolder { id, move_up } => folder::delete(scope, *id, *move_up),
        OrganizeCommand::File { kind, id, filing } => match kind {
            Kind::Vm => file_vm(scope, id, filing),
            Kind::Volume => file::<Volume>(scope, id, filing),
            Kind::Image => file::<Image>(scope, id, filing),
            Kind::Network => file::<Network>(scope, id, filing),
            Kind::Cluster
            | Kind::JoinToken
            | Kind::Host
            | Kind::Task
            | Kind::Event
            | Kind::User
            | Kind::Token
            | Kind::Session
            | Kind::ConsoleLink
            | Kind::Snapshot
            | Kind::Folder
            | Kind::View
            | Kind::Specification => {
                let detail = "Machines, volumes, images and networks have tags; nothing else has.";
                Err(refuse(ProblemKind::Invalid, "/kind", detail.into()))
            }
        },
        OrganizeCommand::SaveView { id, user, view } => save_view(scope, *id, *user, view),
        OrganizeCommand::DeleteView { id, user } => delete_view(scope, *id, *user),
    }
}

fn file_vm(scope: &mut Scope<'_>, id: &str, filing: &EditFiling) -> Step<Done> {
    let mut vm = scope.get::<Vm>(id)?;
    let mut said = tag(&mut vm.meta, filing)?;
    if let Some(FolderPlace(place)) = filing.folder
        && vm.spec.filing.folder != place
    {
        vm.spec.filing.folder = place;
        said.push(format!("to {}", folder::path(scope, place, "/folder")?));
    }
    if let Some(notes) = &filing.notes
        && vm.spec.filing.notes != *notes
    {
        vm.spec.filing.notes.clone_from(notes);
        said.push("notes".into());
    }
    filed(scope, &vm, &said)
}

fn file<T: Resource>(scope: &mut Scope<'_>, id: &str, filing: &EditFiling) -> Step<Done> {
    for (given, pointer, what) in [
        (filing.folder.is_some(), "/folder", "be in folders"),
        (filing.notes.is_some(), "/notes", "have notes"),
    ] {
        if given {
            let detail = format!("Only machines {what}; a {} has tags alone.", T::NOUN);
            return Err(refuse(ProblemKind::Invalid, pointer, detail));
        }
    }
    let mut row = scope.get::<T>(id)?;
    let said = tag(row.meta_mut(), filing)?;
    filed(scope, &row, &said)
}

fn filed<T: Resource>(scope: &mut Scope<'_>, row: &T, said: &[String]) -> Step<Done> {
    let subject = row.named();
    if said.is_empty() {
        scope.accepted(&subject, "nothing changed")?;
    } else {
        scope.update(row)?;
        scope.accepted(&subject, said.join(", "))?;
    }
    Ok(Done::about(subject))
}

/// Changes tags; tells what changed.
fn tag(meta: &mut Meta, filing: &EditFiling) -> Step<Vec<String>> {
    let mut said = Vec::new();
    for key in &filing.remove {
        if meta.labels.remove(key).is_some() {
            said.push(format!("-{key}"));
        }
    }
    for (key, value) in &filing.set {
        if meta.labels.get(key) != Some(value) {
            said.push(format!("+{}", Tag(key, value)));
            meta.labels.insert(key.clone(), value.clone());
        }
    }
    if meta.labels.len() > TAGS_MAX {
        let detail = format!("With these it would have {} tags; at most {TAGS_MAX} fit.", meta.labels.len());
        return Err(refuse(ProblemKind::Invalid, "/set", detail));
    }
    Ok(said)
}

fn save_view(scope: &mut Scope<'_>, id: ViewId, user: Option<UserId>, asked: &SaveView) -> Step<Done> {
    let owner = owner(user);
    let there: Option<String> = scope
        .db
        .prepare_cached("SELECT id FROM view WHERE user = ?1 AND list = ?2 AND name = ?3")?
        .query_row(params![owner, asked.list.as_str(), asked.name], |r| r.get(0))
        .optional()?;
    let id = match there {
        Some(there) => there.parse().map_err(StateError::from)?,
        None => {
            let count: i64 =
                scope.db.query_row("SELECT count(*) FROM view WHERE user = ?1", [&owner], |r| r.get(0))?;
            if count.unsigned_abs() >= VIEWS_MAX {
                let detail = format!("You have {count} saved views, which is the most; delete one first.");
                return Err(refuse(ProblemKind::Conflict, "/name", detail));
            }
            id
        }
    };
    let view = SavedView {
        id,
        user,
        name: asked.name.clone(),
        list: asked.list,
        query: asked.query.clone(),
        saved_at: scope.entry.at,
    };
    let body = serde_json::to_string(&view).map_err(StateError::from)?;
    scope
        .db
        .prepare_cached(
            "INSERT OR REPLACE INTO view (id, user, list, name, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![id.to_string(), owner, asked.list.as_str(), asked.name, body])?;
    told(scope, &view)
}

fn delete_view(scope: &mut Scope<'_>, id: ViewId, user: Option<UserId>) -> Step<Done> {
    let body: Option<String> = scope
        .db
        .prepare_cached("DELETE FROM view WHERE id = ?1 AND user = ?2 RETURNING body")?
        .query_row(params![id.to_string(), owner(user)], |r| r.get(0))
        .optional()?;
    let body = body.ok_or_else(|| Problem::not_found("saved view of yours", id))?;
    let view: SavedView = serde_json::from_str(&body).map_err(StateError::from)?;
    told(scope, &view)
}

fn told(scope: &mut Scope<'_>, view: &SavedView) -> Step<Done> {
    scope.changed(Kind::View, view.id);
    let subject = Subject { kind: Kind::View, id: view.id.to_string(), name: view.name.clone() };
    scope.accepted(&subject, format!("of {}", view.list.as_str()))?;
    Ok(Done::about(subject))
}

/// The column of a view's user.
fn owner(user: Option<UserId>) -> String {
    user.map_or_else(String::new, |user| user.to_string())
}
