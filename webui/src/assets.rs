//! Files the browser loads, inside the binary: our own from `static/`, the console's libraries from `vendor/`.
//!
//! Every URL carries one fingerprint of all of them, so a browser keeps them for a year and an update replaces all at
//! once; module imports between vendored files stay relative and carry it too.

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// Our own assets.
#[derive(RustEmbed)]
#[folder = "static"]
pub(crate) struct Static;

/// The console's libraries, described by `vendor/vendor.json`.
#[derive(RustEmbed)]
#[folder = "vendor"]
pub(crate) struct Vendor;

static FINGERPRINT: LazyLock<String> = LazyLock::new(|| {
    let mut names: Vec<_> = Static::iter().chain(Vendor::iter()).collect();
    names.sort();
    let mut hash = Sha256::new();
    for name in names {
        if let Some(file) = find(&name) {
            hash.update(name.as_bytes());
            hash.update(file.metadata.sha256_hash());
        }
    }
    hex::encode(&hash.finalize()[..6])
});

fn find(name: &str) -> Option<EmbeddedFile> {
    Static::get(name).or_else(|| Vendor::get(name))
}

/// Address of the asset `name`.
pub(crate) fn url(name: &str) -> String {
    format!("/assets/{}/{name}", *FINGERPRINT)
}

/// Media type by the name's ending.
fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        Some(_) | None => "text/plain; charset=utf-8",
    }
}

/// Serves an asset. A page of an older version asks with an older fingerprint: it gets the current file, uncached.
pub(crate) async fn serve(Path((fingerprint, name)): Path<(String, String)>) -> Response {
    let Some(file) = find(&name) else {
        return (StatusCode::NOT_FOUND, "There is no such file.").into_response();
    };
    let cache = if fingerprint == *FINGERPRINT { "public, max-age=31536000, immutable" } else { "no-store" };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type(&name))),
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, file.data).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn known_files_are_kept_for_a_year_and_old_addresses_are_not() {
        let now = serve(Path((FINGERPRINT.clone(), "app.css".into()))).await;
        assert_eq!(now.status(), StatusCode::OK);
        assert_eq!(now.headers()[header::CONTENT_TYPE], "text/css; charset=utf-8");
        assert!(now.headers()[header::CACHE_CONTROL].to_str().expect("ascii").contains("immutable"));
        let old = serve(Path(("0".into(), "app.css".into()))).await;
        assert_eq!(old.headers()[header::CACHE_CONTROL], "no-store");
        let none = serve(Path(("0".into(), "../Cargo.toml".into()))).await;
        assert_eq!(none.status(), StatusCode::NOT_FOUND);
    }
}
