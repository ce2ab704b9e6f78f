//! What happens around every request: an id, a log line, security headers, compression, and a stop for panics.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use futures_util::FutureExt;
use hostd_edge::RequestTag;
use std::panic::AssertUnwindSafe;
use std::time::Instant;
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;
use tracing::Instrument;

/// Told to streams and consoles when the daemon stops, so that they end in time.
#[derive(Debug, Clone)]
pub struct Closing(pub CancellationToken);

/// Wraps the whole site.
pub fn wrap(site: Router, closing: CancellationToken) -> Router {
    site.layer(Extension(Closing(closing)))
        .layer(CompressionLayer::new().gzip(true))
        .layer(from_fn(headers))
        .layer(from_fn(trace))
}

/// Gives the request its id and logs it: method, path (no parameters: they may hold tickets), status, time.
async fn trace(mut request: Request, next: Next) -> Response {
    let tag = uuid::Uuid::now_v7().simple().to_string();
    let span =
        tracing::info_span!("request", id = %tag, method = %request.method(), path = %request.uri().path());
    request.extensions_mut().insert(RequestTag(tag.clone()));
    let begun = Instant::now();
    let ran = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone()).await;
    let mut response = ran.unwrap_or_else(|_| {
        span.in_scope(|| tracing::error!("the handler panicked"));
        let text = format!("Something went wrong in the host. Its log tells more about request {tag}.\n");
        (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
    });
    if let Ok(value) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert("x-request-id", value);
    }
    let status = response.status().as_u16();
    span.in_scope(|| tracing::debug!(status, ms = begun.elapsed().as_secs_f64() * 1e3, "answered"));
    response
}

/// Headers every answer has, unless its handler set stricter ones. No HSTS: the certificate is self-signed, and a browser
/// that insists on a trusted one would lock its user out.
async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let all: [(HeaderName, &str); 6] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Not `no-referrer`: it would turn the Origin of our own forms into `null`.
        (header::REFERRER_POLICY, "same-origin"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in all {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
