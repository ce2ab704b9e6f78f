//! A host that is asked over the network instead of its own socket: by its address, its certificate's fingerprint and an
//! API token, from any machine that has this program.

use super::Stop;
use crate::client::Failure;
use anyhow::{Context, anyhow, ensure};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Which host, and how both prove who they are.
#[derive(Debug, Clone, clap::Args)]
pub struct FarHost {
    /// Ask this host over the network, such as 192.0.2.1:8443, instead of the one this runs on
    #[arg(long, value_name = "ADDRESS:PORT", requires = "fingerprint", requires = "token_file")]
    host: Option<String>,
    /// SHA-256 fingerprint of its certificate, as its own screen shows it
    #[arg(long, value_name = "HEX", requires = "host")]
    fingerprint: Option<String>,
    /// File with an API token
    #[arg(long, value_name = "FILE", requires = "host")]
    token_file: Option<PathBuf>,
}

/// A host that can be asked.
pub struct Far {
    address: String,
    token: String,
    connector: TlsConnector,
}

impl FarHost {
    /// The host, if one is named.
    pub fn open(self) -> Result<Option<Far>, Stop> {
        let (Some(address), Some(fingerprint), Some(file)) = (self.host, self.fingerprint, self.token_file)
        else {
            return Ok(None);
        };
        let wanted: Vec<char> =
            fingerprint.chars().filter(|c| *c != ':').map(|c| c.to_ascii_lowercase()).collect();
        ensure_hex(&wanted)?;
        let token = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let provider = Arc::new(ring::default_provider());
        let pinned = Pinned { fingerprint: wanted.into_iter().collect(), provider: Arc::clone(&provider) };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("preparing TLS")?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pinned))
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Some(Far { address, token: token.trim().to_owned(), connector }))
    }
}

fn ensure_hex(digits: &[char]) -> anyhow::Result<()> {
    let is = digits.len() == 64 && digits.iter().all(char::is_ascii_hexdigit);
    ensure!(is, "a SHA-256 fingerprint has 64 hexadecimal digits");
    Ok(())
}

impl Far {
    /// Its address, as given.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The value of its header `Authorization`.
    pub fn authorization(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// A connection to it, proved by its fingerprint.
    pub async fn connect(&self) -> anyhow::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(&self.address)
            .await
            .with_context(|| format!("connecting to {}", self.address))?;
        tcp.set_nodelay(true)?;
        // The name is not looked at: the fingerprint is.
        let name = ServerName::try_from("quantix").context("a name")?;
        self.connector.connect(name, tcp).await.with_context(|| format!("proving {}", self.address))
    }

    /// Asks it for JSON.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Stop> {
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(self.connect().await?)).await.context("speaking HTTP")?;
        tokio::spawn(connection);
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.address)
            .header(AUTHORIZATION, self.authorization())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .context("the request")?;
        let response = sender.send_request(request).await.context("asking")?;
        let status = response.status();
        let bytes = response.into_body().collect().await.context("reading the answer")?.to_bytes();
        if status.is_success() {
            return Ok(serde_json::from_slice(&bytes).context("reading the answer")?);
        }
        match serde_json::from_slice(&bytes) {
            Ok(problem) => Err(Failure::Refused(problem).into()),
            Err(_) => Err(anyhow!("HTTP status {status}").into()),
        }
    }
}

/// Takes the one certificate with this fingerprint, and checks that the host holds its key.
#[derive(Debug)]
struct Pinned {
    fingerprint: String,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found: String = Sha256::digest(shown).iter().map(|b| format!("{b:02x}")).collect();
        match found == self.fingerprint {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
        }
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
