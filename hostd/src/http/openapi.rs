//! The API document (OpenAPI 3.1), made from the handlers.

use axum::Extension;
use axum::http::header;
use axum::response::IntoResponse;
use utoipa::Modify;
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Quantix",
        description = "Everything the pages do, as an API. Send `Authorization: Bearer qx_…` (make a token on the Tokens \
            page). Long work answers 202 with a task; watch it at `/api/v1/tasks/{id}` or in the stream `/api/v1/events`. \
            Refusals are `application/problem+json`. A UUID in `Idempotency-Key` makes a repeated request act once. \
            `If-Match` with the `ETag` of an earlier answer refuses with 412 when the resource was changed since.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    security(("token" = []), ("session" = [])),
    components(schemas(hostd_types::Change, super::problem::ProblemDetails)),
    modifiers(&Schemes)
)]
struct Head;

struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_with(Default::default);
        let token = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An API token, `qx_…`."))
            .build();
        components.add_security_scheme("token", SecurityScheme::Http(token));
        let cookie = ApiKeyValue::with_description(
            "__Host-quantix",
            "A browser's session. Requests that change something also need the header `X-CSRF-Token` (from \
             `GET /api/v1/session`) and must come from the host's own pages.",
        );
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}

/// The document without its paths.
pub fn head() -> utoipa::openapi::OpenApi {
    Head::openapi()
}

/// The document as text, the same for the same program.
pub fn text(document: &utoipa::openapi::OpenApi) -> String {
    document.to_pretty_json().map(|t| t + "\n").unwrap_or_default()
}

/// The text that is served.
#[derive(Debug, Clone, Copy)]
pub struct Document(pub &'static str);

/// `GET /api/v1/openapi.json`
pub async fn serve(Extension(document): Extension<Document>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document.0)
}
