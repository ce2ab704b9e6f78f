//! The door of every HTTP route.
#![allow(missing_docs, clippy::todo, unused_variables, dead_code)]
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::MethodRouter;
use hostd_core::{Core, Ctx};
use hostd_types::Problem;

/// Who may use a route. There is no default: a route can't be added without one.
#[derive(Debug, Clone, Copy)]
pub enum Access {
    /// Anybody; the text says why that is safe. (Login page, assets, health.)
    Public(&'static str),
    /// Any logged-in user, token, or root on the Unix socket.
    Signed,
    /// Root on the Unix socket only.
    Console,
}

/// How refusals look: problem+json, or a page (redirect to login, error page).
pub type Refuse = fn(&Parts, Problem) -> Response;

/// A router that demands an access rule for every route; the axum router inside is not reachable until `finish`.
pub struct Routes(());

impl Routes {
    pub fn new(core: Core, refuse: Refuse) -> Self { todo!() }
    /// Cookie-authenticated unsafe methods are checked for Origin / Sec-Fetch-Site here.
    pub fn add(self, path: &str, access: Access, methods: MethodRouter<Core>) -> Self { todo!() }
    pub fn finish(self) -> axum::Router { todo!() }
}

/// Extractor: who asks, proved. Only behind `Access::Signed` or `Console` (elsewhere it answers 401).
#[derive(Debug, Clone)]
pub struct Who(pub Ctx);
impl<S: Send + Sync> FromRequestParts<S> for Who { type Rejection = Response; async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> { todo!() } }

/// Extractor: the anti-forgery token of this session, to put into forms (`<input type=hidden name=csrf>`), and to compare.
#[derive(Debug, Clone)]
pub struct Csrf(pub String);
impl Csrf { /** Constant time. */ pub fn matches(&self, given: &str) -> bool { todo!() } }
impl<S: Send + Sync> FromRequestParts<S> for Csrf { type Rejection = Response; async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> { todo!() } }

/// `Set-Cookie` values of the session (`Secure; HttpOnly; SameSite=Strict; Path=/`).
pub fn session_cookie(secret: &hostd_core::Secret) -> String { todo!() }
pub fn clear_session_cookie() -> String { todo!() }
