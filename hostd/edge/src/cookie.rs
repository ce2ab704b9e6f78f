//! The session cookie.

use axum::http::HeaderMap;
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use hostd_core::Secret;

/// Name of the cookie; the prefix makes browsers insist on `Secure`, `Path=/` and no `Domain`.
const NAME: &str = "__Host-quantix";

/// `Set-Cookie` value that opens a session in the browser.
pub fn session_cookie(secret: &Secret) -> String {
    base(secret.reveal().to_owned()).to_string()
}

/// `Set-Cookie` value that ends it.
pub fn clear_session_cookie() -> String {
    let mut cookie = base(String::new());
    cookie.make_removal();
    cookie.to_string()
}

/// The secret a request carries, if it carries one.
pub(crate) fn session_secret(headers: &HeaderMap) -> Option<String> {
    CookieJar::from_headers(headers).get(NAME).map(|c| c.value().to_owned()).filter(|v| !v.is_empty())
}

/// Name of the cookie of whoever opened a link to a console: it opens that machine's consoles and nothing else.
const LINK: &str = "__Host-quantix-link";

/// `Set-Cookie` value that lets a browser go on with the link it opened.
pub fn link_cookie(pass: &Secret) -> String {
    base_of(LINK, pass.reveal().to_owned()).to_string()
}

/// The pass of a link that a request carries, if it carries one.
pub(crate) fn link_pass(headers: &HeaderMap) -> Option<String> {
    CookieJar::from_headers(headers).get(LINK).map(|c| c.value().to_owned()).filter(|v| !v.is_empty())
}

fn base(value: String) -> Cookie<'static> {
    base_of(NAME, value)
}

fn base_of(name: &'static str, value: String) -> Cookie<'static> {
    Cookie::build((name, value)).path("/").secure(true).http_only(true).same_site(SameSite::Strict).build()
}
