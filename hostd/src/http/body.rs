//! Extractors of the API. Each refuses with the field that is wrong.

use super::problem::Fault;
use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use hostd_types::{FieldError, Problem, ProblemKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::str::FromStr;

/// Most bytes of a JSON body.
const BODY_MAX: usize = 256 * 1024;

/// A JSON body. Unknown fields are refused by name: silently ignoring a misspelt one would do something else than asked.
/// They are found by writing the parsed body out again, because the types themselves must accept fields of newer versions.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Serialize> FromRequest<S> for JsonBody<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, _: &S) -> Result<Self, Fault> {
        let (parts, body) = request.into_parts();
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
        if !kind.split(';').next().is_some_and(|k| k.trim().eq_ignore_ascii_case("application/json")) {
            let detail = "Send the body as JSON, with Content-Type: application/json.";
            return Err(Fault::unreadable(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let bytes = to_bytes(body, BODY_MAX).await.map_err(|error| {
            if is_too_large(&error) {
                let detail = format!("The body is larger than {BODY_MAX} bytes.");
                Fault::unreadable(StatusCode::PAYLOAD_TOO_LARGE, detail)
            } else {
                Fault::unreadable(StatusCode::BAD_REQUEST, "The body was cut off; send it again.")
            }
        })?;
        Ok(Self(parse(&bytes)?))
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|e| e.is::<http_body_util::LengthLimitError>())
}

fn parse<T: DeserializeOwned + Serialize>(bytes: &Bytes) -> Result<T, Problem> {
    let given: Value = serde_json::from_slice(bytes)
        .map_err(|e| Problem::new(ProblemKind::BadRequest, format!("The body is not JSON: {e}.")))?;
    let body: T = serde_path_to_error::deserialize(&given).map_err(|error| {
        let mut pointer = pointer_of(error.path());
        let why = error.inner().to_string();
        if let Some(field) = why.strip_prefix("missing field `").and_then(|w| w.split('`').next()) {
            pointer.push_str(&format!("/{}", escape(field)));
            return Problem::field(&pointer, format!("The field {field} is needed."));
        }
        Problem::field(&pointer, format!("This can't be read: {why}."))
    })?;
    let known = serde_json::to_value(&body).unwrap_or(Value::Null);
    let mut unknown = Vec::new();
    find_unknown(&given, &known, String::new(), &mut unknown);
    if unknown.is_empty() { Ok(body) } else { Err(Problem::invalid(unknown)) }
}

/// Fields of `given` that the parsed body does not hold. A `null` says nothing, so it may vanish.
fn find_unknown(given: &Value, known: &Value, at: String, unknown: &mut Vec<FieldError>) {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => {
            for (name, value) in given {
                let pointer = format!("{at}/{}", escape(name));
                match known.get(name) {
                    Some(there) => find_unknown(value, there, pointer, unknown),
                    None if value.is_null() => {}
                    None => unknown
                        .push(FieldError { pointer, detail: format!("There is no field {name} here.") }),
                }
            }
        }
        (Value::Array(given), Value::Array(known)) => {
            for (index, (given, known)) in given.iter().zip(known).enumerate() {
                find_unknown(given, known, format!("{at}/{index}"), unknown);
            }
        }
        _ => {}
    }
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
fn escape(name: &str) -> String {
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

/// The parameters after the `?`.
#[derive(Debug)]
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        Query::<T>::from_request_parts(parts, state).await.map(|q| Params(q.0)).map_err(|rejection| {
            Fault::unreadable(StatusCode::BAD_REQUEST, format!("{}.", rejection.body_text()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostd_types::{CreateNetwork, CreateVm};

    fn pointers<T: DeserializeOwned + Serialize>(body: &str) -> Vec<String> {
        let refused = parse::<T>(&Bytes::copy_from_slice(body.as_bytes()));
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
}
