//! What can go wrong between peers, in words an operator can act on.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why keys, certificates or the peer port can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// A certificate, key or request can't be made or read.
    #[error("{what}: {why}")]
    Certificate {
        /// What was tried.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The sealed key was not sealed with this secret, or was changed since.
    #[error(
        "the authority's key can't be opened: it was sealed with another cluster's secret, or is damaged"
    )]
    Sealed,
    /// A file can't be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds something else than what belongs there.
    #[error("{path} is damaged: {why}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The port for peers can't be opened.
    #[error("can't listen for other hosts on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// No host of the cluster to join could be reached and proved itself.
    #[error("no host of that cluster could be reached: {0}")]
    Unreachable(String),
    /// The host that was asked gave no usable answer.
    #[error("the answer of {address} can't be used: {why}")]
    Answer {
        /// Who was asked.
        address: SocketAddr,
        /// What is wrong with the answer.
        why: String,
    },
    /// The short code is wrong, or somebody stands between the two hosts.
    #[error("the code is wrong")]
    WrongCode,
    /// No answer came in time.
    #[error("no answer within {0} s")]
    Late(u64),
}

impl PeerError {
    /// Wraps what a certificate library complains about.
    pub(crate) fn certificate(what: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Certificate { what, why: why.to_string() }
    }
}

/// Why a peer gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// This host has no identity as a member at the moment.
    #[error("this host is not a member of a cluster at the moment")]
    Outside,
    /// The peer can't be reached; nothing was sent.
    #[error("can't be reached: {0}")]
    Unreachable(String),
    /// The peer says that this host was removed from the cluster. Stays until this host's identity changes.
    #[error("{0}")]
    Removed(String),
    /// The peer doesn't want to talk to this host, or not about this.
    #[error("refused: {0}")]
    Refused(String),
    /// The request went out and no answer came in time; it may have been carried out.
    #[error("no answer in time")]
    Late,
    /// The connection broke after the request went out; it may have been carried out.
    #[error("the connection broke: {0}")]
    Lost(String),
    /// The peer could not answer: its handler failed, or the answer is too long.
    #[error("the peer could not answer: {0}")]
    Failed(String),
    /// The request has so many bytes, more than [`BODY_MOST`](crate::BODY_MOST).
    #[error("a request of {0} bytes is too long for one frame")]
    TooLong(usize),
}

/// Why this host doesn't talk to a node that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The node was a member and is none any more: it must not try again as the same node.
    pub removed: bool,
    /// What the node's administrator is told.
    pub text: String,
}
