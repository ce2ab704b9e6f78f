//! Who asks: every request carries a context that the edge has proved.

use hostd_types::{Actor, HostId, RequestId, Session, Token, User};
use std::net::IpAddr;

/// Who asks, proved by the edge (HTTP, Unix socket, form).
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)] // one a request, never kept
pub enum Caller {
    /// A person.
    User {
        /// Who.
        user: User,
        /// The browser session used, if one was.
        session: Option<Session>,
        /// The API token used, if one was.
        token: Option<Token>,
    },
    /// Root on this host, over the Unix socket.
    Console,
    /// This host's reconcilers.
    Host,
}

/// One request's context.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// Who asks.
    pub caller: Caller,
    /// The `Idempotency-Key` header or the form's hidden field: sent again with the same, a request acts once. Without one
    /// every request is the first.
    pub request: Option<RequestId>,
    /// The address asked from, when there is one.
    pub address: Option<IpAddr>,
}

impl Ctx {
    /// A fresh context of this host's own work.
    pub(crate) fn host() -> Self {
        Self { caller: Caller::Host, request: None, address: None }
    }
    /// The id its entry gets.
    pub(crate) fn request_id(&self) -> RequestId {
        self.request.unwrap_or_else(RequestId::new)
    }
    /// Who asks, as entries and events name them; `host` is this host.
    pub(crate) fn actor(&self, host: HostId) -> Actor {
        match &self.caller {
            Caller::User { user, token, .. } => Actor::User {
                id: user.id,
                name: user.name.clone(),
                token: token.as_ref().map(|token| token.name.clone()),
            },
            Caller::Console => Actor::Console,
            Caller::Host => Actor::Host { id: host },
        }
    }
}
