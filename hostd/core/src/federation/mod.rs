//! Several hosts as one cluster: founding, joining, leaving, and asking other members what only they know.
//!
//! Who belongs to the cluster is rows of the replicated state, as everything else is; the leader brings the group of
//! voters and followers in step with them (`hostd-cluster`). This module makes those rows change, and carries a host from
//! one cluster into another. It must not know how frames travel (`hostd-peer`), nor what elections are.

mod admission;
mod allowance;
mod ask;
mod certificates;
mod depart;
mod found;
mod join;
mod moving;
mod neighbours;
mod place;
mod plea;
mod recover;
mod rotation;
mod stream;
mod view;
mod whereabouts;
mod wire;

pub(crate) use ask::Ask;
pub use certificates::Certificates;
pub(crate) use certificates::Keeping;
pub(crate) use found::keys;
pub(crate) use neighbours::Neighbours;
pub use neighbours::{CodeGrant, CodeProof, CodeReply, CodeRequest, NeighbourView, NeighboursView};
pub(crate) use plea::Renewals;
pub use plea::{RenewalAnswer, RenewalHello, RenewalNonce, RenewalRequest};
pub use rotation::RotationView;
pub use view::*;
pub(crate) use wire::Wire;

use std::net::SocketAddr;

/// The addresses among `texts` that are some; what another version wrote differently is left out.
pub(crate) fn parsed(texts: &[String]) -> Vec<SocketAddr> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}
