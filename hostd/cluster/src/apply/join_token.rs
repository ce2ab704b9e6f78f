//! Join tokens: each lets one host in. The secret is a column of its own, never part of the body that is read out.

use super::scope::Scope;
use super::{Done, Step};
use crate::error::StateError;
use crate::rows::millis;
use hostd_types::*;
use rusqlite::{OptionalExtension, params};

/// What a token is called in events; it has no name.
const NAME: &str = "join token";

fn subject(id: JoinTokenId) -> Subject {
    Subject { kind: Kind::JoinToken, id: id.to_string(), name: NAME.into() }
}

pub(crate) fn create(
    scope: &mut Scope<'_>,
    id: JoinTokenId,
    secret: &SecretHash,
    expires_at: Timestamp,
) -> Step<Done> {
    scope.the_cluster()?;
    if scope.join_token(id)?.is_some() {
        return Err(Problem::new(ProblemKind::Conflict, "A join token with this id is there already.").into());
    }
    let token = JoinToken { id, meta: scope.created(), expires_at, used_by: None };
    let body = serde_json::to_string(&token).map_err(StateError::from)?;
    scope.db.execute(
        "INSERT INTO join_token (id, secret, expires, body) VALUES (?1, ?2, ?3, ?4)",
        params![id.to_string(), secret.0, millis(expires_at), body],
    )?;
    scope.changed(Kind::JoinToken, id);
    scope.accepted(&subject(id), format!("until {expires_at}"))?;
    Ok(Done::about(subject(id)))
}

pub(crate) fn revoke(scope: &mut Scope<'_>, id: JoinTokenId) -> Step<Done> {
    scope.the_cluster()?;
    let (token, _) = scope.join_token(id)?.ok_or_else(|| Problem::not_found(NAME, id))?;
    if let Some(used) = &token.used_by {
        let detail = format!("{} joined with this token; remove that host instead.", used.name);
        return Err(Problem::wrong_state(detail).into());
    }
    scope.db.execute("DELETE FROM join_token WHERE id = ?1", [id.to_string()])?;
    scope.changed(Kind::JoinToken, id);
    scope.accepted(&subject(id), "")?;
    Ok(Done::about(subject(id)))
}

impl Scope<'_> {
    /// A join token and the hash of its secret.
    pub(crate) fn join_token(&self, id: JoinTokenId) -> Step<Option<(JoinToken, SecretHash)>> {
        let columns: Option<(String, String)> = self
            .db
            .prepare_cached("SELECT body, secret FROM join_token WHERE id = ?1")?
            .query_row([id.to_string()], |r| Ok((r.get(0)?, r.get(1)?)))
            .optional()?;
        let Some((body, secret)) = columns else { return Ok(None) };
        let token = serde_json::from_str(&body).map_err(StateError::from)?;
        Ok(Some((token, SecretHash(secret))))
    }

    /// Writes who joined with a token.
    pub(crate) fn use_join_token(&mut self, mut token: JoinToken, used: JoinTokenUse) -> Step {
        token.used_by = Some(used);
        let body = serde_json::to_string(&token).map_err(StateError::from)?;
        self.db
            .prepare_cached("UPDATE join_token SET body = ?2 WHERE id = ?1")?
            .execute([token.id.to_string(), body])?;
        self.changed(Kind::JoinToken, token.id);
        Ok(())
    }
}
