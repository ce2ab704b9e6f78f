//! Folders.

use super::lookup::{enumerate, refuse};
use super::scope::Scope;
use super::{Done, Step};
use hostd_types::*;
use rusqlite::params;

pub(crate) fn create(scope: &mut Scope<'_>, id: FolderId, asked: &CreateFolder) -> Step<Done> {
    scope.fresh::<Folder>(id)?;
    let count: i64 = scope.db.query_row("SELECT count(*) FROM folder", [], |r| r.get(0))?;
    if count.unsigned_abs() >= FOLDERS_MAX {
        let detail = format!("There are {count} folders, which is the most; delete one first.");
        return Err(Problem::new(ProblemKind::Conflict, detail).into());
    }
    let above = path(scope, asked.parent, "/parent")?;
    check_depth(scope, asked.parent, 1)?;
    let spec = FolderSpec { name: asked.name.clone(), parent: asked.parent };
    let folder = Folder { id, meta: scope.created(), spec, status: FolderStatus {} };
    check_name_free(scope, &folder, "/name")?;
    scope.insert(&folder)?;
    let subject = folder.subject();
    scope.accepted(&subject, format!("in {above}"))?;
    Ok(Done::about(subject))
}

pub(crate) fn edit(
    scope: &mut Scope<'_>,
    id: FolderId,
    expect: Option<u64>,
    edit: &EditFolder,
) -> Step<Done> {
    let mut folder = scope.get::<Folder>(id)?;
    if let Some(expected) = expect.filter(|expected| *expected != folder.meta.generation) {
        let detail = format!(
            "Somebody changed {} meanwhile (generation {}, not {expected}). Look at it again before changing it.",
            folder.spec.name, folder.meta.generation
        );
        return Err(Problem::new(ProblemKind::Conflict, detail).into());
    }
    let before = folder.spec.clone();
    let mut said = Vec::new();
    if let Some(FolderPlace(place)) = edit.parent
        && place != before.parent
    {
        let above = path(scope, place, "/parent")?;
        let inside =
            place.map_or(Ok(false), |place| Ok::<_, super::Rejection>(below(scope, id)?.contains(&place)))?;
        if inside {
            let detail = format!("{} can't move into itself or a folder below it.", before.name);
            return Err(refuse(ProblemKind::Invalid, "/parent", detail));
        }
        check_depth(scope, place, height(scope, id)?)?;
        folder.spec.parent = place;
        said.push(format!("moved to {above}"));
    }
    if let Some(name) = &edit.name
        && *name != before.name
    {
        folder.spec.name.clone_from(name);
        said.push(format!("was {}", before.name));
    }
    let subject = folder.subject();
    if said.is_empty() {
        scope.accepted(&subject, "nothing changed")?;
        return Ok(Done::about(subject));
    }
    check_name_free(scope, &folder, if edit.name.is_some() { "/name" } else { "/parent" })?;
    scope.touch(&mut folder);
    scope.update(&folder)?;
    scope.accepted(&subject, said.join(", "))?;
    Ok(Done::about(subject))
}

pub(crate) fn delete(scope: &mut Scope<'_>, id: FolderId, move_up: bool) -> Step<Done> {
    let folder = scope.get::<Folder>(id)?;
    let folders = scope.names("SELECT id FROM folder WHERE parent = ?1 ORDER BY id", id)?;
    let vms =
        scope.names("SELECT id FROM vm WHERE json_extract(spec, '$.filing.folder') = ?1 ORDER BY id", id)?;
    if !(move_up || folders.is_empty() && vms.is_empty()) {
        let name = &folder.spec.name;
        let detail = format!(
            "{name} is not empty (folders: {}, machines: {}). Empty it, or let what is in it move to the folder above.",
            folders.len(),
            vms.len()
        );
        return Err(Problem::new(ProblemKind::Conflict, detail).into());
    }
    let above = path(scope, folder.spec.parent, "/parent")?;
    // Gone first, so that a folder in it may have its name.
    scope.remove(&folder)?;
    let mut clashes = Vec::new();
    for inner in &folders {
        let mut inner = scope.get::<Folder>(inner)?;
        inner.spec.parent = folder.spec.parent;
        if taken(scope, &inner)? {
            clashes.push(inner.spec.name);
            continue;
        }
        scope.touch(&mut inner);
        scope.update(&inner)?;
    }
    if !clashes.is_empty() {
        let detail = format!(
            "In {above} there is {} already; rename what can't move there first.",
            enumerate(&clashes)
        );
        return Err(Problem::new(ProblemKind::Exists, detail).into());
    }
    for vm in &vms {
        let mut vm = scope.get::<Vm>(vm)?;
        vm.spec.filing.folder = folder.spec.parent;
        scope.update(&vm)?;
    }
    let subject = folder.subject();
    let detail = match (folders.len(), vms.len()) {
        (0, 0) => "it was empty".into(),
        (folders, vms) => format!("moved to {above}: folders: {folders}, machines: {vms}"),
    };
    scope.accepted(&subject, detail)?;
    Ok(Done::about(subject))
}

