//! The cluster's certificate authority: made by its first host, sealed into the replicated state, and opened by whichever
//! member signs.

use crate::certificate::{self, member_name};
use crate::secret::{Secret, random};
use crate::{Fingerprint, PeerError};
use hostd_types::{Authority, ClusterId, NodeId, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SerialNumber,
};
use std::fmt;
use zeroize::Zeroizing;

/// Seconds in a day.
const DAY_S: i64 = 24 * 3600;
/// Days an authority is valid.
const AUTHORITY_DAYS: i64 = 3650;
/// Days a member's certificate is valid.
pub const MEMBER_DAYS: i64 = 90;
/// Days before now that certificates begin: clocks of members differ.
const LEEWAY_DAYS: i64 = 1;

/// An authority that can sign.
pub struct Issuer {
    pem: String,
    issuer: rcgen::Issuer<'static, KeyPair>,
}

impl Issuer {
    /// A new authority for `cluster`, valid for ten years from a day before `now`.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn generate(cluster: ClusterId, now: Timestamp) -> Result<Self, PeerError> {
        let wrong = |e| PeerError::certificate("making an authority", e);
        let mut params = CertificateParams::default();
        set_dates(&mut params, now, AUTHORITY_DAYS)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("Quantix cluster {cluster}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(wrong)?;
        let pem = params.self_signed(&key).map_err(wrong)?.pem();
        Self::new(pem, key)
    }

    /// Opens the authority that the replicated state holds. The seal covers the certificate, too.
    ///
    /// # Errors
    /// It was sealed with another secret, or key or certificate were changed since.
    pub fn unseal(authority: &Authority, secret: &Secret) -> Result<Self, PeerError> {
        let key = secret.open(&authority.sealed_key, authority.certificate.as_bytes())?;
        let key = KeyPair::from_pem(&key).map_err(|_| PeerError::Sealed)?;
        Self::new(authority.certificate.clone(), key)
    }

    fn new(pem: String, key: KeyPair) -> Result<Self, PeerError> {
        let issuer = rcgen::Issuer::from_ca_cert_pem(&pem, key)
            .map_err(|e| PeerError::certificate("reading an authority", e))?;
        Ok(Self { pem, issuer })
    }

    /// The authority as it goes into the replicated state: its key is encrypted with `secret`.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn record(&self, secret: &Secret) -> Result<Authority, PeerError> {
        let key = Zeroizing::new(self.issuer.key().serialize_pem());
        let sealed_key = secret.seal(&key, self.pem.as_bytes())?;
        let ends = certificate::validity(&self.pem)?.ends;
        Ok(Authority { certificate: self.pem.clone(), sealed_key, ends })
    }

    /// The authority's certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.pem
    }

    /// The fingerprint of the authority's certificate, by which a host that joins knows it.
    ///
    /// # Errors
    /// None for an authority made here.
    pub fn fingerprint(&self) -> Result<Fingerprint, PeerError> {
        certificate::fingerprint(&self.pem)
    }

    /// Signs a certificate for a member: valid for [`MEMBER_DAYS`], for both ends of a connection, with the member's name
    /// alone. Of the request only the key counts, whose possession it proves. The answer is the certificate followed by
    /// the authority's, PEM.
    ///
    /// # Errors
    /// The request can't be read, or its signature is not by its key.
    pub fn sign(
        &self,
        csr_pem: &str,
        cluster: ClusterId,
        node: NodeId,
        now: Timestamp,
    ) -> Result<String, PeerError> {
        let wrong = |e| PeerError::certificate("signing a certificate", e);
        let request = CertificateSigningRequestParams::from_pem(csr_pem)
            .map_err(|e| PeerError::certificate("reading a request for a certificate", e))?;
        let name = member_name(cluster, node);
        let mut params = CertificateParams::new(vec![name]).map_err(wrong)?;
        set_dates(&mut params, now, MEMBER_DAYS)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("Quantix node {node}"));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let leaf = params.signed_by(&request.public_key, &self.issuer).map_err(wrong)?.pem();
        Ok(format!("{leaf}{}", self.pem))
    }
}

fn set_dates(params: &mut CertificateParams, now: Timestamp, days: i64) -> Result<(), PeerError> {
    params.not_before = now.plus_seconds(-LEEWAY_DAYS * DAY_S).date_time();
    params.not_after = now.plus_seconds((days - LEEWAY_DAYS) * DAY_S).date_time();
    let mut serial: [u8; 16] = random()?;
    serial[0] &= 0x7f; // a positive number
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(())
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("certificate", &self.pem).finish_non_exhaustive()
    }
}
