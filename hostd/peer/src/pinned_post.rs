//! HTTPS to a host of a cluster of which only the authority's fingerprint is known: what a host does that wants to join.
//!
//! The other side shows a member's certificate and its authority's. The authority must have the fingerprint and must have
//! signed the member's certificate, which must be of the cluster. Dates are not refused here: this host has no
//! certificate yet against which to judge its own clock (see the module `age`).

use crate::certificate::{fingerprint_of, join_name, server_name};
use crate::complaints::Complaints;
use crate::dial::race;
use crate::signatures::checks_signatures;
use crate::verifier::Members;
use crate::{Fingerprint, LinkError, PeerError};
use hostd_types::ClusterId;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use rustls::client::Resumption;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::version::TLS13;
use rustls::{CertificateError, ClientConfig, Error};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Bytes of an answer at most.
const ANSWER_MOST: usize = 4 << 20;

/// Posts JSON to `path` of the first of `addresses` that proves to be a host of `cluster`, and reads the JSON it answers,
/// with the status. `authority` is what must have signed its certificate; without one any authority will do, so the request
/// may hold nothing that is of use to others, and the answer must prove itself. All of it takes `within` at most. The request
/// is sent once: a failure after that is not repeated elsewhere.
///
/// # Errors
/// No address leads to a host of the cluster, or it gives no usable answer in time.
pub async fn post(
    addresses: &[SocketAddr],
    cluster: ClusterId,
    authority: Option<Fingerprint>,
    path: &str,
    body: &Value,
    within: Duration,
) -> Result<(u16, Value), PeerError> {
    let work = async {
        let connector = connector(cluster, authority)?;
        let name = server_name(join_name(cluster))?;
        let connected = race(addresses.to_vec(), |address| connect(&connector, &name, address)).await;
        let (address, io) = connected.map_err(|e| match e {
            LinkError::Unreachable(why) => PeerError::Unreachable(why),
            other => PeerError::Unreachable(other.to_string()),
        })?;
        let why = |why: String| PeerError::Answer { address, why };
        exchange(io, cluster, path, body).await.map_err(why)
    };
    tokio::time::timeout(within, work).await.map_err(|_| PeerError::Late(within.as_secs()))?
}

async fn connect(
    connector: &TlsConnector,
    name: &ServerName<'static>,
    address: SocketAddr,
) -> Result<TlsStream<TcpStream>, LinkError> {
    let failed = |e: std::io::Error| LinkError::Unreachable(e.to_string());
    let tcp = TcpStream::connect(address).await.map_err(failed)?;
    tcp.set_nodelay(true).map_err(failed)?;
    connector.connect(name.clone(), tcp).await.map_err(failed)
}

async fn exchange(
    io: TlsStream<TcpStream>,
    cluster: ClusterId,
    path: &str,
    body: &Value,
) -> Result<(u16, Value), String> {
    let told = |e: &dyn std::error::Error| e.to_string();
    let request = hyper::Request::post(path)
        .header(HOST, join_name(cluster))
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(|e| told(&e))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(|e| told(&e))?;
    let ask = async {
        let response = sender.send_request(request).await.map_err(|e| told(&e))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_MOST).collect().await;
        let body = body.map_err(|e| e.to_string())?.to_bytes();
        if body.is_empty() {
            return Ok((status, Value::Null));
        }
        let answer = serde_json::from_slice(&body);
        answer.map(|answer| (status, answer)).map_err(|_| format!("status {status}, and no JSON"))
    };
    // The connection makes progress only while it is polled; it ends with the answer.
    tokio::pin!(ask);
    tokio::select! {
        answer = &mut ask => answer,
        ended = connection => match ended {
            Ok(()) => ask.await,
            Err(error) => Err(told(&error)),
        },
    }
}

fn connector(cluster: ClusterId, authority: Option<Fingerprint>) -> Result<TlsConnector, PeerError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let pinned = Pinned { cluster, authority, provider: provider.clone(), algorithms };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|e| PeerError::certificate("setting up TLS", e))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Trusts the one authority that has the fingerprint, whoever shows it; without a fingerprint the one that is shown.
#[derive(Debug)]
struct Pinned {
    cluster: ClusterId,
    authority: Option<Fingerprint>,
    provider: Arc<CryptoProvider>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authority = intermediates
            .last()
            .filter(|last| self.authority.is_none_or(|pinned| fingerprint_of(last) == pinned));
        let authority = authority.ok_or(CertificateError::UnknownIssuer)?.clone().into_owned();
        let complaints = Arc::<Complaints>::default();
        let trusted = std::iter::once(authority);
        Members::new(self.cluster, trusted, None, self.provider.clone(), complaints)
            .map_err(|_| CertificateError::UnknownIssuer)?
            // Members' certificates are for both ends of a connection; which member this is doesn't matter here.
            .verify_client_cert(end_entity, &[], now)?;
        Ok(ServerCertVerified::assertion())
    }
    checks_signatures!();
}
