//! Extractors of the API. Each refuses with the field that is wrong.

use super::problem::Fault;
use super::unknown;
use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use hostd_core::Core;
use hostd_types::{HostId, HostRole, Problem, ProblemKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::str::FromStr;
use std::time::Duration;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

/// Most bytes of a JSON body.
const BODY_MAX: usize = 256 * 1024;
/// Most bytes of what a host tells that wants to join: everything it has, some thousand machines.
const HOST_BODY_MAX: usize = 4 << 20;
/// How many of these are read at a time: whoever sends one has proved nothing yet, and must not fill the memory.
const HOST_BODIES: usize = 8;
/// Time for one of them to arrive.
const HOST_BODY_WITHIN: Duration = Duration::from_secs(10);

/// A JSON body. Unknown fields are refused by name: silently ignoring a misspelt one would do something else than asked.
/// They are found by asking the type (`http::unknown`), because the types themselves must accept fields of newer versions.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Serialize> FromRequest<S> for JsonBody<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, _: &S) -> Result<Self, Fault> {
        let given = read(&bytes_of(request, BODY_MAX).await?)?;
        Ok(Self(known(&given)?))
    }
}

/// The bytes of a JSON body, at most `most`.
async fn bytes_of(request: Request, most: usize) -> Result<Bytes, Fault> {
    let (parts, body) = request.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    if !kind.split(';').next().is_some_and(|k| k.trim().eq_ignore_ascii_case("application/json")) {
        let detail = "Send the body as JSON, with Content-Type: application/json.";
        return Err(Fault::unreadable(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    to_bytes(body, most).await.map_err(|error| {
        if is_too_large(&error) {
            let detail = format!("The body is larger than {most} bytes.");
            Fault::unreadable(StatusCode::PAYLOAD_TOO_LARGE, detail)
        } else {
            Fault::unreadable(StatusCode::BAD_REQUEST, "The body was cut off; send it again.")
        }
    })
}

/// What another host tells that is no member yet. It may be large, and may run a version that tells more than this one
/// knows.
#[derive(Debug)]
pub struct HostBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for HostBody<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, _: &S) -> Result<Self, Fault> {
        static READING: Semaphore = Semaphore::const_new(HOST_BODIES);
        let Ok(_place) = READING.try_acquire() else {
            let problem = Problem::new(ProblemKind::TooMany, "Many hosts ask at the same moment; try again.");
            return Err(problem.retry_after(2).into());
        };
        let bytes = tokio::time::timeout(HOST_BODY_WITHIN, bytes_of(request, HOST_BODY_MAX)).await;
        let late = |_| Fault::unreadable(StatusCode::REQUEST_TIMEOUT, "The body took too long to arrive.");
        Ok(Self(typed(&read(&bytes.map_err(late)??)?)?))
    }
}

/// A JSON body that makes something, and the host it is to be on.
#[derive(Debug, Serialize, ToSchema)]
pub struct Placed<T> {
    /// The host; the one that is asked when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
    /// What is to be made.
    #[serde(flatten)]
    pub what: T,
}

impl<S: Send + Sync, T: DeserializeOwned + Serialize> FromRequest<S> for Placed<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, _: &S) -> Result<Self, Fault> {
        Ok(placed(read(&bytes_of(request, BODY_MAX).await?)?)?)
    }
}

/// Takes the host out before the rest is read, so that every wrong field is still named.
fn placed<T: DeserializeOwned + Serialize>(mut given: Value) -> Result<Placed<T>, Problem> {
    let host = given.as_object_mut().and_then(|fields| fields.remove("host"));
    let host = host.map(serde_json::from_value::<Option<HostId>>).transpose();
    let host = host.map_err(|_| Problem::field("/host", "This is not a host's identifier (a UUID)."))?;
    Ok(Placed { host: host.flatten(), what: known(&given)? })
}

