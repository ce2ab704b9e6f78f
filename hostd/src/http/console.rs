//! `/api/v1/console`: the bytes of a machine's screen (RFB) or serial port over a WebSocket.

use super::answer::Answer;
use super::body::Params;
use super::credential::Credential;
use super::layers::Closing;
use super::problem::Fault;
use axum::Extension;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hostd_core::{Caller, ConsoleKind, ConsoleMode, ConsoleStream, Core, Desk, Duplex, Viewer};
use hostd_edge::{Client, Guest, Who, same_origin};
use hostd_types::{ConsoleLinkId, Problem, ProblemKind, ViewerId};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How often an idle connection is probed.
const PING: Duration = Duration::from_secs(20);
/// A peer that sent nothing for so long, not even answers to pings, is gone.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Most bytes of one frame from the browser.
const FRAME_MAX: usize = 1 << 20;

/// The protocol with text frames beside the bytes: who is there, and control. Without it there are bytes alone.
const TOLD: &str = "quantix.console";

/// Why a connection ends: the close code and its words.
type End = (u16, String);

#[derive(Deserialize)]
struct TicketParam {
    ticket: String,
}

/// What a link opens.
#[derive(Deserialize)]
pub struct SharedParam {
    console: ConsoleKind,
    #[serde(default)]
    mode: ConsoleMode,
    /// The link whose machine the page shows.
    #[serde(default)]
    link: Option<ConsoleLinkId>,
}

