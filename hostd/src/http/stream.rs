//! `/api/v1/events`: the audit trail as a list, or, for `Accept: text/event-stream`, every change as it happens.

use super::answer::Answer;
use super::body::Params;
use super::credential::Credential;
use super::layers::Closing;
use super::problem::Refusals;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures_util::{Stream, stream};
use hostd_core::{Changes, Core};
use hostd_edge::Who;
use hostd_types::{Event, ListParams, Page};
use serde::Deserialize;
use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

/// A stream ends after this; the client comes back and proves again who it is.
const STREAM_MAX: Duration = Duration::from_secs(3600);

/// Narrows the audit trail.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventParams {
    /// Only events about the resource with this id.
    pub subject: Option<String>,
}

/// The audit trail, newest first; or a stream of changes
///
/// With `Accept: text/event-stream` every message is a `Change` as JSON: read that resource again if it matters. The event
/// `resync` says that messages were missed: read everything again.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", params(ListParams, EventParams), responses(
    (status = 200, content((Page<Event> = "application/json"), (String = "text/event-stream"))), Refusals))]
pub async fn list_events(
    State(core): State<Core>,
    Who(ctx): Who,
    Extension(Closing(closing)): Extension<Closing>,
    Params(list): Params<ListParams>,
    Params(only): Params<EventParams>,
    headers: HeaderMap,
) -> Answer<Response> {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("");
    if accept.contains("text/event-stream") {
        let keep_alive = KeepAlive::new().interval(Duration::from_secs(15));
        let (credential, watched) = (Credential::of(&ctx), core.changes());
        let ended = Box::pin(async move { credential.ended(watched).await });
        return Ok(Sse::new(changes(core.changes(), ended, closing)).keep_alive(keep_alive).into_response());
    }
    Ok(Json(core.events(&list, only.subject.as_deref()).await?).into_response())
}

struct Follower {
    changes: Changes,
    ended: Ended,
    closing: CancellationToken,
    until: Instant,
}

/// Ready when whoever listens may listen no longer.
type Ended = Pin<Box<dyn Future<Output = ()> + Send>>;

fn changes(
    changes: Changes,
    ended: Ended,
    closing: CancellationToken,
) -> impl Stream<Item = Result<Message, Infallible>> {
    let follower = Follower { changes, ended, closing, until: Instant::now() + STREAM_MAX };
    // The first message tells the client that it hears everything from here on.
    let hello = stream::iter([Ok(Message::default().event("ready").data("{}"))]);
    let rest = stream::unfold(follower, async |mut follower| {
        let message = follower.next().await?;
        Some((Ok(message), follower))
    });
    futures_util::StreamExt::chain(hello, Box::pin(rest))
}

impl Follower {
    async fn next(&mut self) -> Option<Message> {
        let received = tokio::select! {
            () = self.closing.cancelled() => return None,
            () = tokio::time::sleep_until(self.until) => return None,
            () = &mut self.ended => return None,
            received = self.changes.recv() => received,
        };
        match received {
            Ok(change) => Message::default().json_data(&change).ok(),
            Err(RecvError::Lagged(_)) => Some(Message::default().event("resync").data("{}")),
            Err(RecvError::Closed) => None,
        }
    }
}
