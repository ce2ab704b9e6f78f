//! Proving who asks: session cookie, API token, or root on the Unix socket.

use crate::cookie::{link_pass, session_secret};
use crate::{Peer, Refuse};
use axum::extract::{ConnectInfo, FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use hostd_core::{Caller, Core, Ctx};
use hostd_types::{ConsoleLink, Problem, ProblemKind, RequestId};
use std::convert::Infallible;
use std::net::IpAddr;

/// Extractor: who asks, proved. Behind `Access::Signed` and `Access::Console` it always succeeds; on public routes it
/// refuses whoever is not logged in, and `Option<Who>` finds out whether somebody is.
#[derive(Debug, Clone)]
pub struct Who(pub Ctx);

/// Extractor: the anti-forgery token of this session, to put into forms (`<input type=hidden name=csrf>`) and pages that
/// run scripts. Empty for callers that are not ambient (a token, the Unix socket) and for nobody.
#[derive(Debug, Clone)]
pub struct Csrf(pub String);

impl Csrf {
    /// The token of the session with this secret.
    pub fn of(secret: &str) -> Self {
        let token = blake3::derive_key("quantix anti-forgery token of a session", secret.as_bytes());
        Self(blake3::Hash::from_bytes(token).to_hex().to_string())
    }
    /// `given` is this session's token, compared in constant time. Always true for callers that need none.
    pub fn matches(&self, given: &str) -> bool {
        self.0.is_empty() || blake3::hash(self.0.as_bytes()) == blake3::hash(given.as_bytes())
    }
}

/// Extractor: the link to a console that the request's browser opened. Behind `Access::Link` it always succeeds, anywhere
/// else never.
#[derive(Debug, Clone)]
pub struct Guest(pub ConsoleLink);

/// Extractor: where the request came from, for login's rate limit and the session list.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its network address; none on the Unix socket.
    pub address: Option<IpAddr>,
    /// What it says it is (`User-Agent`), at most 200 bytes.
    pub agent: String,
}

/// What the door found out, kept in the request's extensions.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub ctx: Ctx,
    /// The anti-forgery token, when the credential is the cookie.
    pub csrf: Option<String>,
}

/// What extractors need on a public route, where the door did not ask.
#[derive(Clone)]
pub(crate) struct Unasked {
    pub core: Core,
    pub refuse: Refuse,
}

/// Finds out who sent these headers over this connection; nobody is `None`.
///
/// An explicit credential wins over a cookie, a cookie over the socket; one that is not valid is never skipped for a
/// weaker one, except a stale cookie, which is the same as none.
pub(crate) async fn identify(core: &Core, parts: &Parts) -> Result<Option<Identity>, Problem> {
    let peer = parts.extensions.get::<ConnectInfo<Peer>>().map(|c| c.0);
    let address = peer.and_then(|p| p.address());
    let request = request_id(&parts.headers)?;
    let identity = |caller, csrf| Some(Identity { ctx: Ctx { caller, request, address }, csrf });
    if let Some(given) = parts.headers.get(header::AUTHORIZATION) {
        let secret = given.to_str().ok().and_then(|v| v.strip_prefix("Bearer ")).map(str::trim);
        let found = match secret {
            Some(secret) => core.token(secret).await?,
            None => None,
        };
        let Some((token, user)) = found else {
            return Err(Problem::new(
                ProblemKind::Unauthenticated,
                "The API token is not valid; it may have expired or been revoked. Make a new one on the Tokens page.",
            ));
        };
        return Ok(identity(Caller::User { user, session: None, token: Some(token) }, None));
    }
    if let Some(secret) = session_secret(&parts.headers)
        && let Some((session, user)) = match is_refresh(parts) {
            true => core.session_quietly(&secret).await?,
            false => core.session(&secret).await?,
        }
    {
        return Ok(identity(
            Caller::User { user, session: Some(session), token: None },
            Some(Csrf::of(&secret).0),
        ));
    }
    match peer {
        Some(Peer::Local { uid: Some(0) }) => Ok(identity(Caller::Console, None)),
        Some(Peer::Local { .. }) => Err(Problem::new(
            ProblemKind::Forbidden,
            "Only root may use this host's socket; become root first.",
        )),
        Some(Peer::Network(_)) | None => Ok(None),
    }
}

/// The link that the sender of these headers opened.
pub(crate) async fn guest(core: &Core, headers: &HeaderMap) -> Result<Guest, Problem> {
    let link = match link_pass(headers) {
        Some(pass) => core.link_of(&pass).await?,
        None => None,
    };
    link.map(Guest).ok_or_else(|| {
        let detail = "This needs an open link to a console; it was taken back, or its time is over.";
        Problem::new(ProblemKind::Unauthenticated, detail)
    })
}

/// A page keeps itself current: nobody acted, so the session's idle time runs on. Browsers can't add a header to an event
/// stream; a stream is never a person's act.
fn is_refresh(parts: &Parts) -> bool {
    let accept = parts.headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("");
    parts.method.is_safe()
        && (parts.headers.contains_key("x-quantix-refresh") || accept.contains("text/event-stream"))
}

/// The request's own id, when the client gave it one.
fn request_id(headers: &HeaderMap) -> Result<Option<RequestId>, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    key.to_str().ok().and_then(|k| k.trim_matches('"').parse().ok()).map(Some).ok_or_else(|| {
        Problem::new(
            ProblemKind::BadRequest,
            "The header Idempotency-Key must be a UUID, new for each request.",
        )
    })
}

async fn found(parts: &mut Parts) -> Result<Option<Identity>, Response> {
    if let Some(identity) = parts.extensions.get::<Identity>() {
        return Ok(Some(identity.clone()));
    }
    let Some(unasked) = parts.extensions.get::<Unasked>().cloned() else { return Ok(None) };
    let identity = identify(&unasked.core, parts).await.map_err(|p| (unasked.refuse)(parts, p))?;
    if let Some(identity) = &identity {
        parts.extensions.insert(identity.clone());
    }
    Ok(identity)
}

pub(crate) fn log_in_first() -> Problem {
    Problem::new(ProblemKind::Unauthenticated, "Log in, or send an API token.")
}

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        if let Some(identity) = found(parts).await? {
            return Ok(Who(identity.ctx));
        }
        match parts.extensions.get::<Unasked>() {
            Some(unasked) => Err((unasked.refuse)(parts, log_in_first())),
            None => Err(axum::response::IntoResponse::into_response(axum::http::StatusCode::UNAUTHORIZED)),
        }
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Who {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(found(parts).await.ok().flatten().map(|identity| Who(identity.ctx)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Csrf {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Csrf(found(parts).await.ok().flatten().and_then(|identity| identity.csrf).unwrap_or_default()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<Peer>>().map(|c| c.0);
        let agent = parts.headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or("unknown");
        Ok(Client { address: peer.and_then(|p| p.address()), agent: agent.chars().take(200).collect() })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Guest {
    type Rejection = axum::http::StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<Guest>().cloned().ok_or(axum::http::StatusCode::UNAUTHORIZED)
    }
}
