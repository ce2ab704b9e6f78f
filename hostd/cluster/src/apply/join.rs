//! A host comes in.

use super::scope::Scope;
use super::{Done, Step};
use crate::clash::numbered;
use crate::schema;
use hostd_types::*;

/// Who wants to come in.
pub(crate) struct Comer<'a> {
    pub(crate) host: HostId,
    pub(crate) node: NodeId,
    pub(crate) name: &'a str,
    pub(crate) role: HostRole,
    pub(crate) status: &'a HostStatus,
}

pub(crate) fn join(
    scope: &mut Scope<'_>,
    token: JoinTokenId,
    secret: &SecretHash,
    comer: &Comer<'_>,
) -> Step<Done> {
    scope.the_cluster()?;
    let token = valid_token(scope, token, secret)?;
    if let Some(removed) = scope.removed(comer.node)? {
        return Err(was_removed(&removed).into());
    }
    let present = scope.find::<Host>(comer.host)?;
    if let Some(used) = &token.used_by {
        if (used.host, used.node) != (comer.host, comer.node) {
            let detail = format!(
                "{} joined with this token at {}, and each lets one host in; make a new token.",
                used.name, used.at
            );
            return Err(Problem::new(ProblemKind::Conflict, detail).into());
        }
        // The answer has the cluster's secret in it: whoever got to know the token and the host's name is not the host.
        if used.public_key != comer.status.public_key {
            let detail = format!(
                "{} joined with this token at {} by another key; make a new token.",
                used.name, used.at
            );
            return Err(Problem::new(ProblemKind::Conflict, detail).into());
        }
        // Asked again: the same answer.
        if let Some(host) = &present {
            let subject = host.subject();
            // Older versions tell no key and write no line.
            if used.public_key.is_some() {
                scope.accepted(&subject, "asked again, by the same key")?;
            }
            return Ok(Done::about(subject));
        }
    }
    check_apart(scope, comer, present.as_ref())?;
    check_level(scope, comer)?;
    let host = member(scope, comer, present)?;
    let used = JoinTokenUse {
        host: comer.host,
        node: comer.node,
        public_key: comer.status.public_key.clone(),
        name: host.spec.name.clone(),
        at: scope.entry.at,
    };
    scope.use_join_token(token, used)?;
    let role = match comer.role {
        HostRole::Host => "as a host",
        HostRole::Witness => "as a witness",
    };
    let detail = if host.spec.name == comer.name {
        role.to_owned()
    } else {
        format!("{role}; it asked for the name {}, which is taken", comer.name)
    };
    let subject = host.subject();
    scope.accepted(&subject, detail)?;
    Ok(Done::about(subject))
}

/// The token, when its secret is right and it has not ended.
fn valid_token(scope: &Scope<'_>, id: JoinTokenId, secret: &SecretHash) -> Step<JoinToken> {
    let refused = |detail: &str| Problem::new(ProblemKind::Forbidden, detail);
    // Who guesses learns nothing about which tokens there are.
    let known = scope.join_token(id)?.filter(|(_, expected)| expected == secret);
    let (token, _) = known.ok_or_else(|| {
        refused(
            "The join token is not valid here: it was taken back, or is of another cluster. \
             Make a new one on a member.",
        )
    })?;
    if token.expires_at <= scope.entry.at {
        let detail = format!("The join token ended at {}; make a new one on a member.", token.expires_at);
        return Err(refused(&detail).into());
    }
    Ok(token)
}

/// Refuses a host that does not know what the cluster uses: the level may have risen after it looked.
fn check_level(scope: &Scope<'_>, comer: &Comer<'_>) -> Step {
    let level = schema::level(scope.db)?;
    // Before that level nobody looked here.
    if level < LEASES || comer.status.level >= level {
        return Ok(());
    }
    let detail =
        format!("{} is too old for this cluster, which uses level {level}. Update it first.", comer.name);
    Err(Problem::new(ProblemKind::Conflict, detail).into())
}

/// Refuses a host that is a member by another identity, and an identity that another host has.
fn check_apart(scope: &Scope<'_>, comer: &Comer<'_>, present: Option<&Host>) -> Step {
    if let Some(host) = present
        && host.spec.node.is_some_and(|node| node != comer.node)
    {
        let detail = format!(
            "This host is a member already, as {}, with an identity that it no longer has. \
             Remove {} from the cluster first, then join again.",
            host.spec.name, host.spec.name
        );
        return Err(Problem::new(ProblemKind::Conflict, detail).into());
    }
    let others = scope.names("SELECT name FROM host WHERE json_extract(spec, '$.node') = ?1", comer.node)?;
    if let Some(name) = others.first().filter(|_| present.is_none_or(|host| host.spec.node.is_none())) {
        let detail = format!("The host {name} has this identity; join with a new one.");
        return Err(Problem::new(ProblemKind::Conflict, detail).into());
    }
    Ok(())
}

/// Writes the host's row.
fn member(scope: &mut Scope<'_>, comer: &Comer<'_>, present: Option<Host>) -> Step<Host> {
    let Some(mut host) = present else {
        let hosts = scope.names("SELECT name FROM host WHERE id <> ?1", comer.host)?;
        let name = numbered(comer.name, |name| hosts.iter().any(|host| host.eq_ignore_ascii_case(name)));
        let spec = HostSpec {
            name,
            node: Some(comer.node),
            role: comer.role,
            fence_epoch: 0,
            leaving: false,
            state: HostState::New,
        };
        let host = Host { id: comer.host, meta: scope.created(), spec, status: comer.status.clone() };
        scope.insert(&host)?;
        return Ok(host);
    };
    host.spec.node = Some(comer.node);
    host.spec.role = comer.role;
    host.status = comer.status.clone();
    scope.touch(&mut host);
    scope.update(&host)?;
    Ok(host)
}

/// What a member that was removed is told.
pub(crate) fn was_removed(removed: &RemovedHost) -> Problem {
    let detail = format!(
        "{} was removed from this cluster at {} by {}. It can join again as a new member.",
        removed.name, removed.at, removed.by
    );
    Problem::new(ProblemKind::Removed, detail)
}