impl<T> Placed<T> {
    /// The host, which must be there and run machines, and what is to be made on it.
    ///
    /// # Errors
    /// `Invalid` at `/host`.
    pub async fn resolve(self, core: &Core) -> Result<(HostId, T), Problem> {
        let Some(id) = self.host else { return Ok((core.host(), self.what)) };
        let host = core.host_row(id).await.map_err(|problem| match problem.kind {
            ProblemKind::NotFound => Problem::field("/host", problem.detail),
            _ => problem,
        })?;
        match host.spec.role {
            HostRole::Host => Ok((id, self.what)),
            HostRole::Witness => {
                let detail = format!("{} is a witness: it votes, and holds no machines.", host.spec.name);
                Err(Problem::field("/host", detail))
            }
        }
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|e| e.is::<http_body_util::LengthLimitError>())
}

fn read(bytes: &Bytes) -> Result<Value, Problem> {
    serde_json::from_slice(bytes)
        .map_err(|e| Problem::new(ProblemKind::BadRequest, format!("The body is not JSON: {e}.")))
}

fn typed<T: DeserializeOwned>(given: &Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(given).map_err(|error| {
        let mut pointer = pointer_of(error.path());
        let why = error.inner().to_string();
        if let Some(field) = why.strip_prefix("missing field `").and_then(|w| w.split('`').next()) {
            pointer.push_str(&format!("/{}", escape(field)));
            return Problem::field(&pointer, format!("The field {field} is needed."));
        }
        if pointer.split('/').any(|part| matches!(part, "password" | "secret" | "plain")) {
            // What was given may be the secret itself, in the wrong place.
            return Problem::field(&pointer, "This is not as the API describes it; it is not repeated here.");
        }
        Problem::field(&pointer, format!("This can't be read: {why}."))
    })
}

/// The same, if it holds nothing else.
fn known<T: DeserializeOwned + Serialize>(given: &Value) -> Result<T, Problem> {
    let body: T = typed(given)?;
    let unknown = unknown::find(given, &body);
    if unknown.is_empty() { Ok(body) } else { Err(Problem::invalid(unknown)) }
}

fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", escape(key))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// A name as part of a JSON pointer (RFC 6901).
pub(super) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The `{id}` of the path.
#[derive(Debug)]
pub struct Id<T>(pub T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for Id<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let text = Path::<String>::from_request_parts(parts, state).await.map(|p| p.0).unwrap_or_default();
        let shown: String = text.chars().take(80).collect();
        text.parse().map(Id).map_err(|_| {
            Problem::new(ProblemKind::NotFound, format!("{shown:?} is not an identifier (a UUID).")).into()
        })
    }
}

/// The `{id}` of the path and what it names of that.
#[derive(Debug)]
pub struct PartOf<T, P>(pub T, pub P);

impl<S: Send + Sync, T: FromStr, P: FromStr> FromRequestParts<S> for PartOf<T, P> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let (whole, part) = path.map(|p| p.0).unwrap_or_default();
        let unknown = |text: &str| {
            let shown: String = text.chars().take(80).collect();
            Problem::new(ProblemKind::NotFound, format!("{shown:?} is not an identifier."))
        };
        let whole = whole.parse().map_err(|_| unknown(&whole))?;
        let part = part.parse().map_err(|_| unknown(&part))?;
        Ok(PartOf(whole, part))
    }
}

/// The parameters after the `?`.
#[derive(Debug)]
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        if let Some(uri) = parts.uri.query().and_then(|query| with_one_tag(parts.uri.path(), query)) {
            parts.uri = uri;
        }
        Query::<T>::from_request_parts(parts, state).await.map(|q| Params(q.0)).map_err(|rejection| {
            Fault::unreadable(StatusCode::BAD_REQUEST, format!("{}.", rejection.body_text()))
        })
    }
}

