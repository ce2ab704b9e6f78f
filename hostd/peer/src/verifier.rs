//! Whose certificates TLS accepts: those of members of the cluster, signed directly by an authority it lists.

use crate::PeerError;
use crate::age::{Age, judge};
use crate::certificate::{self, Member, Validity};
use crate::complaints::Complaints;
use crate::signatures::checks_signatures;
use hostd_types::{ClusterId, Timestamp};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DistinguishedName, Error, RootCertStore};
use std::sync::Arc;
use std::time::Duration;

/// Checks peers' certificates, on both ends of a connection.
#[derive(Debug)]
pub(crate) struct Members {
    cluster: ClusterId,
    /// How long our own certificate is valid; absent for a host that joins and has none: then nobody is refused for age.
    own: Option<Validity>,
    clients: Arc<dyn ClientCertVerifier>,
    servers: Arc<WebPkiServerVerifier>,
    algorithms: WebPkiSupportedAlgorithms,
    complaints: Arc<Complaints>,
}

impl Members {
    pub fn new(
        cluster: ClusterId,
        authorities: impl Iterator<Item = CertificateDer<'static>>,
        own: Option<Validity>,
        provider: Arc<CryptoProvider>,
        complaints: Arc<Complaints>,
    ) -> Result<Self, PeerError> {
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority).map_err(|e| PeerError::certificate("trusting an authority", e))?;
        }
        let (roots, algorithms) = (Arc::new(roots), provider.signature_verification_algorithms);
        let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build();
        let servers = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
        Ok(Self {
            cluster,
            own,
            clients: clients.map_err(|e| PeerError::certificate("trusting authorities", e))?,
            servers: servers.map_err(|e| PeerError::certificate("trusting authorities", e))?,
            algorithms,
            complaints,
        })
    }

    /// Whom the certificate names, if that is a member of this cluster.
    fn member(&self, end_entity: &CertificateDer<'_>) -> Result<Member, Error> {
        let member = certificate::member(end_entity).map_err(|_| CertificateError::NotValidForName)?;
        if member.cluster == self.cluster {
            Ok(member)
        } else {
            Err(CertificateError::NotValidForName.into())
        }
    }

    /// Judges the age of a certificate that is good otherwise.
    fn judge(&self, member: Member, now: UnixTime) -> Result<(), Error> {
        let now = Timestamp::from_unix(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        let Validity { starts, ends } = member.validity;
        let age = self.own.map_or(Age::Doubtful, |own| judge(now, own, member.validity));
        match age {
            Age::Valid => Ok(()),
            Age::Expired => Err(CertificateError::Expired.into()),
            Age::Doubtful if starts <= now && now <= ends => Ok(()),
            Age::Doubtful => {
                let detail = format!("its certificate holds from {starts} to {ends}; here it is {now}");
                self.complaints.say(member.node, "a clock is wrong, here or there", detail);
                Ok(())
            }
        }
    }
}

/// A moment at which the certificate is valid: its age is judged apart from its signature.
fn inside(member: Member) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(member.validity.starts.unix()).unwrap_or(0)))
}

impl ClientCertVerifier for Members {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let member = self.member(end_entity)?;
        let verified = self.clients.verify_client_cert(end_entity, &[], inside(member))?;
        self.judge(member, now).map(|()| verified)
    }
    checks_signatures!();
}

impl ServerCertVerifier for Members {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let member = self.member(end_entity)?;
        let at = inside(member);
        let verified = self.servers.verify_server_cert(end_entity, &[], server_name, ocsp_response, at)?;
        self.judge(member, now).map(|()| verified)
    }
    checks_signatures!();
}
