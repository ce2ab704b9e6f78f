//! Links to machines' consoles. The hashes of a link's secret, and of what the browser that opened it connects with, are
//! columns of their own and never part of the body that is read out. A machine's end leaves its links to their time:
//! without the machine they open nothing.

use super::scope::Scope;
use super::{Done, Step};
use crate::error::StateError;
use crate::rows::millis;
use hostd_types::*;
use rusqlite::{OptionalExtension, Row, params};

pub(crate) fn share(
    scope: &mut Scope<'_>,
    id: ConsoleLinkId,
    vm: VmId,
    control: bool,
    expires_at: Timestamp,
    secret: &SecretHash,
) -> Step<Done> {
    let machine: Vm = scope.get(vm)?;
    let there: i64 = scope.db.query_row(
        "SELECT count(*) FROM console_link WHERE vm = ?1 AND expires > ?2",
        params![vm.to_string(), millis(scope.entry.at)],
        |r| r.get(0),
    )?;
    if usize::try_from(there).is_ok_and(|there| there >= CONSOLE_LINKS_MAX) {
        let detail = format!("A machine has at most {CONSOLE_LINKS_MAX} links; take one back first.");
        return Err(Problem::new(ProblemKind::Capacity, detail).into());
    }
    let link = ConsoleLink { id, meta: scope.created(), vm, control, expires_at, used: None };
    scope.db.execute(
        "INSERT INTO console_link (id, vm, secret, expires, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![id.to_string(), vm.to_string(), secret.0, millis(expires_at), json(&link)?],
    )?;
    scope.changed(Kind::ConsoleLink, id);
    let allows = if control { "control" } else { "looking" };
    scope.accepted(&machine.subject(), format!("a link that allows {allows} until {expires_at}"))?;
    Ok(Done::about(machine.subject()))
}

pub(crate) fn open(
    scope: &mut Scope<'_>,
    secret: &SecretHash,
    pass: &SecretHash,
    address: &str,
) -> Step<Done> {
    let refused = || Problem::new(ProblemKind::Unauthenticated, CONSOLE_LINK_REFUSED);
    let mut link = find(scope, "secret", &secret.0)?.ok_or_else(refused)?;
    if link.used.is_some() || link.expires_at <= scope.entry.at {
        return Err(refused().into());
    }
    let machine: Vm = scope.find(link.vm)?.ok_or_else(refused)?;
    link.used = Some(ConsoleLinkUse { at: scope.entry.at, address: address.into() });
    scope.db.execute(
        "UPDATE console_link SET pass = ?2, body = ?3 WHERE id = ?1",
        params![link.id.to_string(), pass.0, json(&link)?],
    )?;
    scope.changed(Kind::ConsoleLink, link.id);
    let by = &link.meta.created_by;
    let from = if address.is_empty() { "the host itself" } else { address };
    scope.accepted(&machine.subject(), format!("the link made by {by}, opened from {from}"))?;
    Ok(Done::about(Subject {
        kind: Kind::ConsoleLink,
        id: link.id.to_string(),
        name: machine.spec.name.clone(),
    }))
}

pub(crate) fn revoke(scope: &mut Scope<'_>, id: ConsoleLinkId) -> Step<Done> {
    let link = find(scope, "id", &id.to_string())?.ok_or_else(|| Problem::not_found("console link", id))?;
    scope.db.execute("DELETE FROM console_link WHERE id = ?1", [id.to_string()])?;
    scope.changed(Kind::ConsoleLink, id);
    let subject = match scope.find::<Vm>(link.vm)? {
        Some(machine) => machine.subject(),
        None => Subject { kind: Kind::ConsoleLink, id: id.to_string(), name: "console link".into() },
    };
    scope.accepted(&subject, "")?;
    Ok(Done::about(subject))
}

fn json(link: &ConsoleLink) -> Result<String, StateError> {
    Ok(serde_json::to_string(link)?)
}

fn find(scope: &Scope<'_>, column: &str, value: &str) -> Step<Option<ConsoleLink>> {
    let sql = format!("SELECT body FROM console_link WHERE {column} = ?1");
    let read = |row: &Row<'_>| row.get::<_, String>(0);
    let body = scope.db.prepare_cached(&sql)?.query_row([value], read).optional()?;
    Ok(body.map(|body| serde_json::from_str(&body)).transpose().map_err(StateError::from)?)
}
