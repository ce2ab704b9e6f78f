//! Reading certificates: whose they are, from when to when, and their fingerprint.

use crate::PeerError;
use hostd_types::{ClusterId, NodeId, Timestamp};
use rcgen::{CertificateSigningRequestParams, SanType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, ServerName};
use std::fmt;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// SHA-256 of a certificate's DER encoding.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// From when to when a certificate holds, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// From when.
    pub starts: Timestamp,
    /// Until when.
    pub ends: Timestamp,
}

/// Whom a member's certificate names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    pub cluster: ClusterId,
    pub node: NodeId,
    pub validity: Validity,
}

/// The only name in a member's certificate.
pub fn member_name(cluster: ClusterId, node: NodeId) -> String {
    format!("node-{node}.{cluster}.internal")
}

/// The name that a host asks for when it wants to join: the site's listener answers to it with the member's certificate.
pub fn join_name(cluster: ClusterId) -> String {
    format!("join.{cluster}.internal")
}

/// The name of a member as TLS wants it.
pub(crate) fn server_name(name: String) -> Result<ServerName<'static>, PeerError> {
    ServerName::try_from(name).map_err(|e| PeerError::certificate("naming a peer", e))
}

/// The fingerprint of the first certificate in a PEM text.
///
/// # Errors
/// There is no certificate in it.
pub fn fingerprint(pem: &str) -> Result<Fingerprint, PeerError> {
    Ok(fingerprint_of(&first(pem)?))
}

pub(crate) fn fingerprint_of(der: &CertificateDer<'_>) -> Fingerprint {
    digest(der)
}

fn digest(bytes: &[u8]) -> Fingerprint {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    Fingerprint(bytes)
}

/// From when to when the first certificate in a PEM text holds.
///
/// # Errors
/// There is no certificate in it.
pub fn validity(pem: &str) -> Result<Validity, PeerError> {
    validity_of(&parsed(&first(pem)?)?)
}

/// All certificates in a PEM text, in their order; at least one.
pub(crate) fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, PeerError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let all = all.map_err(|e| PeerError::certificate("reading certificates", e))?;
    if all.is_empty() {
        return Err(PeerError::certificate("reading certificates", "there are none"));
    }
    Ok(all)
}

fn first(pem: &str) -> Result<CertificateDer<'static>, PeerError> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|e| PeerError::certificate("reading a certificate", e))
}

/// Whom a certificate names. Who signed it is not looked at.
pub(crate) fn member(der: &CertificateDer<'_>) -> Result<Member, PeerError> {
    let wrong = |why: &str| PeerError::certificate("reading a member's certificate", why);
    let certificate = parsed(der)?;
    let names = certificate.subject_alternative_name().map_err(|e| wrong(&e.to_string()))?;
    let names = names.ok_or_else(|| wrong("it names nobody"))?;
    let [GeneralName::DNSName(name)] = names.value.general_names.as_slice() else {
        return Err(wrong("it does not have exactly one DNS name"));
    };
    let (node, cluster) = name
        .strip_prefix("node-")
        .and_then(|rest| rest.strip_suffix(".internal"))
        .and_then(|rest| rest.split_once('.'))
        .ok_or_else(|| wrong("its name is not a member's"))?;
    let node: NodeId = node.parse().map_err(|_| wrong("its name is not a member's"))?;
    let cluster: ClusterId = cluster.parse().map_err(|_| wrong("its name is not a member's"))?;
    if *name != member_name(cluster, node) {
        return Err(wrong("its name is written in another way than members' are"));
    }
    Ok(Member { cluster, node, validity: validity_of(&certificate)? })
}

/// The fingerprint of a certificate's public key, as it stands in the certificate.
pub(crate) fn key_of(der: &CertificateDer<'_>) -> Result<Fingerprint, PeerError> {
    Ok(digest(parsed(der)?.public_key().raw))
}

/// The fingerprint of the public key of a request that is signed by it.
pub(crate) fn key_of_request(csr_pem: &str) -> Result<Fingerprint, PeerError> {
    let wrong = |why: &dyn fmt::Display| PeerError::certificate("reading a request for a certificate", why);
    let der = CertificateSigningRequestDer::from_pem_slice(csr_pem.as_bytes()).map_err(|e| wrong(&e))?;
    // Reading checks the signature.
    CertificateSigningRequestParams::from_der(&der).map_err(|e| wrong(&e))?;
    let (_, request) = X509CertificationRequest::from_der(&der).map_err(|e| wrong(&e))?;
    Ok(digest(request.certification_request_info.subject_pki.raw))
}

/// The DNS names that a request asks for, in their order.
pub(crate) fn names_of_request(csr_pem: &str) -> Result<Vec<String>, PeerError> {
    let wrong = |why: &dyn fmt::Display| PeerError::certificate("reading a request for a certificate", why);
    let der = CertificateSigningRequestDer::from_pem_slice(csr_pem.as_bytes()).map_err(|e| wrong(&e))?;
    let request = CertificateSigningRequestParams::from_der(&der).map_err(|e| wrong(&e))?;
    let names = request.params.subject_alt_names.into_iter().filter_map(|name| match name {
        SanType::DnsName(name) => Some(name.to_string()),
        _ => None,
    });
    Ok(names.collect())
}

fn parsed<'a>(
    der: &'a CertificateDer<'_>,
) -> Result<x509_parser::certificate::X509Certificate<'a>, PeerError> {
    let (rest, certificate) = x509_parser::parse_x509_certificate(der)
        .map_err(|e| PeerError::certificate("reading a certificate", e))?;
    if rest.is_empty() {
        Ok(certificate)
    } else {
        Err(PeerError::certificate("reading a certificate", "more follows after its end"))
    }
}

fn validity_of(certificate: &x509_parser::certificate::X509Certificate<'_>) -> Result<Validity, PeerError> {
    let validity = certificate.validity();
    let starts = Timestamp::from_unix(validity.not_before.timestamp());
    let ends = Timestamp::from_unix(validity.not_after.timestamp());
    if starts > ends {
        return Err(PeerError::certificate("reading a certificate", "it ends before it begins"));
    }
    Ok(Validity { starts, ends })
}
