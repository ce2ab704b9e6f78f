//! The accepting end: who connects proves itself, is asked for its purpose, and is served.

use crate::certificate;
use crate::credentials::{ALPN, Credentials};
use crate::dial::tune;
use crate::error::Refusal;
use crate::frame::{self, Body, Frame, FrameError, GREETING_MOST, MOST, Purpose, VERSION};
use crate::greeting;
use crate::link::Lane;
use crate::outgoing::{self, IN_FLIGHT, Outgoing, SILENCE};
use crate::places::Place;
use crate::shared::Shared;
use crate::stream::{Door, PeerStream};
use futures_util::FutureExt;
use hostd_types::NodeId;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{interval, sleep, timeout};
use tokio_rustls::server::TlsStream;

/// Time for a connection to prove itself and greet.
const PROOF: Duration = Duration::from_secs(10);
/// Time for a last frame to go out.
const FAREWELL: Duration = Duration::from_secs(1);
/// How often it is asked whether a connected node is still a member.
const RECHECK: Duration = Duration::from_secs(1);
/// Pause when the system has no connection to give, out of file descriptors for one.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// A member that connected.
struct Guest {
    node: NodeId,
    purpose: Purpose,
    io: TlsStream<TcpStream>,
    credentials: Arc<Credentials>,
    place: Place<NodeId>,
}

/// Why a connection was not accepted, for the log.
struct Rejected {
    who: String,
    reason: &'static str,
    detail: String,
}

/// Accepts connections until the link stops.
pub(crate) async fn listen(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (tcp, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                shared.complaints.say(shared.local, "can't accept connections of other hosts", error);
                sleep(EXHAUSTED).await;
                continue;
            }
        };
        let from = from.ip().to_canonical();
        let Some(place) = shared.strangers.enter(from) else {
            shared.complaints.say(
                from,
                "refused a host",
                "too many connections that did not prove themselves",
            );
            continue;
        };
        let own = shared.clone();
        shared.tasks.spawn(async move {
            let stop = own.stop.clone();
            tokio::select! {
                () = stop.cancelled() => {}
                () = receive(own, tcp, from, place) => {}
            }
        });
    }
}

async fn receive(shared: Arc<Shared>, tcp: TcpStream, from: IpAddr, place: Place<IpAddr>) {
    let late = || Rejected {
        who: from.to_string(),
        reason: "refused a host",
        detail: format!("it did not prove itself within {} s", PROOF.as_secs()),
    };
    let greeted = timeout(PROOF, greet(&shared, tcp, from)).await.unwrap_or_else(|_| Err(late()));
    drop(place);
    match greeted {
        Ok(guest) => serve(shared, guest).await,
        Err(Rejected { who, reason, detail }) => shared.complaints.say(who, reason, detail),
    }
}

async fn greet(shared: &Shared, tcp: TcpStream, from: IpAddr) -> Result<Guest, Rejected> {
    let reject = |reason, detail: &dyn std::fmt::Display| Rejected {
        who: from.to_string(),
        reason,
        detail: detail.to_string(),
    };
    let Some(credentials) = shared.credentials() else {
        return Err(reject("refused a host", &"this host is not a member of a cluster at the moment"));
    };
    tune(&tcp).map_err(|e| reject("lost a host that connected", &e))?;
    let mut io = credentials
        .acceptor
        .accept(tcp)
        .await
        .map_err(|e| reject("refused a host that did not prove to be a member", &e))?;
    let (node, alpn) = {
        let tls = io.get_ref().1;
        let leaf = tls.peer_certificates().and_then(<[_]>::first);
        let member = leaf.and_then(|leaf| certificate::member(leaf).ok());
        (member.map(|member| member.node), tls.alpn_protocol() == Some(ALPN))
    };
    let (Some(node), true) = (node, alpn) else {
        return Err(reject("refused a host that does not speak the protocol of peers", &"no name of it"));
    };
    let hello = frame::read(&mut io, GREETING_MOST, PROOF).await;
    let hello = hello.map_err(|e| reject("refused a host that did not greet", &e))?;
    let judged = greeting::judge(hello, &credentials)
        .and_then(|greeting| shared.serve.admits(node).map(|()| greeting))
        .and_then(|greeting| match shared.guests.enter(node) {
            Some(place) => Ok((greeting, place)),
            None => Err(Refusal { removed: false, text: "too many connections of this host".into() }),
        });
    let ((purpose, port), place) = match judged {
        Ok(judged) => judged,
        Err(Refusal { removed, text }) => {
            let _gone_already = farewell(&mut io, removed, &text).await;
            let who = format!("{from} (node {node})");
            return Err(Rejected { who, reason: "refused a member's host", detail: text });
        }
    };
    greeting::send(&mut io, &Frame::Welcome { version: VERSION })
        .await
        .map_err(|e| reject("lost a host that connected", &e))?;
    if port != 0 {
        shared.book().learn(node, SocketAddr::new(from, port));
    }
    shared.hear(node);
    shared.pool.nudge(node);
    Ok(Guest { node, purpose, io, credentials, place })
}

