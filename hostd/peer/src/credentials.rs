//! An identity in use: what TLS needs of it, and how long connections made under it may live.

use crate::certificate;
use crate::complaints::Complaints;
use crate::verifier::Members;
use crate::{Identity, PeerError};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};
use std::sync::Arc;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::CancellationToken;

/// The protocol's name in TLS.
pub(crate) const ALPN: &[u8] = b"quantix-peer/1";

/// An identity with the TLS settings it yields.
pub(crate) struct Credentials {
    pub identity: Identity,
    pub acceptor: TlsAcceptor,
    pub connector: TlsConnector,
    /// Ends when connections made under this identity must end.
    pub epoch: CancellationToken,
}

impl Credentials {
    /// Puts an identity to use; its connections end with `epoch`.
    pub fn new(
        identity: Identity,
        complaints: &Arc<Complaints>,
        epoch: CancellationToken,
    ) -> Result<Self, PeerError> {
        let wrong = |e| PeerError::certificate("using this host's certificate", e);
        let members = Arc::new(members(&identity, complaints)?);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // Peers know the authority: only the member's own certificate is shown.
        let chain: Vec<_> = certificate::chain(identity.chain_pem())?.into_iter().take(1).collect();
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(wrong)?
            .with_client_cert_verifier(members.clone())
            .with_single_cert(chain.clone(), key(&identity)?)
            .map_err(wrong)?;
        server.alpn_protocols = vec![ALPN.to_vec()];
        // A resumed session would not show its certificate again.
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(wrong)?
            .dangerous()
            .with_custom_certificate_verifier(members)
            .with_client_auth_cert(chain, key(&identity)?)
            .map_err(wrong)?;
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.resumption = Resumption::disabled();
        let (acceptor, connector) =
            (TlsAcceptor::from(Arc::new(server)), TlsConnector::from(Arc::new(client)));
        Ok(Self { identity, acceptor, connector, epoch })
    }

    /// Whether connections made under this identity are as good under `next`: the same member in the same generation,
    /// and nobody is trusted less.
    pub fn lasts_into(&self, next: &Identity) -> bool {
        let own = &self.identity;
        let same =
            (own.cluster(), own.node(), own.generation()) == (next.cluster(), next.node(), next.generation());
        same && own.authorities().iter().all(|authority| next.authorities().contains(authority))
    }
}

/// Checks that peers will accept the identity and that its parts fit together.
pub(crate) fn check(identity: &Identity) -> Result<(), PeerError> {
    let complaints = Arc::default();
    let leaf = &certificate::chain(identity.chain_pem())?[0];
    let starts = identity.validity().starts.unix();
    let starts = std::time::Duration::from_secs(u64::try_from(starts).unwrap_or(0));
    members(identity, &complaints)?
        .verify_client_cert(leaf, &[], UnixTime::since_unix_epoch(starts))
        .map_err(|e| PeerError::certificate("checking this host's certificate", e))?;
    Credentials::new(identity.clone(), &complaints, CancellationToken::new()).map(|_| ())
}

fn members(identity: &Identity, complaints: &Arc<Complaints>) -> Result<Members, PeerError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut authorities = Vec::new();
    for authority in identity.authorities() {
        authorities.extend(certificate::chain(authority)?);
    }
    Members::new(
        identity.cluster(),
        authorities.into_iter(),
        Some(identity.validity()),
        provider,
        complaints.clone(),
    )
}

fn key(identity: &Identity) -> Result<PrivateKeyDer<'static>, PeerError> {
    PrivateKeyDer::from_pem_slice(identity.key_pem().as_bytes())
        .map_err(|e| PeerError::certificate("reading this host's key", e))
}
