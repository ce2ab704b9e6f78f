//! Whether a request was sent by a page of this very site.

use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};

/// `Some(true)`: the browser says this site sent it; `Some(false)`: it says another did; `None`: no browser speaks.
pub fn same_origin(parts: &Parts) -> Option<bool> {
    let origin = text(&parts.headers, header::ORIGIN.as_str());
    if let Some(site) = text(&parts.headers, "sec-fetch-site") {
        // Sec-Fetch-Site can't be written by scripts; an Origin beside it must agree, or be hidden by a page's own
        // `Referrer-Policy: no-referrer`, which turns it into `null`.
        return Some(site == "same-origin" && origin.is_none_or(|o| o == "null" || is_ours(o, parts)));
    }
    origin.map(|o| is_ours(o, parts))
}

fn is_ours(origin: &str, parts: &Parts) -> bool {
    let Some(host) = host(&parts.headers, &parts.uri) else { return false };
    origin.strip_prefix("https://").is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

/// The name the client used for us: `:authority` in HTTP/2, `Host` in HTTP/1.1.
fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    uri.authority().map(|a| a.as_str()).or_else(|| text(headers, header::HOST.as_str()))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|v| v.to_str().unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn ask(headers: &[(&str, &str)]) -> Option<bool> {
        let mut request = Request::builder().uri("/x").header("host", "10.0.0.5:8443");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        same_origin(&parts)
    }

    #[test]
    fn only_this_site_is_same_origin() {
        assert_eq!(ask(&[]), None);
        assert_eq!(ask(&[("origin", "https://10.0.0.5:8443")]), Some(true));
        for foreign in ["https://10.0.0.5", "http://10.0.0.5:8443", "https://evil.example", "null", ""] {
            assert_eq!(ask(&[("origin", foreign)]), Some(false), "{foreign}");
        }
        assert_eq!(ask(&[("sec-fetch-site", "same-origin")]), Some(true));
        for foreign in ["same-site", "cross-site", "none"] {
            assert_eq!(ask(&[("sec-fetch-site", foreign)]), Some(false), "{foreign}");
        }
        assert_eq!(ask(&[("sec-fetch-site", "same-origin"), ("origin", "null")]), Some(true));
        let both = [("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")];
        assert_eq!(ask(&both), Some(false));
    }
}
