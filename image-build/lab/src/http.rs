//! A keep-alive HTTP client for the product's API: over TLS, or over the daemon's Unix socket.

use crate::tls;
use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::path::PathBuf;
use tokio::io::{AsyncRead, AsyncWrite};

/// Where the product answers.
#[derive(Debug, Clone)]
pub enum Target {
    /// `address:port` of its HTTPS listener.
    Tls(String),
    /// Its Unix socket, where root needs no login.
    Unix(PathBuf),
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Header fields.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {}", self.text()))
    }
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
    /// This answer when it is a success.
    ///
    /// # Errors
    /// When it is not; the message quotes the body.
    pub fn success(self) -> Result<Self> {
        if !self.status.is_success() {
            bail!("answered {}: {}", self.status, self.text());
        }
        Ok(self)
    }
}

/// One connection, made again when it broke. It remembers the cookies it is given.
#[derive(Debug)]
pub struct Http {
    target: Target,
    connection: Option<SendRequest<Full<Bytes>>>,
    cookies: Vec<(String, String)>,
    /// Header fields sent with every request.
    pub fields: Vec<(&'static str, String)>,
}

impl Http {
    /// A client of `target`; it connects at the first request.
    pub fn new(target: Target) -> Self {
        Self { target, connection: None, cookies: Vec::new(), fields: Vec::new() }
    }

    /// Sends one request and reads the answer to its end.
    ///
    /// # Errors
    /// When the product can't be reached or breaks off; a refusal is an answer.
    pub async fn send(&mut self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let content = body.map(|b| Bytes::from(b.to_string())).unwrap_or_default();
        let kind = body.map(|_| "application/json");
        self.send_bytes(method, path, kind, content).await
    }

    /// As [`Self::send`], with a body of any type.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn send_bytes(
        &mut self,
        method: Method,
        path: &str,
        kind: Option<&str>,
        body: Bytes,
    ) -> Result<Answer> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, self.host());
        if let Some(kind) = kind {
            request = request.header(CONTENT_TYPE, kind);
        }
        if !self.cookies.is_empty() {
            let pairs: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(COOKIE, pairs.join("; "));
        }
        for (name, value) in &self.fields {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(body)).context("building the request")?;
        let answer = self.connection().await?.send_request(request).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.connection = None;
                return Err(error).with_context(|| format!("asking {path}"));
            }
        };
        let (head, body) = answer.into_parts();
        let body = body.collect().await.with_context(|| format!("reading {path}"))?.to_bytes();
        self.remember(&head.headers);
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    /// GETs `path` as JSON.
    ///
    /// # Errors
    /// When it is refused, unreachable or not JSON.
    pub async fn get(&mut self, path: &str) -> Result<Value> {
        self.send(Method::GET, path, None).await?.success()?.json()
    }

    /// POSTs `body` and returns the answer's JSON (`null` when it has none).
    ///
    /// # Errors
    /// When it is refused, unreachable or not JSON.
    pub async fn post(&mut self, path: &str, body: &Value) -> Result<Value> {
        let answer = self.send(Method::POST, path, Some(body)).await?.success()?;
        if answer.body.is_empty() { Ok(Value::Null) } else { answer.json() }
    }

    fn host(&self) -> String {
        match &self.target {
            Target::Tls(address) => address.clone(),
            Target::Unix(_) => "localhost".into(),
        }
    }

    async fn connection(&mut self) -> Result<&mut SendRequest<Full<Bytes>>> {
        let usable = match &mut self.connection {
            Some(connection) => connection.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            self.connection = Some(match &self.target {
                Target::Tls(address) => open(tls::connect(address).await?).await?,
                Target::Unix(path) => {
                    let stream = tokio::net::UnixStream::connect(path).await;
                    open(stream.with_context(|| format!("connecting to {}", path.display()))?).await?
                }
            });
        }
        self.connection.as_mut().context("just connected")
    }

    fn remember(&mut self, headers: &HeaderMap) {
        for cookie in headers.get_all(SET_COOKIE).iter().filter_map(|v| v.to_str().ok()) {
            let pair = cookie.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.cookies.retain(|(known, _)| known != name.trim());
                self.cookies.push((name.trim().into(), value.trim().into()));
            }
        }
    }
}

async fn open<S>(stream: S) -> Result<SendRequest<Full<Bytes>>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await.context("speaking HTTP")?;
    tokio::spawn(async move {
        // A broken connection shows in the request that was under way.
        let _ = connection.await;
    });
    Ok(sender)
}