/// The address with the values of a repeated `tag` as one, separated by commas; nothing when there is at most one.
fn with_one_tag(path: &str, query: &str) -> Option<axum::http::Uri> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).ok()?;
    let (tags, mut rest): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(name, _)| name == "tag");
    if tags.len() < 2 {
        return None;
    }
    let tags: Vec<String> = tags.into_iter().map(|(_, value)| value).collect();
    rest.push(("tag".into(), tags.join(",")));
    format!("{path}?{}", serde_urlencoded::to_string(rest).ok()?).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostd_types::{CreateNetwork, CreateVm, CreateVolume};
    use serde_json::json;

    fn pointers<T: DeserializeOwned + Serialize>(body: &str) -> Vec<String> {
        let refused = read(&Bytes::copy_from_slice(body.as_bytes())).and_then(|given| known::<T>(&given));
        let Err(problem) = refused else { return Vec::new() };
        problem.errors.into_iter().map(|e| e.pointer).collect()
    }

    #[test]
    fn a_wrong_field_is_named() {
        assert_eq!(pointers::<CreateVm>(r#"{"name":"a","cpus":1,"memory_mib":"64"}"#), ["/memory_mib"]);
        assert_eq!(pointers::<CreateVm>(r#"{"name":"a","memory_mib":64}"#), ["/cpus"]);
        assert_eq!(
            pointers::<CreateVm>(r#"{"name":"a","cpus":1,"memory_mib":64,"nics":[{}]}"#),
            ["/nics/0/network"]
        );
        assert!(pointers::<CreateVm>(r#"{"name":"a","cpus":1,"memory_mib":64}"#).is_empty());
    }

    #[test]
    fn unknown_fields_are_named_at_any_depth() {
        let body = r#"{"name":"a","cpus":1,"memory_mib":64,"memory":1,"a/b":2,
                       "disks":[{"from":"blank","size_bytes":1048576,"sise":1}],"cdrom":null}"#;
        assert_eq!(pointers::<CreateVm>(body), ["/a~1b", "/disks/0/sise", "/memory"]);
        let flat = r#"{"name":"n","mode":"nat","subnet":"10.0.0.0/24","nic":"eth0"}"#;
        assert_eq!(pointers::<CreateNetwork>(flat), ["/nic"]);
    }

    #[test]
    fn a_default_that_is_named_is_no_unknown_field() {
        let with = |more: &str| format!(r#"{{"name":"a","cpus":1,"memory_mib":64,{more}}}"#);
        for known in [
            r#""cpu_mode":"flexible""#,
            r#""filing":{}"#,
            r#""filing":{"tags":{},"notes":""}"#,
            r#""topology":{"sockets":1,"threads":1}"#,
            r#""headroom":{"cpus_max":null}"#,
            r#""options":{"tpm":false,"channels":[],"video":{"model":"vga"}}"#,
            r#""disks":[{"from":"blank","size_bytes":1,"options":{"discard":true,"limits":{}}}]"#,
        ] {
            assert_eq!(pointers::<CreateVm>(&with(known)), Vec::<String>::new(), "{known}");
        }
        for (wrong, at) in [
            (r#""filing":{"note":""}"#, "/filing/note"),
            (r#""options":{"rng":{"on":false}}"#, "/options/rng/on"),
            (r#""headroom":[]"#, "/headroom"),
            (
                r#""disks":[{"from":"blank","size_bytes":1,"options":{"limits":{"iops":{}}}}]"#,
                "/disks/0/options/limits/iops",
            ),
        ] {
            assert_eq!(pointers::<CreateVm>(&with(wrong)), [at], "{wrong}");
        }
    }

    #[test]
    fn a_repeated_tag_is_one_list_of_tags() {
        let uri = with_one_tag("/api/v1/vms", "tag=env%3Dprod&q=a+b&tag=web").expect("another address");
        assert_eq!(uri.to_string(), "/api/v1/vms?q=a+b&tag=env%3Dprod%2Cweb");
        assert_eq!(with_one_tag("/", "tag=web&q=a"), None);
    }

    #[test]
    fn a_host_may_be_named_beside_any_fields() {
        let read = |body: serde_json::Value| placed::<CreateVolume>(body);
        let volume = || json!({"name": "a", "size_bytes": 1_048_576});
        let with = |host: serde_json::Value| {
            let mut body = volume();
            body["host"] = host;
            read(body)
        };
        let id = HostId::new();
        assert_eq!(read(volume()).expect("no host").host, None);
        assert_eq!(with(json!(null)).expect("no host").host, None);
        assert_eq!(with(json!(id)).expect("a host").host, Some(id));
        for bad in [json!("h1"), json!(1), json!({})] {
            assert_eq!(with(bad).expect_err("no id").errors[0].pointer, "/host");
        }
        let wrong = read(json!({"host": id, "name": "a", "size_bytes": 1, "sise": 2}));
        assert_eq!(wrong.expect_err("an unknown field").errors[0].pointer, "/sise");
    }
}