async fn farewell(io: &mut TlsStream<TcpStream>, removed: bool, text: &str) -> Result<(), FrameError> {
    let refused = Frame::Refused { removed, text: text.to_owned() };
    let say = async {
        greeting::send(io, &refused).await?;
        Ok(io.shutdown().await?)
    };
    timeout(FAREWELL, say).await.unwrap_or(Ok(()))
}

async fn serve(shared: Arc<Shared>, guest: Guest) {
    let epoch = guest.credentials.epoch.clone();
    let purpose = guest.purpose;
    let serving = async {
        match purpose {
            Purpose::Consensus => serve_calls(&shared, guest, Lane::Consensus).await,
            Purpose::Work => serve_calls(&shared, guest, Lane::Work).await,
            Purpose::Stream => serve_stream(&shared, guest).await,
        }
    };
    tokio::select! {
        () = epoch.cancelled() => {}
        () = serving => {}
    }
}

/// Ends when the node is not admitted any more.
async fn dismissed(shared: &Shared, node: NodeId) -> Refusal {
    let mut ticks = interval(RECHECK);
    loop {
        ticks.tick().await;
        if let Err(refusal) = shared.serve.admits(node) {
            return refusal;
        }
    }
}

async fn serve_calls(shared: &Arc<Shared>, guest: Guest, lane: Lane) {
    let Guest { node, io, place: _place, .. } = guest;
    let (reading, writing) = tokio::io::split(io);
    let (out, frames) = Outgoing::channel();
    let mut writing = pin!(outgoing::write(writing, frames));
    tokio::select! {
        _ended = &mut writing => {}
        error = answer(shared, node, lane, reading, &out) => match error {
            FrameError::TooLong(..) | FrameError::Senseless(_) => {
                shared.complaints.say(node, "hung up on a member", error);
            }
            FrameError::Silent(_) | FrameError::Closed | FrameError::Io(_) => {
                tracing::debug!(%node, ?lane, %error, "a connection ended");
            }
        },
        Refusal { removed, text } = dismissed(shared, node) => {
            shared.complaints.say(node, "refused a member's host", &text);
            let say = async {
                let _too_long = out.end_with(&Frame::Refused { removed, text }).await;
                let _gone_already = writing.await;
            };
            let _late = timeout(FAREWELL, say).await;
        }
    }
}

/// Reads calls and has them answered side by side; stops reading while too many are.
async fn answer<R: AsyncRead + Unpin>(
    shared: &Arc<Shared>,
    node: NodeId,
    lane: Lane,
    mut io: R,
    out: &Outgoing,
) -> FrameError {
    let in_flight = Arc::new(Semaphore::new(IN_FLIGHT));
    loop {
        let frame = match frame::read(&mut io, MOST, SILENCE).await {
            Ok(frame) => frame,
            Err(error) => return error,
        };
        shared.hear(node);
        let (id, Body(body)) = match frame {
            Frame::Alive => continue,
            Frame::Call { id, body } => (id, body),
            Frame::Hello { .. }
            | Frame::Welcome { .. }
            | Frame::Refused { .. }
            | Frame::Answer { .. }
            | Frame::Failed { .. }
            | Frame::Open { .. }
            | Frame::Accepted => return FrameError::Senseless("it does not belong here".into()),
        };
        let places = in_flight.clone().acquire_many_owned(outgoing::places(body.len())).await;
        let (out, stop) = (out.clone(), shared.stop.clone());
        let work = AssertUnwindSafe(shared.serve.call(node, lane, body)).catch_unwind();
        shared.tasks.spawn(async move {
            let _places = places;
            let answered = tokio::select! {
                () = stop.cancelled() => return,
                answered = work => answered,
            };
            let frame = match answered {
                Ok(body) => Frame::Answer { id, body: Body(body) }.encode(),
                Err(_panic) => Frame::Failed { id, text: "an internal fault".into() }.encode(),
            };
            let frame = frame.or_else(|e| Frame::Failed { id, text: e.to_string() }.encode());
            if let Ok(frame) = frame {
                out.send(frame).await;
            }
        });
    }
}

async fn serve_stream(shared: &Arc<Shared>, guest: Guest) {
    let Guest { node, mut io, credentials, place, .. } = guest;
    let body = match frame::read(&mut io, MOST, PROOF).await {
        Ok(Frame::Open { body: Body(body) }) => body,
        Ok(other) => return shared.complaints.say(node, "hung up on a member", format!("{other:?}")),
        Err(error) => return shared.complaints.say(node, "hung up on a member", error),
    };
    let stream = PeerStream::new(io, &credentials.epoch, Some(place));
    tokio::select! {
        () = shared.serve.stream(node, body, Door::new(stream)) => {}
        Refusal { text, .. } = dismissed(shared, node) => {
            shared.complaints.say(node, "refused a member's host", &text);
        }
    }
}
