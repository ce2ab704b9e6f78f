//! When a member's certificate is renewed, and how one that the others refuse gets another.
//!
//! Members sign their own certificates, since each can open the authority's key. That needs a clock that is right, so one
//! that stands outside the present certificate is believed only when another member's says the same ([`Renewal`]).
//!
//! A host that was off while its certificate ended, or while the authority was replaced, is refused by all others, and may
//! not even know whom to trust. It asks a member for a certificate over its *present* key, which the cluster knows from
//! the host's row ([`Identity::request_again`], [`request_key`]). The answer is sealed with the cluster's secret and bound
//! to the request ([`Identity::seal_answer`], [`Identity::open_answer`]), so it proves itself: whoever connects the two does
//! not matter.
//!
//! Before that the member gives a nonce, sealed with the cluster's secret and bound to the asker's own random word
//! ([`Identity::seal_nonce`], [`Identity::open_nonce`]): who can make that is a member, whatever certificate it shows, and
//! only then it gets the request. The request names the nonce under its signature ([`request_nonce`]), so it is of use once.

use crate::certificate::{self, Fingerprint};
use crate::identity::Identity;
use crate::{PeerError, age};
use hostd_types::Timestamp;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};

/// What to do about a member's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// A third of its life is not over yet.
    NotDue,
    /// Sign a new one.
    Due,
    /// The certificate has ended or not begun by this clock, which may be wrong. Ask for another member's.
    Doubtful,
}

impl Identity {
    /// What to do about the certificate when it is `now` by this host's clock.
    pub fn renewal(&self, now: Timestamp) -> Renewal {
        if !age::plausible(now, self.validity()) {
            Renewal::Doubtful
        } else if now >= self.renew_at() {
            Renewal::Due
        } else {
            Renewal::NotDue
        }
    }

    /// The same question when another clock confirms that it is `now`.
    pub fn renewal_for_sure(&self, now: Timestamp) -> Renewal {
        if now >= self.renew_at() || now < self.validity().starts { Renewal::Due } else { Renewal::NotDue }
    }

    /// The fingerprint of the authority that signed the certificate.
    ///
    /// # Errors
    /// None: the chain was read before.
    pub fn authority(&self) -> Result<Fingerprint, PeerError> {
        let chain = certificate::chain(self.chain_pem())?;
        Ok(certificate::fingerprint_of(&chain[chain.len() - 1]))
    }

    /// The fingerprint of the certificate's public key.
    ///
    /// # Errors
    /// None: the chain was read before.
    pub fn public_key(&self) -> Result<Fingerprint, PeerError> {
        certificate::key_of(&certificate::chain(self.chain_pem())?[0])
    }

    /// Requests a certificate over the present key, PEM: the request's signature proves that this host has it now, for it
    /// covers the `nonce` of the member that is asked.
    ///
    /// # Errors
    /// The nonce is none, or the system gives no random numbers.
    pub fn request_again(&self, nonce: &str) -> Result<String, PeerError> {
        let wrong = |e| PeerError::certificate("requesting a certificate", e);
        let key = KeyPair::from_pem(self.key_pem()).map_err(wrong)?;
        let name = certificate::member_name(self.cluster(), self.node());
        let mut params = CertificateParams::new(vec![name, nonce.to_owned()]).map_err(wrong)?;
        params.distinguished_name = DistinguishedName::new();
        params.serialize_request(&key).and_then(|csr| csr.pem()).map_err(wrong)
    }

    /// The same identity with another certificate over its present key, trusting these authorities from now on.
    ///
    /// # Errors
    /// The certificate is not over this host's key, or none of them signed it.
    pub fn certified(&self, chain_pem: String, authorities: Vec<String>) -> Result<Self, PeerError> {
        let all = self.authorities().iter().cloned().chain(authorities.iter().cloned()).collect();
        self.trusting(all)?.renewed(chain_pem, self.key_pem())?.trusting(authorities)
    }

    /// Seals a nonce for a member that said `hello`.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn seal_nonce(&self, hello: &str, nonce: &str) -> Result<String, PeerError> {
        self.secret().seal_nonce(nonce, hello.as_bytes())
    }

    /// Opens the nonce that a member gave who was told `hello`.
    ///
    /// # Errors
    /// It was not made by a member of the cluster for this word.
    pub fn open_nonce(&self, hello: &str, sealed: &str) -> Result<String, PeerError> {
        self.secret().open_nonce(sealed, hello.as_bytes()).map(|text| text.to_string())
    }

    /// Seals the answer to `csr_pem` for a member that has the cluster's secret.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn seal_answer(&self, csr_pem: &str, answer: &str) -> Result<String, PeerError> {
        self.secret().seal_renewal(answer, csr_pem.as_bytes())
    }

    /// Opens the answer to `csr_pem`.
    ///
    /// # Errors
    /// It was not made by a member of the cluster for this request.
    pub fn open_answer(&self, csr_pem: &str, sealed: &str) -> Result<String, PeerError> {
        self.secret().open_renewal(sealed, csr_pem.as_bytes()).map(|text| text.to_string())
    }
}

/// The fingerprint of the key a request is over, whose possession the request proves.
///
/// # Errors
/// The request can't be read, or its signature is not by its key.
pub fn request_key(csr_pem: &str) -> Result<Fingerprint, PeerError> {
    certificate::key_of_request(csr_pem)
}

/// The nonce that a request names beside the member's name; `None` when there is none.
///
/// # Errors
/// The request can't be read, or its signature is not by its key.
pub fn request_nonce(csr_pem: &str) -> Result<Option<String>, PeerError> {
    Ok(certificate::names_of_request(csr_pem)?.into_iter().nth(1))
}
