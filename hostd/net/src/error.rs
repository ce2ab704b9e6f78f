//! What can go wrong, in words an operator can act on.

use crate::desired::LinkName;
use ipnet::{IpNet, Ipv4Net};

/// Why a network can't be made as it is wanted, found before anything was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The text can't be the name of a link.
    #[error(
        "{name:?} can't be the name of a network link: use 1 to 15 letters, digits, dots, dashes or underscores"
    )]
    BadName {
        /// The text, shortened.
        name: String,
    },
    /// The subnet is not one we serve.
    #[error("the subnet {subnet} can't be used: give a network address with a prefix length of 16 to 29")]
    BadSubnet {
        /// The subnet.
        subnet: Ipv4Net,
    },
    /// The subnet is also behind another link.
    #[error("the subnet {subnet} overlaps {address} on {link}: choose another subnet")]
    SubnetInUse {
        /// The subnet.
        subnet: Ipv4Net,
        /// The address that is there already.
        address: IpNet,
        /// Where it is.
        link: String,
    },
    /// The bridge's name belongs to something else.
    #[error("a link named {name} exists already and is not a bridge")]
    NotABridge {
        /// The name.
        name: LinkName,
    },
    /// The card is not there.
    #[error("there is no network card named {nic}")]
    NoNic {
        /// The card.
        nic: LinkName,
    },
    /// The card is a bridge itself.
    #[error("{nic} is a bridge itself; choose a physical card")]
    NicIsBridge {
        /// The card.
        nic: LinkName,
    },
    /// The card is neither physical nor a stand-in for a physical one.
    #[error("{nic} is not a physical network card")]
    NotPhysical {
        /// The card.
        nic: LinkName,
    },
    /// Access points drop frames of other senders.
    #[error("{nic} is wireless: a wireless card can't carry the frames of guests; use a NAT network instead")]
    Wireless {
        /// The card.
        nic: LinkName,
    },
    /// The card is in use by another bridge or bond.
    #[error("{nic} belongs to {master} already")]
    Taken {
        /// The card.
        nic: LinkName,
        /// What it is a port of.
        master: String,
    },
    /// Routes over several links at once can't follow one of them.
    #[error("{nic} carries a route over several links, which can't be moved to a bridge")]
    SharedRoute {
        /// The card.
        nic: LinkName,
    },
}

/// Why an operation on the host's network failed.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// What is wanted is refused; nothing was changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The kernel or the system lacks something.
    #[error("this host lacks {feature}: {message}")]
    Unsupported {
        /// What is missing, with the name of the module or package.
        feature: &'static str,
        /// What was said.
        message: String,
    },
    /// An operation failed.
    #[error("{operation}: {message}")]
    Call {
        /// What was tried.
        operation: String,
        /// Why it failed.
        message: String,
    },
    /// Something that should have come true did not in time.
    #[error("{what} did not happen within {seconds} s")]
    Late {
        /// What was waited for.
        what: String,
        /// The deadline.
        seconds: u64,
    },
    /// Bridging a card failed; the card has its addresses and routes back.
    #[error("putting {nic} into a bridge failed and was undone: {cause}")]
    Undone {
        /// The card.
        nic: LinkName,
        /// Why it failed.
        cause: Box<NetError>,
    },
    /// Bridging a card failed, and so did giving it its addresses back.
    #[error("putting {nic} into a bridge failed ({cause}) and undoing it failed too: {undo}")]
    Stuck {
        /// The card.
        nic: LinkName,
        /// Why it failed.
        cause: Box<NetError>,
        /// Why it could not be undone.
        undo: Box<NetError>,
    },
}

impl NetError {
    /// Trying the same again soon may help. After a failed bridging it must not: each try cuts the host off for a moment.
    pub fn retryable(&self) -> bool {
        match self {
            NetError::Call { .. } | NetError::Late { .. } => true,
            NetError::Refused(_)
            | NetError::Unsupported { .. }
            | NetError::Undone { .. }
            | NetError::Stuck { .. } => false,
        }
    }

    /// `operation` failed because of `cause`, told with all its own causes.
    pub(crate) fn call(operation: impl Into<String>, cause: &dyn std::error::Error) -> Self {
        NetError::Call { operation: operation.into(), message: chain(cause) }
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
