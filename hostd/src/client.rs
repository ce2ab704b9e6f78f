//! A client of the API over the Unix socket, for `qx` and the local console.

use crate::http::problem::ProblemDetails;
use anyhow::Context;
use futures_util::TryStreamExt;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;

/// Why a request came to nothing.
#[derive(Debug)]
pub enum Failure {
    /// The daemon can't be reached.
    Unreachable(anyhow::Error),
    /// It refused.
    Refused(Box<ProblemDetails>),
    /// It answered something this program can't read.
    Unclear(anyhow::Error),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Unreachable(why) => write!(f, "hostd can't be reached: {why:#}"),
            Failure::Refused(problem) => f.write_str(&problem.detail),
            Failure::Unclear(why) => write!(f, "the answer can't be read: {why:#}"),
        }
    }
}

impl std::error::Error for Failure {}

type Body = BoxBody<Bytes, io::Error>;

/// The daemon behind one Unix socket. Every request opens a connection of its own.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// The daemon behind `socket`.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Where the socket is.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Reads something.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask(Method::GET, path, None::<&()>).await
    }

    /// Sends a request with a JSON body, if there is one, and reads the answer's.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Failure> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, "localhost");
        let bytes = match body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                serde_json::to_vec(body).map_err(|e| Failure::Unclear(e.into()))?
            }
            None => Vec::new(),
        };
        let body = Full::new(Bytes::from(bytes)).map_err(|never| match never {}).boxed();
        let response = self.send(request.body(body).map_err(|e| Failure::Unclear(e.into()))?).await?;
        read(response).await
    }

    /// Uploads `bytes` bytes of `content`.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn upload<T: DeserializeOwned>(
        &self,
        path: &str,
        content: impl tokio::io::AsyncRead + Send + Sync + 'static,
        bytes: u64,
    ) -> Result<T, Failure> {
        let chunks = tokio_util::io::ReaderStream::with_capacity(content, 256 * 1024).map_ok(Frame::data);
        let request = Request::post(path)
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, bytes)
            .body(BodyExt::boxed(StreamBody::new(chunks)))
            .map_err(|e| Failure::Unclear(e.into()))?;
        read(self.send(request).await?).await
    }

    /// Opens the stream of changes; it is followed from the moment this returns.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn changes(&self) -> Result<Changes, Failure> {
        let empty = Full::new(Bytes::new()).map_err(|never| match never {}).boxed();
        let request = Request::get("/api/v1/events")
            .header(HOST, "localhost")
            .header(ACCEPT, "text/event-stream")
            .body(empty)
            .map_err(|e| Failure::Unclear(e.into()))?;
        let response = self.send(request).await?;
        if !response.status().is_success() {
            return read(response)
                .await
                .and_then(|(): ()| Err(Failure::Unclear(anyhow::anyhow!("no stream"))));
        }
        Ok(Changes { body: response.into_body(), text: String::new() })
    }

    /// Sends any request.
    ///
    /// # Errors
    /// The daemon can't be reached or breaks off.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, Failure> {
        let connect = async {
            let stream = UnixStream::connect(&self.socket)
                .await
                .with_context(|| format!("connecting to {}", self.socket.display()))?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            anyhow::Ok(sender)
        };
        let mut sender = connect.await.map_err(Failure::Unreachable)?;
        sender.send_request(request).await.map_err(|e| Failure::Unreachable(e.into()))
    }
}

async fn read<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T, Failure> {
    let status = response.status();
    let body = response.into_body().collect().await.map_err(|e| Failure::Unreachable(e.into()))?.to_bytes();
    if status.is_success() {
        let text: &[u8] = if status == StatusCode::NO_CONTENT { b"null" } else { &body };
        return serde_json::from_slice(text).map_err(|e| Failure::Unclear(e.into()));
    }
    match serde_json::from_slice(&body) {
        Ok(problem) => Err(Failure::Refused(problem)),
        Err(_) => Err(Failure::Unclear(anyhow::anyhow!("HTTP status {status}"))),
    }
}

/// The stream of changes.
pub struct Changes {
    body: Incoming,
    text: String,
}

impl Changes {
    /// Waits for the next message: a change, or `None` when any may have been missed.
    ///
    /// # Errors
    /// The stream ended.
    pub async fn next(&mut self) -> Result<Option<hostd_types::Change>, Failure> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let message: String = self.text.drain(..end + 2).collect();
                if message.contains("event: resync") || message.contains("event: ready") {
                    return Ok(None);
                }
                let data = message.lines().find_map(|l| l.strip_prefix("data:"));
                if let Some(change) = data.and_then(|d| serde_json::from_str(d.trim()).ok()) {
                    return Ok(Some(change));
                }
                continue;
            }
            let frame = self.body.frame().await;
            let ended = || Failure::Unreachable(anyhow::anyhow!("the stream of changes ended"));
            let frame = frame.ok_or_else(ended)?.map_err(|e| Failure::Unreachable(e.into()))?;
            if let Ok(data) = frame.into_data() {
                self.text.push_str(&String::from_utf8_lossy(&data));
            }
        }
    }
}
