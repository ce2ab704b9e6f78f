//! `/api/v1/session`, `/api/v1/account`, `/api/v1/tokens`

use crate::http::answer::Answer;
use crate::http::body::{Id, JsonBody};
use crate::http::problem::Refusals;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use hostd_core::{Caller, Core, Ctx};
use hostd_edge::{Client, Csrf, Who, clear_session_cookie, session_cookie};
use hostd_types::command::{AccessCommand, Command};
use hostd_types::{
    CreateToken, Credentials, NewToken, Page, Problem, ProblemKind, Session, Token, TokenId, User,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who a request comes from.
#[derive(Debug, Serialize, ToSchema)]
pub struct Identity {
    /// The user; absent for root on the Unix socket.
    pub user: Option<User>,
    /// The browser's session, when a cookie was the credential.
    pub session: Option<Session>,
    /// The API token, when one was the credential.
    pub token: Option<Token>,
    /// The anti-forgery token to send in `X-CSRF-Token` with the cookie.
    pub csrf: Option<String>,
}

/// Body of `POST /api/v1/account/password`.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct ChangePassword {
    /// The password so far.
    pub current: String,
    /// The new one, 10 to 256 bytes.
    pub new: String,
}

/// A login name and a password that was generated for it.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct GeneratedPassword {
    /// Login name.
    pub name: String,
    /// The password.
    pub password: String,
}

/// Log in with name and password
#[utoipa::path(post, path = "/api/v1/session", tag = "access", request_body = Credentials, security(()), responses(
    (status = 200, body = Identity, headers(("Set-Cookie" = String, description = "The session."))), Refusals))]
pub async fn log_in(
    State(core): State<Core>,
    client: Client,
    JsonBody(credentials): JsonBody<Credentials>,
) -> Answer<impl IntoResponse> {
    let (session, user, secret) = core.login(&credentials, client.address, &client.agent).await?;
    let csrf = Some(Csrf::of(secret.reveal()).0);
    let identity = Identity { user: Some(user), session: Some(session), token: None, csrf };
    let headers = [(header::SET_COOKIE, session_cookie(&secret)), (header::CACHE_CONTROL, "no-store".into())];
    Ok((headers, Json(identity)))
}

/// Check a name and password without logging in (root on the Unix socket only)
#[utoipa::path(post, path = "/api/v1/account/verify", tag = "access", request_body = Credentials, responses(
    (status = 204), Refusals))]
pub async fn verify(
    State(core): State<Core>,
    Who(ctx): Who,
    JsonBody(credentials): JsonBody<Credentials>,
) -> Answer<StatusCode> {
    // A login like any other: limited, audited, and ended at once.
    let (session, user, _) = core.login(&credentials, ctx.address, "local console").await?;
    let id = session.id;
    let ctx = Ctx { caller: Caller::User { user, session: Some(session), token: None }, ..ctx };
    core.submit(&ctx, Command::Access(AccessCommand::Logout { id })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who this request comes from
#[utoipa::path(get, path = "/api/v1/session", tag = "access", responses(
    (status = 200, body = Identity), Refusals))]
pub async fn who_am_i(Who(ctx): Who, csrf: Csrf) -> Answer<Json<Identity>> {
    let csrf = Some(csrf.0).filter(|token| !token.is_empty());
    Ok(Json(match ctx.caller {
        Caller::User { user, session, token } => Identity { user: Some(user), session, token, csrf },
        Caller::Console | Caller::Host => Identity { user: None, session: None, token: None, csrf: None },
    }))
}

/// Log out: the session of this cookie ends
#[utoipa::path(delete, path = "/api/v1/session", tag = "access", responses((status = 204), Refusals))]
pub async fn log_out(State(core): State<Core>, Who(ctx): Who) -> Answer<impl IntoResponse> {
    let Caller::User { session: Some(session), .. } = &ctx.caller else {
        let detail = "Only a browser's session can be logged out; revoke a token instead.";
        return Err(Problem::new(ProblemKind::WrongState, detail).into());
    };
    core.submit(&ctx, Command::Access(AccessCommand::Logout { id: session.id })).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, clear_session_cookie())]))
}

/// Change one's own password; all other sessions end
#[utoipa::path(post, path = "/api/v1/account/password", tag = "access", request_body = ChangePassword, responses(
    (status = 204), Refusals))]
pub async fn change_password(
    State(core): State<Core>,
    Who(ctx): Who,
    JsonBody(body): JsonBody<ChangePassword>,
) -> Answer<StatusCode> {
    core.change_password(&ctx, &body.current, &body.new).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give the administrator a new, generated password (root on the Unix socket only)
#[utoipa::path(post, path = "/api/v1/account/reset-password", tag = "access", responses(
    (status = 200, body = GeneratedPassword), Refusals))]
pub async fn reset_password(State(core): State<Core>, Who(ctx): Who) -> Answer<Json<GeneratedPassword>> {
    let (name, password) = core.reset_password(&ctx).await?;
    Ok(Json(GeneratedPassword { name, password: password.reveal().to_owned() }))
}

/// API tokens
#[utoipa::path(get, path = "/api/v1/tokens", tag = "access", responses(
    (status = 200, body = Page<Token>), Refusals))]
pub async fn list_tokens(State(core): State<Core>, Who(ctx): Who) -> Answer<Json<Page<Token>>> {
    let items = core.tokens(&ctx).await?;
    Ok(Json(Page { total: items.len() as u64, items, next: None }))
}

/// Make an API token; its secret is in this answer and never again
#[utoipa::path(post, path = "/api/v1/tokens", tag = "access", request_body = CreateToken, responses(
    (status = 201, body = NewToken), Refusals))]
pub async fn create_token(
    State(core): State<Core>,
    Who(ctx): Who,
    JsonBody(body): JsonBody<CreateToken>,
) -> Answer<(StatusCode, Json<NewToken>)> {
    Ok((StatusCode::CREATED, Json(core.create_token(&ctx, &body).await?)))
}

/// Take an API token back at once
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "access", params(("id" = TokenId, Path)), responses(
    (status = 204), Refusals))]
pub async fn revoke_token(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<TokenId>,
) -> Answer<StatusCode> {
    core.submit(&ctx, Command::Access(AccessCommand::RevokeToken { id })).await?;
    Ok(StatusCode::NO_CONTENT)
}
