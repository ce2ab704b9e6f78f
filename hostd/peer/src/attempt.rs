//! The identity a host asks for with a join token. It is kept in the directory of keys until the host has joined: asking
//! again, after a crash too, is the same join, for a token lets in one key.

use crate::identity::Identity;
use crate::{PeerError, key_file};
use hostd_types::{ClusterId, JoinTokenId, NodeId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use zeroize::{Zeroize, Zeroizing};

/// The file in the directory of keys.
const FILE: &str = "joining.json";

/// What is asked for, with the private key, which never leaves this host; wiped when dropped.
#[derive(Serialize, Deserialize)]
pub struct Attempt {
    token: JoinTokenId,
    node: NodeId,
    key_pem: String,
    csr_pem: String,
}

impl Attempt {
    /// What was asked for with `token` before, else something new, kept in the directory of keys before anybody hears of it.
    ///
    /// # Errors
    /// The directory can't be read or written, or the system gives no random numbers.
    pub fn of(dir: &Path, cluster: ClusterId, token: JoinTokenId) -> Result<Self, PeerError> {
        let kept = key_file::read(dir, FILE)?.and_then(|text| serde_json::from_str::<Self>(&text).ok());
        if let Some(kept) = kept.filter(|kept| kept.token == token) {
            return Ok(kept);
        }
        let node = NodeId::random();
        let request = Identity::request(cluster, node)?;
        let attempt = Self { token, node, key_pem: request.key_pem.to_string(), csr_pem: request.csr_pem };
        let damaged = |e: serde_json::Error| PeerError::Damaged { path: dir.join(FILE), why: e.to_string() };
        key_file::write(dir, FILE, &Zeroizing::new(serde_json::to_string(&attempt).map_err(damaged)?))?;
        Ok(attempt)
    }

    /// The identity in the cluster's log.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The private key, PEM.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// The request for a certificate over it, PEM.
    pub fn csr_pem(&self) -> &str {
        &self.csr_pem
    }

    /// Removes it from the directory of keys, when there is one.
    ///
    /// # Errors
    /// The file can't be removed.
    pub fn forget(dir: &Path) -> Result<(), PeerError> {
        key_file::remove(dir, FILE)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.key_pem.zeroize();
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("token", &self.token)
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}
