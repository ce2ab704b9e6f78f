//! The session or token a long connection was opened with: knows when it ends, and nothing of what the connection carries.

use hostd_core::{Caller, Changes, Ctx};
use hostd_types::{Change, ConsoleLink, Kind, Timestamp};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// What proved who opened a connection.
#[derive(Debug, Clone, Default)]
pub struct Credential {
    known_as: Option<(Kind, String)>,
    expires_at: Option<Timestamp>,
}

impl Credential {
    /// The credential of this caller; root on the Unix socket has none that could end.
    pub fn of(ctx: &Ctx) -> Self {
        let Caller::User { session, token, .. } = &ctx.caller else { return Self::default() };
        let session = session.as_ref().map(|s| (Kind::Session, s.id.to_string(), s.expires_at));
        let token = token.as_ref().map(|t| (Kind::Token, t.id.to_string(), t.expires_at));
        session.or(token).map_or_else(Self::default, |(kind, id, expires_at)| Self {
            known_as: Some((kind, id)),
            expires_at: Some(expires_at),
        })
    }

    /// The link that a console was opened with.
    pub fn of_link(link: &ConsoleLink) -> Self {
        let known_as = Some((Kind::ConsoleLink, link.id.to_string()));
        Self { known_as, expires_at: Some(link.expires_at) }
    }

    /// The change is this very session or token, which changes only by its end.
    fn ended_by(&self, change: &Change) -> bool {
        self.known_as.as_ref().is_some_and(|(kind, id)| change.kind == *kind && change.id == *id)
    }

    /// Returns when the credential is taken back or its time is over; never for root on the Unix socket.
    pub async fn ended(&self, mut changes: Changes) {
        let Some(expires_at) = self.expires_at else { return std::future::pending().await };
        let left = expires_at.unix().saturating_sub(Timestamp::now().unix());
        let expiry = tokio::time::sleep(Duration::from_secs(u64::try_from(left).unwrap_or(0)));
        tokio::pin!(expiry);
        loop {
            let received = tokio::select! {
                () = &mut expiry => return,
                received = changes.recv() => received,
            };
            match received {
                Ok(change) if self.ended_by(&change) => return,
                Ok(_) => {}
                // Its end may be among the changes that were missed: whoever is still allowed opens the connection again.
                Err(RecvError::Lagged(_) | RecvError::Closed) => return,
            }
        }
    }
}
