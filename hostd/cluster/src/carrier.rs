//! How frames get to other members. The crate knows no TLS and no address: whoever opens it brings a carrier.

use futures_util::future::BoxFuture;
use hostd_types::NodeId;
use std::time::Duration;

/// Carries frames to members and brings their answers back.
pub trait Carrier: Send + Sync + 'static {
    /// Sends `frame` to `to` and waits for its answer at most `within`.
    ///
    /// # Errors
    /// [`CarryError`]; the frame may have arrived all the same.
    fn call(
        &self,
        to: NodeId,
        lane: Lane,
        frame: Vec<u8>,
        within: Duration,
    ) -> BoxFuture<'_, Result<Vec<u8>, CarryError>>;
}

/// Frames of one lane don't wait for those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Small and urgent: elections, heartbeats, entries.
    Consensus,
    /// Everything that may be large or slow: proposals, snapshots.
    Work,
}

/// Why a frame was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CarryError {
    /// Nobody answers there in time.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// The member says that this host was removed from the cluster.
    #[error("removed: {0}")]
    Removed(String),
    /// The member does not talk to this host.
    #[error("refused: {0}")]
    Refused(String),
}

/// A host that nobody else belongs to: there is no way to anybody.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCarrier;

impl Carrier for NoCarrier {
    fn call(
        &self,
        to: NodeId,
        _lane: Lane,
        _frame: Vec<u8>,
        _within: Duration,
    ) -> BoxFuture<'_, Result<Vec<u8>, CarryError>> {
        Box::pin(async move { Err(CarryError::Unreachable(format!("there is no way to member {to}"))) })
    }
}
