//! Who may use the product: logging in, sessions, tokens, passwords. Secrets are made and hashed here; only hashes go
//! into the log.

mod initial;
mod isolated;
mod limit;
mod password;
mod seen;

pub(crate) use initial::InitialPassword;
pub(crate) use isolated::IsolatedSessions;
pub(crate) use limit::{Limiter, origin};
pub(crate) use password::Hasher;
pub(crate) use seen::LastSeen;

use crate::admit::Fields;
use crate::{Caller, Core, Ctx, Secret};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hostd_types::command::*;
use hostd_types::*;
use std::net::IpAddr;

/// Begins every API token, so that scanners for leaked secrets recognize it.
const TOKEN_PREFIX: &str = "qx_";
/// Longest description of a browser kept with a session.
const AGENT_MAX: usize = 120;

/// 256 random bits as text.
pub(crate) fn random_secret() -> Secret {
    let bytes: [u8; 32] = rand::random();
    Secret(URL_SAFE_NO_PAD.encode(bytes))
}

/// What a secret is looked up by.
pub(crate) fn hash_secret(secret: &str) -> SecretHash {
    SecretHash(blake3::hash(secret.as_bytes()).to_hex().to_string())
}

impl Core {
    /// Checks name and password and opens a session.
    ///
    /// # Errors
    /// `Unauthenticated` (the same words whatever was wrong), `TooMany` with the seconds to wait.
    pub async fn login(
        &self,
        credentials: &Credentials,
        address: Option<IpAddr>,
        agent: &str,
    ) -> Result<(Session, User, Secret), Problem> {
        let attempt = self.0.limiter.attempt(&credentials.name, address)?;
        let known = match credentials.name.len() {
            0..=name::NAME_MAX => self.store().user_with_password(&credentials.name).await?,
            _ => None,
        };
        let (user, hash) = known.unzip();
        if !self.0.hasher.verify(&credentials.password, hash).await? {
            self.audit_failed_login(&credentials.name, address).await;
            let detail = "The name or the password is wrong.";
            return Err(Problem::new(ProblemKind::Unauthenticated, detail));
        }
        let Some(user) = user else {
            return Err(Problem::new(ProblemKind::Unauthenticated, "The name or the password is wrong."));
        };
        attempt.succeeded();
        let now = Timestamp::now();
        let session = Session {
            id: SessionId::new(),
            user: user.id,
            created_at: now,
            expires_at: now.plus_seconds(SESSION_MAX_S),
            address: address.map_or_else(String::new, |address| address.to_string()),
            agent: agent.chars().filter(|c| !c.is_control()).take(AGENT_MAX).collect(),
        };
        let secret = random_secret();
        let command = AccessCommand::Login { session: session.clone(), secret: hash_secret(secret.reveal()) };
        let by = Actor::User { id: user.id, name: user.name.clone(), token: None };
        let told = match self.led_soon().await {
            true => self.propose(by, RequestId::new(), Command::Access(command)).await,
            false => Err(Problem::new(ProblemKind::NoQuorum, "No host leads.")),
        };
        match told {
            Ok(_) => {}
            // The password was right; only the others can't be told.
            Err(problem) if matches!(problem.kind, ProblemKind::NoQuorum | ProblemKind::Removed) => {
                self.0.isolated.open(hash_secret(secret.reveal()), session.clone());
            }
            Err(problem) => return Err(problem),
        }
        self.0.last_seen.touch(self, session.id, now).await?;
        if user.initial_password {
            self.password_is_known().await?;
        }
        Ok((session, user, secret))
    }

    async fn audit_failed_login(&self, name: &str, address: Option<IpAddr>) {
        let from = address.map_or_else(|| "the host itself".to_owned(), |address| address.to_string());
        if !self.0.limiter.may_audit() {
            return tracing::warn!(from, "a login failed; too many for the audit trail");
        }
        let shown: String = name.chars().filter(|c| !c.is_control()).take(name::NAME_MAX).collect();
        let line = AuditCommand {
            action: "session.login".into(),
            subject: None,
            result: EventResult::Refused,
            detail: format!("wrong name or password for {shown:?} from {from}"),
        };
        self.audit(Actor::Anonymous, line).await;
    }

