//! `/api/v1/console`: the bytes of a machine's screen (RFB) or serial port over a WebSocket.

use super::answer::Answer;
use super::credential::Credential;
use super::layers::Closing;
use super::problem::Fault;
use axum::Extension;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hostd_core::{Caller, ConsoleStream, Core, Ctx, Duplex};
use hostd_edge::{Who, same_origin};
use hostd_types::{Problem, ProblemKind};
use serde::Deserialize;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::time::timeout;

/// How often an idle connection is probed.
const PING: Duration = Duration::from_secs(20);
/// A peer that sent nothing for so long, not even answers to pings, is gone.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Most bytes of one frame from the browser.
const FRAME_MAX: usize = 1 << 20;

/// Why a connection ends: the close code and its words.
type End = (u16, &'static str);

#[derive(Deserialize)]
struct TicketParam {
    ticket: String,
}

/// `GET /api/v1/console?ticket=…`: redeems the ticket and connects. Browsers can't read a refused handshake, so a ticket that
/// is not valid is told as a close code, 4000 plus the HTTP status.
pub async fn open(
    State(core): State<Core>,
    Who(ctx): Who,
    Extension(Closing(closing)): Extension<Closing>,
    request: Request,
) -> Answer<Response> {
    let (mut parts, _) = request.into_parts();
    // A cookie is sent along by any page of any site; a WebSocket is not covered by CORS.
    let ambient = matches!(&ctx.caller, Caller::User { session: Some(_), .. });
    match same_origin(&parts) {
        Some(true) => {}
        None if !ambient => {}
        Some(false) | None => {
            let detail = "A console can be opened only by this host's own pages.";
            return Err(Problem::new(ProblemKind::Forbidden, detail).into());
        }
    }
    let ticket = axum::extract::Query::<TicketParam>::try_from_uri(&parts.uri)
        .map_err(|_| Fault::unreadable(StatusCode::BAD_REQUEST, "The parameter ticket is needed."))?;
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
        .await
        .map_err(|_| Fault::unreadable(StatusCode::BAD_REQUEST, "This address speaks WebSocket only."))?;
    let upgrade = upgrade.protocols(["binary"]).max_message_size(FRAME_MAX).max_frame_size(FRAME_MAX);
    // Listening begins before the answer, so that no end of the session is missed.
    let (credential, changes) = (Credential::of(&ctx), core.changes());
    let ended = async move {
        tokio::select! {
            () = credential.ended(changes) => (4401, "the session or token this console was opened with is over"),
            () = closing.cancelled() => (1001, "the host's daemon is restarting"),
        }
    };
    Ok(upgrade.on_upgrade(async move |socket| serve(core, ctx, ticket.0.ticket, ended, socket).await))
}

async fn serve(
    core: Core,
    ctx: Ctx,
    ticket: String,
    ended: impl Future<Output = End>,
    mut socket: WebSocket,
) {
    match core.open_console(&ticket).await {
        Ok(ConsoleStream { kind, vm, io }) => {
            tracing::info!(%vm, ?kind, address = ?ctx.address, "console opened");
            let why = relay(socket, io, ended).await;
            tracing::info!(%vm, ?kind, why, "console closed");
        }
        Err(problem) => {
            let close = close_frame(4000 + problem.kind.status(), &problem.detail);
            // The browser may be gone already; nobody else needs to know.
            let _ = socket.send(Message::Close(Some(close))).await;
        }
    }
}

/// Carries bytes both ways until either side or `ended` ends. Each direction waits for its own receiver, so a slow browser slows the
/// machine's output and not the host's memory.
async fn relay(socket: WebSocket, io: Box<dyn Duplex>, ended: impl Future<Output = End>) -> &'static str {
    let (mut sink, source) = socket.split();
    let (reader, writer) = split(io);
    let (code, why) = tokio::select! {
        end = to_machine(source, writer) => end,
        end = to_browser(&mut sink, reader) => end,
        end = ended => end,
    };
    let closed = async {
        sink.send(Message::Close(Some(close_frame(code, why)))).await?;
        sink.close().await
    };
    // A dead peer must not hold the task.
    let _ = timeout(Duration::from_secs(5), closed).await;
    why
}

async fn to_machine(mut source: SplitStream<WebSocket>, mut writer: WriteHalf<Box<dyn Duplex>>) -> End {
    loop {
        let bytes = match timeout(SILENCE_MAX, source.next()).await {
            Ok(Some(Ok(Message::Binary(bytes)))) => bytes,
            Ok(Some(Ok(Message::Text(text)))) => text.into(),
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
            Ok(None | Some(Ok(Message::Close(_)))) => return (1000, "closed by the viewer"),
            Ok(Some(Err(_))) => return (1002, "the viewer's connection broke"),
            Err(_) => return (1001, "the viewer does not answer"),
        };
        if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
            return (1000, "the machine stopped");
        }
    }
}

async fn to_browser(sink: &mut SplitSink<WebSocket, Message>, mut reader: ReadHalf<Box<dyn Duplex>>) -> End {
    let mut buffer = vec![0; 64 * 1024];
    let mut pings = tokio::time::interval(PING);
    loop {
        let message = tokio::select! {
            read = reader.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return (1000, "the machine stopped"),
                Ok(n) => Message::Binary(buffer[..n].to_vec().into()),
            },
            _ = pings.tick() => Message::Ping(Default::default()),
        };
        if sink.send(message).await.is_err() {
            return (1002, "the viewer's connection broke");
        }
    }
}

/// Close reasons hold at most 123 bytes.
fn close_frame(code: u16, reason: &str) -> CloseFrame {
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    CloseFrame { code, reason: reason[..end].into() }
}
