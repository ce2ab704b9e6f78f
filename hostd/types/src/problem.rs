//! One shape for everything that goes wrong: RFC 9457 problem details.

use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// What kind of problem it is; decides the HTTP status and the way out a page offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// No such resource.
    NotFound,
    /// A resource of that name is there already.
    Exists,
    /// Some input breaks a rule; `errors` names each field.
    Invalid,
    /// Nobody is logged in, or the credentials are wrong.
    Unauthenticated,
    /// Logged in, but not allowed.
    Forbidden,
    /// The resource's state does not allow this now.
    WrongState,
    /// Somebody else changed or uses it.
    Conflict,
    /// Not enough memory, CPU or disk space.
    Capacity,
    /// Too many attempts; try later.
    TooMany,
    /// The request's body is too large or of the wrong media type.
    BadRequest,
    /// The cluster's majority can't be reached.
    NoQuorum,
    /// This host was removed from the cluster it asks.
    Removed,
    /// Something needed (libvirt, storage) does not answer at the moment.
    Unavailable,
    /// This host, guest or version can't do it.
    Unsupported,
    /// The work was cancelled by a person or by a restart.
    Cancelled,
    /// A defect or an unexpected failure of the host.
    Internal,
}

impl ProblemKind {
    /// HTTP status of the kind.
    pub const fn status(self) -> u16 {
        match self {
            ProblemKind::BadRequest => 400,
            ProblemKind::Unauthenticated => 401,
            ProblemKind::Forbidden => 403,
            ProblemKind::NotFound => 404,
            ProblemKind::Exists
            | ProblemKind::WrongState
            | ProblemKind::Conflict
            | ProblemKind::Cancelled => 409,
            ProblemKind::Removed => 410,
            ProblemKind::Invalid => 422,
            ProblemKind::TooMany => 429,
            ProblemKind::Internal => 500,
            ProblemKind::Unsupported => 501,
            ProblemKind::NoQuorum | ProblemKind::Unavailable => 503,
            ProblemKind::Capacity => 507,
        }
    }
    /// Stable slug, the last part of the problem's `type`.
    pub const fn slug(self) -> &'static str {
        match self {
            ProblemKind::BadRequest => "bad-request",
            ProblemKind::Unauthenticated => "unauthenticated",
            ProblemKind::Forbidden => "forbidden",
            ProblemKind::NotFound => "not-found",
            ProblemKind::Exists => "exists",
            ProblemKind::WrongState => "wrong-state",
            ProblemKind::Conflict => "conflict",
            ProblemKind::Cancelled => "cancelled",
            ProblemKind::Invalid => "invalid",
            ProblemKind::TooMany => "too-many",
            ProblemKind::Internal => "internal",
            ProblemKind::Unsupported => "unsupported",
            ProblemKind::NoQuorum => "no-quorum",
            ProblemKind::Removed => "removed",
            ProblemKind::Unavailable => "unavailable",
            ProblemKind::Capacity => "capacity",
        }
    }
    /// Short title for people.
    pub const fn title(self) -> &'static str {
        match self {
            ProblemKind::BadRequest => "The request can't be read",
            ProblemKind::Unauthenticated => "Log in first",
            ProblemKind::Forbidden => "Not allowed",
            ProblemKind::NotFound => "Not found",
            ProblemKind::Exists => "The name is taken",
            ProblemKind::WrongState => "Not possible in this state",
            ProblemKind::Conflict => "Changed or in use elsewhere",
            ProblemKind::Cancelled => "Cancelled",
            ProblemKind::Invalid => "Some input needs correcting",
            ProblemKind::TooMany => "Too many attempts",
            ProblemKind::Internal => "Something went wrong in the host",
            ProblemKind::Unsupported => "Not supported here",
            ProblemKind::NoQuorum => "The cluster's majority is out of reach",
            ProblemKind::Removed => "Removed from the cluster",
            ProblemKind::Unavailable => "Not available at the moment",
            ProblemKind::Capacity => "Not enough room",
        }
    }
}

/// One wrong field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer into the request body (RFC 6901), for example `/memory_mib`.
    pub pointer: String,
    /// What is wrong and the way out.
    pub detail: String,
}

/// A problem as it travels: to API clients, pages, tasks and events, in the same words everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The kind; on the wire of the HTTP API it becomes `type`, `title` and `status`.
    pub kind: ProblemKind,
    /// What happened, in a sentence for the user, with the way out.
    pub detail: String,
    /// Wrong fields, when `kind` is `invalid`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Seconds after which trying again makes sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}

impl Problem {
    /// A problem of `kind` explained by `detail`.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), retry_after: None }
    }
    /// No `what` of this id or name.
    pub fn not_found(what: &str, id: impl fmt::Display) -> Self {
        Self::new(ProblemKind::NotFound, format!("There is no {what} {id}."))
    }
    /// Wrong input, one entry a field.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] => one.detail.clone(),
            many => format!("{} fields need correcting.", many.len()),
        };
        Self { kind: ProblemKind::Invalid, detail, errors, retry_after: None }
    }
    /// Wrong input in the one field at `pointer`.
    pub fn field(pointer: &str, detail: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError { pointer: pointer.into(), detail: detail.into() }])
    }
    /// The resource's state does not allow it.
    pub fn wrong_state(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::WrongState, detail)
    }
    /// The same with a hint when to try again.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
    /// The message of the field at `pointer`, for a form.
    pub fn at(&self, pointer: &str) -> Option<&str> {
        self.errors.iter().find(|e| e.pointer == pointer).map(|e| e.detail.as_str())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}
