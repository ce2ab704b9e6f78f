//! Users, sessions and tokens. Their secrets are columns of their own and never part of a body that is read out.

use super::lookup::refuse;
use super::scope::Scope;
use super::{Done, Step, console_link};
use crate::error::StateError;
use crate::rows::millis;
use hostd_types::command::AccessCommand;
use hostd_types::*;
use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) fn apply(scope: &mut Scope<'_>, command: &AccessCommand) -> Step<Done> {
    match command {
        AccessCommand::CreateUser { id, name, password, initial } => {
            create_user(scope, *id, name, password, *initial)
        }
        AccessCommand::SetPassword { id, password, keep, initial } => {
            set_password(scope, *id, password, *keep, *initial)
        }
        AccessCommand::Login { session, secret } => login(scope, session, secret),
        AccessCommand::Logout { id } => logout(scope, *id),
        AccessCommand::CreateToken { id, name, user, expires_at, secret } => {
            let token = Token {
                id: *id,
                meta: scope.created(),
                name: name.clone(),
                user: *user,
                expires_at: *expires_at,
            };
            create_token(scope, token, secret)
        }
        AccessCommand::RevokeToken { id } => revoke_token(scope, *id),
        AccessCommand::ShareConsole { id, vm, control, expires_at, secret } => {
            console_link::share(scope, *id, *vm, *control, *expires_at, secret)
        }
        AccessCommand::OpenLink { secret, pass, address } => console_link::open(scope, secret, pass, address),
        AccessCommand::RevokeLink { id } => console_link::revoke(scope, *id),
    }
}

fn named(kind: Kind, id: impl ToString, name: &str) -> Subject {
    Subject { kind, id: id.to_string(), name: name.into() }
}

fn json<T: Serialize>(value: &T) -> Result<String, StateError> {
    Ok(serde_json::to_string(value)?)
}

/// The body of a row of `table`.
fn body<T: DeserializeOwned>(scope: &Scope<'_>, table: &str, id: impl ToString) -> Step<Option<T>> {
    let body: Option<String> = scope
        .db
        .prepare_cached(&format!("SELECT body FROM {table} WHERE id = ?1"))?
        .query_row([id.to_string()], |r| r.get(0))
        .optional()?;
    Ok(body.map(|b| serde_json::from_str(&b)).transpose().map_err(StateError::from)?)
}

fn user(scope: &Scope<'_>, id: UserId) -> Step<User> {
    body(scope, "user", id)?.ok_or_else(|| Problem::not_found("user", id).into())
}

fn create_user(
    scope: &mut Scope<'_>,
    id: UserId,
    name: &str,
    password: &PasswordHash,
    initial: bool,
) -> Step<Done> {
    let taken: i64 = scope.db.query_row("SELECT count(*) FROM user WHERE name = ?1", [name], |r| r.get(0))?;
    if taken > 0 {
        return Err(refuse(ProblemKind::Exists, "/name", format!("There is a user named {name} already.")));
    }
    let user = User { id, meta: scope.created(), name: name.into(), initial_password: initial };
    scope.db.execute(
        "INSERT INTO user (id, name, password, body) VALUES (?1, ?2, ?3, ?4)",
        params![id.to_string(), name, password.0, json(&user)?],
    )?;
    scope.changed(Kind::User, id);
    let subject = named(Kind::User, id, name);
    scope.accepted(&subject, "")?;
    Ok(Done::about(subject))
}

fn set_password(
    scope: &mut Scope<'_>,
    id: UserId,
    password: &PasswordHash,
    keep: Option<SessionId>,
    initial: bool,
) -> Step<Done> {
    let mut user = user(scope, id)?;
    user.initial_password = initial;
    user.meta.touch(scope.entry.at, &scope.entry.by);
    scope.db.execute(
        "UPDATE user SET password = ?2, body = ?3 WHERE id = ?1",
        params![id.to_string(), password.0, json(&user)?],
    )?;
    scope.changed(Kind::User, id);
    let kept = keep.map(|id| id.to_string()).unwrap_or_default();
    let ended: Vec<String> = {
        let mut query =
            scope.db.prepare("SELECT id FROM session WHERE user = ?1 AND id <> ?2 ORDER BY id")?;
        query.query_map(params![id.to_string(), kept], |r| r.get(0))?.collect::<Result<_, _>>()?
    };
    scope.db.execute("DELETE FROM session WHERE user = ?1 AND id <> ?2", params![id.to_string(), kept])?;
    let detail = format!("{} other sessions ended", ended.len());
    for session in ended {
        scope.changed(Kind::Session, session);
    }
    let subject = named(Kind::User, id, &user.name);
    scope.accepted(&subject, detail)?;
    Ok(Done::about(subject))
}

fn login(scope: &mut Scope<'_>, session: &Session, secret: &SecretHash) -> Step<Done> {
    let user = user(scope, session.user)?;
    scope.db.execute(
        "INSERT INTO session (id, user, secret, expires, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            session.id.to_string(),
            session.user.to_string(),
            secret.0,
            millis(session.expires_at),
            json(session)?
        ],
    )?;
    scope.changed(Kind::Session, session.id);
    let subject = named(Kind::User, user.id, &user.name);
    scope.accepted(&subject, format!("from {}", session.address))?;
    Ok(Done::about(subject))
}

fn logout(scope: &mut Scope<'_>, id: SessionId) -> Step<Done> {
    let session: Session = body(scope, "session", id)?.ok_or_else(|| Problem::not_found("session", id))?;
    let user = user(scope, session.user)?;
    scope.db.execute("DELETE FROM session WHERE id = ?1", [id.to_string()])?;
    scope.changed(Kind::Session, id);
    let subject = named(Kind::User, user.id, &user.name);
    scope.accepted(&subject, "")?;
    Ok(Done::about(subject))
}

fn create_token(scope: &mut Scope<'_>, token: Token, secret: &SecretHash) -> Step<Done> {
    user(scope, token.user)?;
    let taken: i64 = scope.db.query_row(
        "SELECT count(*) FROM token WHERE user = ?1 AND name = ?2",
        params![token.user.to_string(), token.name],
        |r| r.get(0),
    )?;
    if taken > 0 {
        let detail = format!("You have a token named {} already; choose another name.", token.name);
        return Err(refuse(ProblemKind::Exists, "/name", detail));
    }
    scope.db.execute(
        "INSERT INTO token (id, user, name, secret, expires, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            token.id.to_string(),
            token.user.to_string(),
            token.name,
            secret.0,
            millis(token.expires_at),
            json(&token)?
        ],
    )?;
    scope.changed(Kind::Token, token.id);
    let subject = named(Kind::Token, token.id, &token.name);
    scope.accepted(&subject, format!("until {}", token.expires_at))?;
    Ok(Done::about(subject))
}

fn revoke_token(scope: &mut Scope<'_>, id: TokenId) -> Step<Done> {
    let token: Token = body(scope, "token", id)?.ok_or_else(|| Problem::not_found("token", id))?;
    scope.db.execute("DELETE FROM token WHERE id = ?1", [id.to_string()])?;
    scope.changed(Kind::Token, id);
    let subject = named(Kind::Token, id, &token.name);
    scope.accepted(&subject, "")?;
    Ok(Done::about(subject))
}