/// What the viewer's page is told.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Tell<'a> {
    /// Who is there, and which of them it is.
    Viewers { you: ViewerId, all: &'a [Viewer] },
    /// Why there is no console.
    Problem(&'a Problem),
}

/// What the viewer's page asks for.
#[derive(Deserialize)]
struct Wish {
    mode: ConsoleMode,
}

/// `GET /api/v1/console?ticket=…`: redeems the ticket and connects. Browsers can't read a refused handshake, so a ticket that
/// is not valid is told as a close code, 4000 plus the HTTP status.
pub async fn open(
    State(core): State<Core>,
    Who(ctx): Who,
    Extension(Closing(closing)): Extension<Closing>,
    request: Request,
) -> Answer<Response> {
    // A cookie is sent along by any page of any site; a WebSocket is not covered by CORS.
    let ambient = matches!(&ctx.caller, Caller::User { session: Some(_), .. });
    let (parts, upgrade) = upgrade(request, ambient).await?;
    let ticket = axum::extract::Query::<TicketParam>::try_from_uri(&parts.uri)
        .map_err(|_| Fault::unreadable(StatusCode::BAD_REQUEST, "The parameter ticket is needed."))?;
    // Listening begins before the answer, so that no end of the session is missed.
    let ended = ended(Credential::of(&ctx), &core, closing);
    let told = is_told(&upgrade);
    let opening = async move { core.open_console(&ticket.0.ticket).await };
    Ok(upgrade.on_upgrade(async move |socket| serve(opening, told, ended, socket).await))
}

/// `GET /api/v1/shared/console?console=…`: the same for whoever opened a link, without a ticket.
pub async fn open_shared(
    State(core): State<Core>,
    Guest(link): Guest,
    client: Client,
    Extension(Closing(closing)): Extension<Closing>,
    Params(asked): Params<SharedParam>,
    request: Request,
) -> Answer<Response> {
    let (_, upgrade) = upgrade(request, true).await?;
    if asked.link.is_some_and(|shown| shown != link.id) {
        // The page of one machine must not type into another one.
        let detail = "Another link was opened in this browser since; load this page again to use that one.";
        return Err(Problem::new(ProblemKind::Conflict, detail).into());
    }
    let ended = ended(Credential::of_link(&link), &core, closing);
    let told = is_told(&upgrade);
    let opening = async move { core.open_shared(&link, asked.console, asked.mode, client.address).await };
    Ok(upgrade.on_upgrade(async move |socket| serve(opening, told, ended, socket).await))
}

async fn upgrade(request: Request, ambient: bool) -> Answer<(Parts, WebSocketUpgrade)> {
    let (mut parts, _) = request.into_parts();
    match same_origin(&parts) {
        Some(true) => {}
        None if !ambient => {}
        Some(false) | None => {
            let detail = "A console can be opened only by this host's own pages.";
            return Err(Problem::new(ProblemKind::Forbidden, detail).into());
        }
    }
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
        .await
        .map_err(|_| Fault::unreadable(StatusCode::BAD_REQUEST, "This address speaks WebSocket only."))?;
    Ok((parts, upgrade.protocols([TOLD, "binary"]).max_message_size(FRAME_MAX).max_frame_size(FRAME_MAX)))
}

fn is_told(upgrade: &WebSocketUpgrade) -> bool {
    upgrade.selected_protocol().is_some_and(|protocol| protocol == TOLD)
}

fn ended(
    credential: Credential,
    core: &Core,
    closing: CancellationToken,
) -> impl Future<Output = End> + use<> {
    let changes = core.changes();
    async move {
        tokio::select! {
            () = credential.ended(changes) => (4401, "what this console was opened with is over: session, token or link".into()),
            () = closing.cancelled() => (1001, "the host's daemon is restarting".into()),
        }
    }
}

async fn serve(
    opening: impl Future<Output = Result<ConsoleStream, Problem>>,
    told: bool,
    ended: impl Future<Output = End>,
    mut socket: WebSocket,
) {
    match opening.await {
        Ok(ConsoleStream { io, desk }) => {
            let (vm, kind) = (desk.vm(), desk.kind());
            tracing::info!(%vm, ?kind, "console opened");
            let why = relay(socket, io, desk, told, ended).await;
            tracing::info!(%vm, ?kind, why, "console closed");
        }
        Err(problem) => {
            let close = close_frame(4000 + problem.kind.status(), &problem.detail);
            // The browser may be gone already; nobody else needs to know.
            if told {
                let _ = socket.send(tell(&Tell::Problem(&problem))).await;
            }
            let _ = socket.send(Message::Close(Some(close))).await;
        }
    }
}

fn tell(what: &Tell<'_>) -> Message {
    Message::Text(serde_json::to_string(what).unwrap_or_default().into())
}

/// Carries bytes both ways until either side or `ended` ends. Each direction waits for its own receiver, so a slow browser slows the
/// machine's output and not the host's memory.
async fn relay(
    socket: WebSocket,
    io: Box<dyn Duplex>,
    desk: Desk,
    told: bool,
    ended: impl Future<Output = End>,
) -> String {
    let (mut sink, source) = socket.split();
    let (reader, writer) = split(io);
    let (notes, noted) = mpsc::channel(4);
    let (mut follower, mut stopped) = (desk.clone(), false);
    let follow = async move {
        if told {
            loop {
                let you = follower.viewer();
                let all = follower.viewers().await;
                if notes.send(tell(&Tell::Viewers { you, all })).await.is_err() {
                    break;
                }
            }
        }
        std::future::pending().await
    };
    let (code, why) = tokio::select! {
        end = to_machine(source, writer, told.then_some(&desk)) => end.unwrap_or_else(|| { stopped = true; End::default() }),
        end = to_browser(&mut sink, reader, noted) => end.unwrap_or_else(|| { stopped = true; End::default() }),
        end = ended => end,
        end = follow => end,
    };
    let problem = if stopped { desk.why_ended().await } else { None };
    let (code, why) = match &problem {
        Some(problem) => (4000 + problem.kind.status(), problem.detail.clone()),
        None if stopped => (1000, "the machine stopped".into()),
        None => (code, why),
    };
    let closed = async {
        if told && let Some(problem) = &problem {
            sink.send(tell(&Tell::Problem(problem))).await?;
        }
        sink.send(Message::Close(Some(close_frame(code, &why)))).await?;
        sink.close().await
    };
    // A dead peer must not hold the task.
    let _ = timeout(Duration::from_secs(5), closed).await;
    why
}

/// Ends with nothing when it is the machine that ended.
async fn to_machine(
    mut source: SplitStream<WebSocket>,
    mut writer: WriteHalf<Box<dyn Duplex>>,
    told: Option<&Desk>,
) -> Option<End> {
    loop {
        let bytes = match timeout(SILENCE_MAX, source.next()).await {
            Ok(Some(Ok(Message::Binary(bytes)))) => bytes,
            Ok(Some(Ok(Message::Text(text)))) => match told {
                None => text.into(),
                Some(desk) => {
                    if let Ok(Wish { mode }) = serde_json::from_str(&text)
                        && let Err(problem) = desk.set(mode).await
                    {
                        tracing::info!(%problem, "control of a console was refused");
                    }
                    continue;
                }
            },
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
            Ok(None | Some(Ok(Message::Close(_)))) => return Some((1000, "closed by the viewer".into())),
            Ok(Some(Err(_))) => return Some((1002, "the viewer's connection broke".into())),
            Err(_) => return Some((1001, "the viewer does not answer".into())),
        };
        if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
            return None;
        }
    }
}

async fn to_browser(
    sink: &mut SplitSink<WebSocket, Message>,
    mut reader: ReadHalf<Box<dyn Duplex>>,
    mut noted: mpsc::Receiver<Message>,
) -> Option<End> {
    let mut buffer = vec![0; 64 * 1024];
    let mut pings = tokio::time::interval(PING);
    loop {
        let message = tokio::select! {
            read = reader.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return None,
                Ok(n) => Message::Binary(buffer[..n].to_vec().into()),
            },
            Some(note) = noted.recv() => note,
            _ = pings.tick() => Message::Ping(Default::default()),
        };
        if sink.send(message).await.is_err() {
            return Some((1002, "the viewer's connection broke".into()));
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
