//! The door of every HTTP route: who is asking, may they, did this site send it.
//!
//! [`Routes`] is the only way to register a handler, and it demands an [`Access`] rule for each; pages (`webui`) and the
//! API (`hostd`) both build their routers with it. Behind the door a handler takes [`Who`] and finds a caller that was
//! proved by a session cookie, an API token, or the Unix socket's peer credentials.
//!
//! A browser sends its cookie along whoever wrote the page, so a cookie proves a person, not their intent. An unsafe
//! request (anything but GET, HEAD, OPTIONS) that is authenticated by the cookie must therefore also
//! 1. come from this origin: `Sec-Fetch-Site: same-origin`, or an `Origin` that equals the `Host`; and
//! 2. carry the session's anti-forgery token: in the header `X-CSRF-Token`, or, on routers made by [`Routes::new`], in the
//!    field `csrf` of a form. The door checks URL-encoded forms itself; a handler of a multipart form, registered
//!    with [`Routes::add_multipart`], reads its `csrf` part first and asks [`Csrf::matches`].
//!
//! Tokens and the Unix socket are not ambient: they need neither. This crate knows no page, no JSON body, no resource.

mod cookie;
mod form;
mod identity;
mod origin;
mod peer;
mod routes;

pub use cookie::{clear_session_cookie, link_cookie, session_cookie};
pub use form::PageForm;
pub use identity::{Client, Csrf, Guest, Who};
pub use origin::same_origin;
pub use peer::Peer;
pub use routes::{Access, Registered, Routes};

use axum::http::request::Parts;
use axum::response::Response;
use hostd_types::Problem;

/// How refusals look: problem+json, or a page (redirect to the login, error page).
pub type Refuse = fn(&Parts, Problem) -> Response;

/// The id of one HTTP request, in its log lines, the header `X-Request-Id`, and what the user is shown to quote. The
/// server puts it into the request's extensions; it has nothing to do with a command's `RequestId`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestTag(pub String);