/// The path of a place, for people: `/` or `/Production/Web`.
///
/// # Errors
/// Refused at `pointer` when there is no such folder.
pub(crate) fn path(scope: &Scope<'_>, place: Option<FolderId>, pointer: &str) -> Step<String> {
    let mut names: Vec<String> = ancestors(scope, place, pointer)?.into_iter().map(|f| f.spec.name).collect();
    names.reverse();
    Ok(format!("/{}", names.join("/")))
}

/// The folder and those above it, innermost first.
fn ancestors(scope: &Scope<'_>, place: Option<FolderId>, pointer: &str) -> Step<Vec<Folder>> {
    let mut found: Vec<Folder> = Vec::new();
    let mut next = place;
    while let Some(id) = next {
        let Some(folder) = scope.find::<Folder>(id)? else {
            return Err(refuse(ProblemKind::Invalid, pointer, format!("There is no folder {id}.")));
        };
        next = folder.spec.parent;
        found.push(folder);
    }
    Ok(found)
}

/// Refuses a tree of `height` levels below `place` when that is too deep.
fn check_depth(scope: &Scope<'_>, place: Option<FolderId>, height: usize) -> Step {
    if ancestors(scope, place, "/parent")?.len() + height > FOLDER_DEPTH_MAX {
        let detail = format!("Folders can be nested {FOLDER_DEPTH_MAX} deep; choose a place further up.");
        return Err(refuse(ProblemKind::Invalid, "/parent", detail));
    }
    Ok(())
}

const TREE: &str = "WITH RECURSIVE tree (id, level) AS (SELECT ?1, 1 UNION ALL \
                    SELECT folder.id, tree.level + 1 FROM folder JOIN tree ON folder.parent = tree.id)";

/// The folder and all below it.
fn below(scope: &Scope<'_>, id: FolderId) -> Step<Vec<FolderId>> {
    let ids = scope.names(&format!("{TREE} SELECT id FROM tree"), id)?;
    Ok(ids.iter().map(|id| id.parse().map_err(crate::error::StateError::from)).collect::<Result<_, _>>()?)
}

/// Levels of the tree that a folder is the top of.
fn height(scope: &Scope<'_>, id: FolderId) -> Step<usize> {
    let sql = format!("{TREE} SELECT max(level) FROM tree");
    let height: i64 = scope.db.prepare_cached(&sql)?.query_row([id.to_string()], |r| r.get(0))?;
    Ok(usize::try_from(height).unwrap_or(usize::MAX))
}

/// Another folder at the same place has this name.
fn taken(scope: &Scope<'_>, folder: &Folder) -> Step<bool> {
    let parent = folder.spec.parent.map_or_else(String::new, |id| id.to_string());
    let count: i64 = scope
        .db
        .prepare_cached(
            "SELECT count(*) FROM folder WHERE parent = ?1 AND project = ?2 AND name = ?3 AND id <> ?4",
        )?
        .query_row(params![parent, folder.meta.project, folder.spec.name, folder.id.to_string()], |r| {
            r.get(0)
        })?;
    Ok(count > 0)
}

fn check_name_free(scope: &Scope<'_>, folder: &Folder, pointer: &str) -> Step {
    if taken(scope, folder)? {
        let detail = format!("A folder named {} is there already; choose another name.", folder.spec.name);
        return Err(refuse(ProblemKind::Exists, pointer, detail));
    }
    Ok(())
}