    /// Whose session a cookie's secret opens; `None` when it is unknown, idle too long or over.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn session(&self, secret: &str) -> Result<Option<(Session, User)>, Problem> {
        let found = self.session_quietly(secret).await?;
        if let Some((session, _)) = &found {
            self.0.last_seen.touch(self, session.id, Timestamp::now()).await?;
        }
        Ok(found)
    }

    /// The same as [`Core::session`], but does not count as use: for what a page does without a person.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn session_quietly(&self, secret: &str) -> Result<Option<(Session, User)>, Problem> {
        let hash = hash_secret(secret);
        let found = match self.store().session_by_secret(&hash).await? {
            Some(found) => Some(found),
            None => match self.0.isolated.get(&hash) {
                Some(session) => self.store().user(session.user).await?.map(|user| (session, user)),
                None => None,
            },
        };
        let Some((session, user)) = found else { return Ok(None) };
        // A clock set back makes `now` smaller, never a session invalid.
        let now = Timestamp::now();
        if now >= session.expires_at {
            return Ok(None);
        }
        let seen = self.0.last_seen.get(self, session.id).await?.unwrap_or(session.created_at);
        if now.unix().saturating_sub(seen.unix()) > SESSION_IDLE_S {
            return Ok(None);
        }
        Ok(Some((session, user)))
    }

    /// Whose token a secret is; `None` when it is unknown, taken back or over.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn token(&self, secret: &str) -> Result<Option<(Token, User)>, Problem> {
        if !secret.starts_with(TOKEN_PREFIX) {
            return Ok(None);
        }
        let found = self.store().token_by_secret(&hash_secret(secret)).await?;
        Ok(found.filter(|(token, _)| Timestamp::now() < token.expires_at))
    }

    /// Makes an API token for the caller, for root on the host one of the administrator's; its secret is in the answer
    /// and nowhere else.
    ///
    /// # Errors
    /// `Invalid` for a bad name or time; `Exists` for a name in use; `Forbidden` for hosts and for tokens themselves.
    pub async fn create_token(&self, ctx: &Ctx, body: &CreateToken) -> Result<NewToken, Problem> {
        let made = self.try_create_token(ctx, body).await;
        if let Err(problem) = &made {
            self.audit_refusal(ctx, "token.create".into(), None, problem).await;
        }
        made
    }

    async fn try_create_token(&self, ctx: &Ctx, body: &CreateToken) -> Result<NewToken, Problem> {
        let user = match &ctx.caller {
            Caller::User { .. } | Caller::Host => person(ctx)?.clone(),
            Caller::Console => self.administrator().await?,
        };
        let mut wrong = Fields::default();
        wrong.check("/name", name::check_name(&body.name));
        if !(1..=365).contains(&body.days) {
            wrong.add("/days", "A token lives 1 to 365 days.");
        }
        wrong.done()?;
        let id = TokenId::new();
        let secret = format!("{TOKEN_PREFIX}{}", random_secret().reveal());
        let command = AccessCommand::CreateToken {
            id,
            name: body.name.clone(),
            user: user.id,
            expires_at: Timestamp::now().plus_seconds(i64::from(body.days) * 86_400),
            secret: hash_secret(&secret),
        };
        self.propose(ctx.actor(self.host()), ctx.request_id(), Command::Access(command)).await?;
        let tokens = self.store().tokens(user.id).await?;
        let token = tokens.into_iter().find(|token| token.id == id).ok_or_else(|| {
            let detail = "This request made a token already; its secret was shown then.";
            Problem::new(ProblemKind::Conflict, detail)
        })?;
        Ok(NewToken { token, secret })
    }

    /// The caller's tokens; for root on the host, everybody's.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn tokens(&self, ctx: &Ctx) -> Result<Vec<Token>, Problem> {
        match &ctx.caller {
            Caller::User { user, .. } => self.store().tokens(user.id).await,
            Caller::Console | Caller::Host => {
                let mut all = Vec::new();
                for user in self.store().users().await? {
                    all.extend(self.store().tokens(user.id).await?);
                }
                Ok(all)
            }
        }
    }

    /// Changes the caller's password; ends their other sessions.
    ///
    /// # Errors
    /// `Invalid` when the current password is wrong or the new one breaks a rule; `TooMany`; `Forbidden` for tokens.
    pub async fn change_password(&self, ctx: &Ctx, current: &str, new: &str) -> Result<(), Problem> {
        let changed = self.try_change_password(ctx, current, new).await;
        if let Err(problem) = &changed {
            self.audit_refusal(ctx, "user.set_password".into(), None, problem).await;
        }
        changed
    }

    async fn try_change_password(&self, ctx: &Ctx, current: &str, new: &str) -> Result<(), Problem> {
        let user = person(ctx)?;
        password::check(new).map_err(|detail| Problem::field("/new", detail))?;
        let attempt = self.0.limiter.attempt(&user.name, ctx.address)?;
        let hash = self.store().user_with_password(&user.name).await?.map(|(_, hash)| hash);
        if !self.0.hasher.verify(current, hash).await? {
            return Err(Problem::field("/current", "The current password is wrong."));
        }
        attempt.succeeded();
        let keep = match &ctx.caller {
            Caller::User { session, .. } => session.as_ref().map(|session| session.id),
            Caller::Console | Caller::Host => None,
        };
        let password = self.0.hasher.hash(new).await?;
        let command = AccessCommand::SetPassword { id: user.id, password, keep, initial: false };
        self.propose(ctx.actor(self.host()), ctx.request_id(), Command::Access(command)).await?;
        self.0.initial_password.forget()
    }

    /// Gives the administrator a new generated password, ends all their sessions, and answers name and password.
    ///
    /// # Errors
    /// `Forbidden` unless root asks on the host itself.
    pub async fn reset_password(&self, ctx: &Ctx) -> Result<(String, Secret), Problem> {
        match ctx.caller {
            Caller::Console => {}
            Caller::User { .. } | Caller::Host => {
                let detail = "A password is reset on the host itself, by root: qx user reset-password.";
                return Err(Problem::new(ProblemKind::Forbidden, detail));
            }
        }
        let user = self.administrator().await?;
        let secret = password::generate();
        let password = self.0.hasher.hash(secret.reveal()).await?;
        let command = AccessCommand::SetPassword { id: user.id, password, keep: None, initial: false };
        self.propose(ctx.actor(self.host()), ctx.request_id(), Command::Access(command)).await?;
        self.0.initial_password.forget()?;
        self.0.limiter.forget(&user.name);
        Ok((user.name, secret))
    }

    /// The one user there is, for whom root on the host acts.
    async fn administrator(&self) -> Result<User, Problem> {
        let users = self.store().users().await?;
        users.into_iter().next().ok_or_else(|| Problem::not_found("user", initial::ADMINISTRATOR))
    }
}

/// The person who asks: what lasts longer than a token must not be had by one.
fn person(ctx: &Ctx) -> Result<&User, Problem> {
    match &ctx.caller {
        Caller::User { user, token: None, .. } => Ok(user),
        Caller::User { token: Some(_), .. } | Caller::Console | Caller::Host => {
            let detail = "Only a logged-in person can do this; log in with a name and a password.";
            Err(Problem::new(ProblemKind::Forbidden, detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_different_and_hashed() {
        let (a, b) = (random_secret(), random_secret());
        assert_eq!(a.reveal().len(), 43);
        assert_ne!(a.reveal(), b.reveal());
        assert_eq!(hash_secret(a.reveal()).0.len(), 64);
        assert!(!format!("{a:?}").contains(a.reveal()));
    }
}
