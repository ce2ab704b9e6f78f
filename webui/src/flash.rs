//! The result of an action, carried over its redirect in a short-lived cookie and shown once.

use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hostd_types::{Outcome, Problem, TaskId};

/// Longest text carried, bytes: a cookie holds 4 KiB.
const TEXT_MAX: usize = 1500;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flash {
    /// It went well.
    pub(crate) good: bool,
    /// What happened, a sentence.
    pub(crate) text: String,
    /// The task it started.
    pub(crate) task: Option<TaskId>,
}

impl Flash {
    /// Name of the cookie.
    pub(crate) const COOKIE: &'static str = "flash";
    /// Value of `Set-Cookie` that takes it back.
    pub(crate) const CLEAR: &'static str = "flash=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict";

    /// Good news.
    pub(crate) fn good(text: impl Into<String>) -> Self {
        Self { good: true, text: text.into(), task: None }
    }
    /// Good news about accepted work, with its task.
    pub(crate) fn accepted(text: impl Into<String>, outcome: &Outcome) -> Self {
        Self { good: true, text: text.into(), task: outcome.task }
    }
    /// A refusal.
    pub(crate) fn bad(problem: &Problem) -> Self {
        Self { good: false, text: problem.detail.clone(), task: None }
    }
    /// The cookie's value.
    pub(crate) fn encode(&self) -> String {
        let mut end = self.text.len().min(TEXT_MAX);
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let text = URL_SAFE_NO_PAD.encode(&self.text[..end]);
        let task = self.task.map(|t| t.to_string()).unwrap_or_default();
        format!("{}.{text}.{task}", if self.good { "good" } else { "bad" })
    }
    /// Reads a cookie's value; anything odd is nothing.
    pub(crate) fn decode(value: &str) -> Option<Self> {
        let mut parts = value.split('.');
        let good = match parts.next()? {
            "good" => true,
            "bad" => false,
            _ => return None,
        };
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(parts.next()?).ok()?).ok()?;
        let task = parts.next()?.parse().ok();
        Some(Self { good, text, task })
    }
    /// `Set-Cookie` that carries this to the next page.
    pub(crate) fn cookie(&self) -> String {
        format!("flash={}; Path=/; Max-Age=30; Secure; HttpOnly; SameSite=Strict", self.encode())
    }
    /// 303 to `path`, which shows this.
    pub(crate) fn then(&self, path: &str) -> Response {
        let cookie = self.cookie();
        let (Ok(location), Ok(cookie)) = (HeaderValue::from_str(path), HeaderValue::from_str(&cookie)) else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        (StatusCode::SEE_OTHER, [(LOCATION, location), (SET_COOKIE, cookie)]).into_response()
    }
}

/// `path` when it is a path of this site, else `/`: a link can't send a freshly logged-in browser elsewhere.
pub(crate) fn local(path: &str) -> &str {
    let odd = |c: char| c.is_control() || c == '\\' || !c.is_ascii();
    if path.starts_with('/') && !path.starts_with("//") && !path.contains(odd) { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_its_cookie() {
        let flash = Flash { good: true, text: "<b>\"ü\"; x=1".into(), task: Some(TaskId::new()) };
        assert_eq!(Flash::decode(&flash.encode()), Some(flash));
        assert_eq!(Flash::decode("good.!!."), None);
        assert_eq!(Flash::decode(""), None);
        let long = Flash::good("ü".repeat(4000)).encode();
        assert!(long.len() < 4000 && Flash::decode(&long).is_some());
    }

    #[test]
    fn only_paths_of_this_site_are_followed() {
        assert_eq!(local("/vms?q=a&state=off"), "/vms?q=a&state=off");
        for bad in
            ["", "vms", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nSet-Cookie: x"]
        {
            assert_eq!(local(bad), "/");
        }
    }
}
