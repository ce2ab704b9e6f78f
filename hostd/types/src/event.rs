//! Audit events: one for every mutation, accepted or refused, and for every state a host reports.

use crate::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventResult {
    /// Accepted or done.
    Ok,
    /// Refused.
    Refused,
    /// Work failed later.
    Failed,
    /// Seen, not asked for (a guest shut itself down).
    Observed,
}

/// One line of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Order of events, ascending.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Actor,
    /// What: the command's name (`vm.create`, `session.login`).
    pub action: String,
    /// To what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// How it went.
    pub result: EventResult,
    /// One sentence of detail; never a secret.
    pub detail: String,
}

/// What the SSE stream sends: something changed; read it again if it is on your page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// Kind of the resource.
    pub kind: Kind,
    /// Its id as text.
    pub id: String,
    /// Index of the log entry that changed it; 0 for volatile facts (progress, samples).
    pub index: u64,
}
