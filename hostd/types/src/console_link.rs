//! Links that open one machine's consoles to whoever has them, once and for a time.

use crate::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Shortest time a link is valid, seconds.
pub const CONSOLE_LINK_MIN_S: u32 = 60;
/// Longest time a link is valid, seconds: a week.
pub const CONSOLE_LINK_MAX_S: u32 = 7 * 24 * 3600;
/// Links one machine may have at a time.
pub const CONSOLE_LINKS_MAX: usize = 20;
/// What is said of a link that opens nothing, whatever is wrong with it.
pub const CONSOLE_LINK_REFUSED: &str =
    "This link was opened already, taken back, or its time is over; ask for a new one.";

/// A link to a machine's consoles; its secret is shown once, when it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConsoleLink {
    /// Identifier (not the secret).
    pub id: ConsoleLinkId,
    /// Bookkeeping.
    pub meta: Meta,
    /// The machine.
    pub vm: VmId,
    /// Whoever opens it may type; otherwise they only look.
    pub control: bool,
    /// When it ends, opened or not.
    pub expires_at: Timestamp,
    /// Who opened it. It opens once: after that only the browser that did may connect again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<ConsoleLinkUse>,
}

/// When and from where a link was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConsoleLinkUse {
    /// When.
    pub at: Timestamp,
    /// The address it was opened from; empty on the host itself.
    pub address: String,
}

/// Body of `POST /api/v1/vms/{id}/links`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShareConsole {
    /// Whoever opens it may type; otherwise they only look.
    #[serde(default)]
    pub control: bool,
    /// Seconds it is valid: 60 to 604800, a week. An hour when absent.
    #[serde(default = "an_hour")]
    pub valid_s: u32,
}

const fn an_hour() -> u32 {
    3600
}

impl Default for ShareConsole {
    fn default() -> Self {
        Self { control: false, valid_s: an_hour() }
    }
}

/// Answer of `POST /api/v1/vms/{id}/links`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewConsoleLink {
    /// The link.
    pub link: ConsoleLink,
    /// What to give away, below the address of any host of the cluster. The secret stands behind the `#`, which browsers
    /// send to nobody; it can't be shown again.
    pub path: String,
}
