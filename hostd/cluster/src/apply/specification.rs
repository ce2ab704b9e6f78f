//! Customization specifications.

use super::lookup::refuse;
use super::scope::Scope;
use super::{Done, Step};
use hostd_types::command::SpecificationCommand;
use hostd_types::*;

pub(crate) fn apply(scope: &mut Scope<'_>, command: &SpecificationCommand) -> Step<Done> {
    match command {
        SpecificationCommand::Create { id, specification } => {
            let CreateSpecification { name, description, customization } = specification.clone();
            create(scope, *id, SpecificationSpec { name, description, customization }, "")
        }
        SpecificationCommand::Copy { id, from, name } => {
            let from = scope.get::<Specification>(from)?;
            let said = format!("a copy of {}", from.spec.name);
            create(scope, *id, SpecificationSpec { name: name.clone(), ..from.spec }, &said)
        }
        SpecificationCommand::Edit { id, expect, edit } => self::edit(scope, *id, *expect, edit),
        SpecificationCommand::Delete { id } => delete(scope, *id),
    }
}

fn create(scope: &mut Scope<'_>, id: SpecificationId, spec: SpecificationSpec, said: &str) -> Step<Done> {
    scope.fresh::<Specification>(id)?;
    let count: i64 = scope.db.query_row("SELECT count(*) FROM specification", [], |r| r.get(0))?;
    if count.unsigned_abs() >= SPECIFICATIONS_MAX {
        let detail =
            format!("There are {count} customization specifications, which is the most; delete one first.");
        return Err(refuse(ProblemKind::Conflict, "/name", detail));
    }
    scope.free_name::<Specification>(&spec.name)?;
    let specification = Specification { id, meta: scope.created(), spec, status: SpecificationStatus {} };
    scope.insert(&specification)?;
    let subject = specification.subject();
    scope.accepted(&subject, said)?;
    Ok(Done::about(subject))
}

fn edit(
    scope: &mut Scope<'_>,
    id: SpecificationId,
    expect: Option<u64>,
    edit: &EditSpecification,
) -> Step<Done> {
    let mut specification = scope.get::<Specification>(id)?;
    let before = specification.spec.clone();
    if let Some(expected) = expect.filter(|expected| *expected != specification.meta.generation) {
        let detail = format!(
            "Somebody changed {} meanwhile (generation {}, not {expected}). Look at it again before changing it.",
            before.name, specification.meta.generation
        );
        return Err(Problem::new(ProblemKind::Conflict, detail).into());
    }
    let mut said = Vec::new();
    if let Some(name) = edit.name.as_ref().filter(|name| **name != before.name) {
        // A change of letter case alone keeps the name.
        if !name.eq_ignore_ascii_case(&before.name) {
            scope.free_name::<Specification>(name)?;
        }
        specification.spec.name.clone_from(name);
        said.push(format!("was {}", before.name));
    }
    if let Some(description) = edit.description.as_ref().filter(|text| **text != before.description) {
        specification.spec.description.clone_from(description);
        said.push("description".into());
    }
    if let Some(customization) = &edit.customization {
        let mut customization = customization.clone();
        customization.keep_passwords(Some(&before.customization));
        if customization != before.customization {
            specification.spec.customization = customization;
            said.push("customization".into());
        }
    }
    let subject = specification.subject();
    if said.is_empty() {
        scope.accepted(&subject, "nothing changed")?;
        return Ok(Done::about(subject));
    }
    scope.touch(&mut specification);
    scope.update(&specification)?;
    scope.accepted(&subject, said.join(", "))?;
    Ok(Done::about(subject))
}

fn delete(scope: &mut Scope<'_>, id: SpecificationId) -> Step<Done> {
    let specification = scope.get::<Specification>(id)?;
    scope.remove(&specification)?;
    let subject = specification.subject();
    scope.accepted(&subject, "machines keep what they got")?;
    Ok(Done::about(subject))
}
