//! What every resource carries beside its own spec and status.

use crate::stamp::Timestamp;
use crate::{HostId, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use utoipa::ToSchema;

/// Who caused a change; shown in events and in `created_by`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// A person, in a browser session or by one of their tokens.
    User {
        /// Their id.
        id: UserId,
        /// Their login name at that time.
        name: String,
        /// Name of the API token used, if one was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    },
    /// Root on the host itself, over the Unix socket.
    Console,
    /// A host's own reconcilers.
    Host {
        /// The host.
        id: HostId,
    },
    /// Nobody who proved who they are (a failed login).
    Anonymous,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::User { name, token: None, .. } => f.write_str(name),
            Actor::User { name, token: Some(token), .. } => write!(f, "{name} (token {token})"),
            Actor::Console => f.write_str("local console"),
            Actor::Host { .. } => f.write_str("host"),
            Actor::Anonymous => f.write_str("unknown"),
        }
    }
}

/// The project of everything until there are others.
pub const DEFAULT_PROJECT: &str = "default";

/// Bookkeeping of a resource, written by `apply` alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Meta {
    /// Project the resource belongs to.
    pub project: String,
    /// Its tags: a value for each key, which may be empty.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Counts changes of the spec, from 1; `If-Match` compares it.
    pub generation: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// Who created it.
    pub created_by: Actor,
    /// When the spec last changed.
    pub updated_at: Timestamp,
    /// Who last changed the spec.
    pub updated_by: Actor,
}

impl Meta {
    /// The metadata of a resource created by `by` at `at`.
    pub fn created(at: Timestamp, by: &Actor) -> Self {
        Self {
            project: DEFAULT_PROJECT.into(),
            labels: BTreeMap::new(),
            generation: 1,
            created_at: at,
            created_by: by.clone(),
            updated_at: at,
            updated_by: by.clone(),
        }
    }
    /// Records a change of the spec.
    pub fn touch(&mut self, at: Timestamp, by: &Actor) {
        self.generation += 1;
        self.updated_at = at;
        self.updated_by = by.clone();
    }
}

/// The kinds of resources; also the table, URL and event name of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The cluster.
    Cluster,
    /// A join token.
    JoinToken,
    /// A host.
    Host,
    /// A virtual machine.
    Vm,
    /// A disk.
    Volume,
    /// A snapshot.
    Snapshot,
    /// An image.
    Image,
    /// A network.
    Network,
    /// A task.
    Task,
    /// An audit event.
    Event,
    /// A user.
    User,
    /// An API token.
    Token,
    /// A browser session.
    Session,
    /// A link to a machine's consoles.
    ConsoleLink,
    /// A folder.
    Folder,
    /// A saved view.
    View,
    /// A customization specification.
    Specification,
}

impl Kind {
    /// The kind's name in tables, events and the SSE stream.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Cluster => "cluster",
            Kind::JoinToken => "join_token",
            Kind::Host => "host",
            Kind::Vm => "vm",
            Kind::Volume => "volume",
            Kind::Snapshot => "snapshot",
            Kind::Image => "image",
            Kind::Network => "network",
            Kind::Task => "task",
            Kind::Event => "event",
            Kind::User => "user",
            Kind::Token => "token",
            Kind::Session => "session",
            Kind::ConsoleLink => "console_link",
            Kind::Folder => "folder",
            Kind::View => "view",
            Kind::Specification => "specification",
        }
    }
}

/// Names one resource, with the name it had when this was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Subject {
    /// What it is.
    pub kind: Kind,
    /// Its id as text.
    pub id: String,
    /// Its name, for people.
    pub name: String,
}

/// Declares `{id, meta, spec, status}` for one resource.
macro_rules! resource {
    ($(#[$doc:meta])* $name:ident, $id:ty, $spec:ty, $status:ty, $kind:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        pub struct $name {
            /// Identifier, never reused.
            pub id: $id,
            /// Bookkeeping.
            pub meta: $crate::Meta,
            /// What is wanted.
            pub spec: $spec,
            /// What was last seen.
            pub status: $status,
        }
        impl $name {
            /// This resource named, for tasks and events.
            pub fn subject(&self) -> $crate::Subject {
                $crate::Subject { kind: $kind, id: self.id.to_string(), name: self.spec.name.clone() }
            }
        }
    };
}
pub(crate) use resource;
