//! A template as an HTTP answer: status, policy of the browser, and nothing kept in caches.

use crate::flash::Flash;
use crate::visit::Layout;
use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

/// What a page may load: its own files, and nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
/// The console page alone: xterm.js writes the sizes of its cells into style elements.
const CONSOLE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                              img-src 'self' data: blob:; connect-src 'self'; form-action 'self'; \
                              frame-ancestors 'none'; base-uri 'none'";

/// A template that is a whole page.
pub(crate) trait Page: Template {
    /// Its surroundings.
    fn layout(&self) -> &Layout;
    /// Its HTTP status.
    fn status(&self) -> StatusCode {
        StatusCode::OK
    }
    /// It holds the consoles' libraries.
    fn is_console(&self) -> bool {
        false
    }
}

/// Renders `page`.
pub(crate) fn answer(page: &impl Page) -> Response {
    let html = match page.render() {
        Ok(html) => html,
        Err(error) => {
            tracing::error!(page = page.layout().page, %error, "a template could not be rendered");
            return (StatusCode::INTERNAL_SERVER_ERROR, "The page could not be rendered.").into_response();
        }
    };
    let policy = if page.is_console() { CONSOLE_POLICY } else { POLICY };
    let mut response = (page.status(), Html(html)).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if page.layout().frame.flash.is_some() {
        headers.append(header::SET_COOKIE, HeaderValue::from_static(Flash::CLEAR));
    }
    response
}

/// A form's errors, for the messages beside its fields.
#[derive(Debug, Default)]
pub(crate) struct Refusal(pub(crate) Option<hostd_types::Problem>);

impl Refusal {
    /// The message of the field at `pointer`; empty when it is right.
    pub(crate) fn at(&self, pointer: &str) -> &str {
        self.0.as_ref().and_then(|p| p.at(pointer)).unwrap_or_default()
    }
    /// The status of the page that shows it.
    pub(crate) fn status(&self) -> StatusCode {
        let code = self.0.as_ref().map_or(200, |p| p.kind.status());
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// A dialog, or another part of a page with a form of its own, that was sent and refused: it stands open when the page is
/// shown again, with its messages.
#[derive(Debug, Default)]
pub(crate) struct Dialog {
    id: String,
    refusal: Refusal,
}

/// Nothing is wrong.
static FINE: Refusal = Refusal(None);

impl Dialog {
    /// The one whose element has this id was refused.
    pub(crate) fn refused(id: impl Into<String>, problem: hostd_types::Problem) -> Self {
        Self { id: id.into(), refusal: Refusal(Some(problem)) }
    }
    /// It is this one.
    pub(crate) fn is(&self, id: &str) -> bool {
        !self.id.is_empty() && self.id == id
    }
    /// What is wrong in the one with this id.
    pub(crate) fn of(&self, id: &str) -> &Refusal {
        if self.is(id) { &self.refusal } else { &FINE }
    }
    /// The status of the page that shows it.
    pub(crate) fn status(&self) -> StatusCode {
        self.refusal.status()
    }
}

/// Declares that a template struct with a field `layout` is a page.
macro_rules! page {
    ($name:ident) => {
        impl $crate::page::Page for $name {
            fn layout(&self) -> &$crate::visit::Layout {
                &self.layout
            }
        }
    };
    ($name:ident, refusal) => {
        impl $crate::page::Page for $name {
            fn layout(&self) -> &$crate::visit::Layout {
                &self.layout
            }
            fn status(&self) -> axum::http::StatusCode {
                self.refusal.status()
            }
        }
    };
    ($name:ident, refusal, dialog) => {
        impl $crate::page::Page for $name {
            fn layout(&self) -> &$crate::visit::Layout {
                &self.layout
            }
            fn status(&self) -> axum::http::StatusCode {
                match self.refusal.0 {
                    Some(_) => self.refusal.status(),
                    None => self.dialog.status(),
                }
            }
        }
    };
}
pub(crate) use page;
