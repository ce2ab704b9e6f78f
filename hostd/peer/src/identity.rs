//! Who this host is in its cluster: its node id, its certificate and key, whom it trusts, and the cluster's secret. One
//! file, so that no crash can leave the key of one identity beside the certificate of another.

use crate::certificate::{self, Validity, member_name};
use crate::credentials;
use crate::key_file;
use crate::{PeerError, Secret};
use hostd_types::{ClusterId, NodeId, Timestamp};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use zeroize::{Zeroize, Zeroizing};

/// The file in the directory of keys.
const FILE: &str = "member.json";

/// An identity as a member of a cluster. What it holds was checked: key, certificate, names and authorities fit.
#[derive(Clone)]
pub struct Identity {
    stored: Stored,
    validity: Validity,
}

/// What is in the file.
#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    cluster: ClusterId,
    node: NodeId,
    generation: u64,
    chain_pem: String,
    key_pem: Key,
    authorities: Vec<String>,
    secret: Secret,
}

/// A private key, PEM; wiped when dropped.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
struct Key(String);

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// A new private key and the request for a certificate over it.
pub struct Request {
    /// The key, PEM. It never leaves this host.
    pub key_pem: Zeroizing<String>,
    /// What [`Issuer::sign`](crate::Issuer::sign) wants, PEM.
    pub csr_pem: String,
}

impl Serialize for Identity {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Identity {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::check(Stored::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Identity {
    /// Makes a key and a request for a certificate as `node` of `cluster`.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn request(cluster: ClusterId, node: NodeId) -> Result<Request, PeerError> {
        let wrong = |e| PeerError::certificate("requesting a certificate", e);
        let key = KeyPair::generate().map_err(wrong)?;
        let mut params = CertificateParams::new(vec![member_name(cluster, node)]).map_err(wrong)?;
        params.distinguished_name = DistinguishedName::new();
        let csr_pem = params.serialize_request(&key).and_then(|csr| csr.pem()).map_err(wrong)?;
        Ok(Request { key_pem: Zeroizing::new(key.serialize_pem()), csr_pem })
    }

    /// An identity from its parts: `chain_pem` is the member's certificate followed by its authority's, `authorities` are
    /// the certificates (PEM) of all authorities that are trusted.
    ///
    /// # Errors
    /// The certificate is not that of `node` in `cluster`, the key is not its key, or no trusted authority signed it.
    pub fn new(
        cluster: ClusterId,
        node: NodeId,
        generation: u64,
        chain_pem: String,
        key_pem: &str,
        authorities: Vec<String>,
        secret: Secret,
    ) -> Result<Self, PeerError> {
        let key_pem = Key(key_pem.to_owned());
        Self::check(Stored { cluster, node, generation, chain_pem, key_pem, authorities, secret })
    }

    fn check(stored: Stored) -> Result<Self, PeerError> {
        let wrong = |why: &str| PeerError::certificate("checking this host's certificate", why);
        let chain = certificate::chain(&stored.chain_pem)?;
        let member = certificate::member(&chain[0])?;
        if (member.cluster, member.node) != (stored.cluster, stored.node) {
            return Err(wrong("it is another member's"));
        }
        let identity = Self { stored, validity: member.validity };
        credentials::check(&identity)?;
        Ok(identity)
    }

    /// The same identity, trusting other authorities.
    ///
    /// # Errors
    /// None of them signed this host's certificate, or one is not a certificate.
    pub fn trusting(&self, authorities: Vec<String>) -> Result<Self, PeerError> {
        Self::check(Stored { authorities, ..self.stored.clone() })
    }

    /// The same identity in another generation of the cluster.
    pub fn of_generation(&self, generation: u64) -> Self {
        Self { stored: Stored { generation, ..self.stored.clone() }, validity: self.validity }
    }

    /// The same identity with a new certificate and key.
    ///
    /// # Errors
    /// As of [`Self::new`].
    pub fn renewed(&self, chain_pem: String, key_pem: &str) -> Result<Self, PeerError> {
        Self::check(Stored { chain_pem, key_pem: Key(key_pem.to_owned()), ..self.stored.clone() })
    }

    /// The cluster.
    pub fn cluster(&self) -> ClusterId {
        self.stored.cluster
    }

    /// This host's identity in the log.
    pub fn node(&self) -> NodeId {
        self.stored.node
    }

    /// How often the cluster was recovered by hand; peers of another generation are refused.
    pub fn generation(&self) -> u64 {
        self.stored.generation
    }

    /// The member's certificate followed by its authority's, PEM.
    pub fn chain_pem(&self) -> &str {
        &self.stored.chain_pem
    }

    /// The private key, PEM.
    pub fn key_pem(&self) -> &str {
        &self.stored.key_pem.0
    }

    /// Certificates of the trusted authorities, PEM.
    pub fn authorities(&self) -> &[String] {
        &self.stored.authorities
    }

    /// The cluster's secret.
    pub fn secret(&self) -> &Secret {
        &self.stored.secret
    }

    /// From when to when the certificate holds.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// When the certificate ends.
    pub fn ends(&self) -> Timestamp {
        self.validity.ends
    }

    /// When the certificate should be renewed: after a third of its life.
    pub fn renew_at(&self) -> Timestamp {
        let Validity { starts, ends } = self.validity;
        starts.plus_seconds((ends.unix() - starts.unix()) / 3)
    }

    /// Writes the identity into the directory of keys, readable by its owner alone, aside first and then renamed.
    ///
    /// # Errors
    /// The directory can't be written.
    pub fn save(&self, dir: &Path) -> Result<(), PeerError> {
        let path = dir.join(FILE);
        let text = serde_json::to_string_pretty(&self.stored).map(Zeroizing::new);
        let text = text.map_err(|e| PeerError::Damaged { path: path.clone(), why: e.to_string() })?;
        key_file::write(dir, FILE, &text)
    }

    /// Reads the identity from the directory of keys; `None` when there is none.
    ///
    /// # Errors
    /// The file can't be read, or it is damaged.
    pub fn load(dir: &Path) -> Result<Option<Self>, PeerError> {
        let (path, text) = (dir.join(FILE), key_file::read(dir, FILE)?);
        let Some(text) = text else { return Ok(None) };
        let damaged = |why: String| PeerError::Damaged { path: path.clone(), why };
        let stored = serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))?;
        Self::check(stored).map(Some).map_err(|e| damaged(e.to_string()))
    }

    /// Removes the identity from the directory of keys, when there is one.
    ///
    /// # Errors
    /// The file can't be removed.
    pub fn forget(dir: &Path) -> Result<(), PeerError> {
        key_file::remove(dir, FILE)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("cluster", &self.stored.cluster)
            .field("node", &self.stored.node)
            .field("generation", &self.stored.generation)
            .field("validity", &self.validity)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Request(…)")
    }
}
