//! Who the members of a cluster are to each other, and how they talk.
//!
//! The crate owns the cluster's certificate authority, a member's identity on disk, TLS with certificates on both sides on
//! the port for peers, the frames, the pooled connections, the addresses under which members were found, and what a host
//! needs to join: the text of an invitation, neighbours on the network and the short code between two of them, and an HTTPS
//! client that trusts one authority alone. It must not know what
//! the bytes mean that it carries: no consensus, no SQL, no HTTP API, no commands.
//!
//! A peer is known by its certificate: signed by an authority of the cluster and naming exactly
//! `node-<id>.<cluster>.internal`. Addresses prove nothing; whichever of a node's addresses leads to the right certificate
//! is taken. How certificates outside their dates are treated stands in [`Serve`] and in the module `age`.

mod address_book;
mod age;
mod attempt;
mod authority;
mod calls;
mod certificate;
mod complaints;
mod credentials;
mod dial;
mod error;
mod frame;
mod greeting;
mod identity;
mod invitation;
mod key_file;
mod link;
mod neighbours;
mod nonce;
mod outgoing;
mod pinned_post;
mod places;
mod pool;
mod reception;
mod renewal;
mod secret;
mod shared;
mod short_code;
mod signatures;
mod stream;
mod verifier;

/// The HTTPS client of a host that wants to join.
pub mod pinned {
    pub use crate::pinned_post::post;
}

pub use attempt::Attempt;
pub use authority::{Issuer, MEMBER_DAYS};
pub use certificate::{Fingerprint, Validity, fingerprint, join_name, member_name, validity};
pub use error::{LinkError, PeerError, Refusal};
pub use frame::BODY_MOST;
pub use identity::{Identity, Request};
pub use invitation::{BadInvitation, Invitation};
pub use link::{Lane, Link, Serve};
pub use neighbours::{Found, Neighbour, Search};
pub use nonce::Nonces;
pub use renewal::{Renewal, request_key, request_nonce};
pub use secret::Secret;
pub use short_code::{Answering, Asking, CodeAnswer, ShortCode};
pub use stream::{Door, PeerStream};
