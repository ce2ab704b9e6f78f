//! Saved views: what somebody likes to see of a list, under a name.

use crate::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Most saved views of one user.
pub const VIEWS_MAX: u64 = 100;
/// Longest query of a view, bytes.
pub const VIEW_QUERY_MAX: usize = 1024;

/// A list that views are saved of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ListName {
    /// Machines.
    Vms,
    /// Volumes.
    Volumes,
    /// Images.
    Images,
    /// Networks.
    Networks,
    /// Tasks.
    Tasks,
    /// Events.
    Events,
}

impl ListName {
    /// Every list.
    pub const ALL: [ListName; 6] = [
        ListName::Vms,
        ListName::Volumes,
        ListName::Images,
        ListName::Networks,
        ListName::Tasks,
        ListName::Events,
    ];

    /// Its name on the wire, and its path.
    pub const fn as_str(self) -> &'static str {
        match self {
            ListName::Vms => "vms",
            ListName::Volumes => "volumes",
            ListName::Images => "images",
            ListName::Networks => "networks",
            ListName::Tasks => "tasks",
            ListName::Events => "events",
        }
    }
}

/// A saved view. It is its user's alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SavedView {
    /// Identifier.
    pub id: ViewId,
    /// Whose; absent when it is of the local console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// Name, unique among the user's views of this list, letter case ignored.
    pub name: String,
    /// The list.
    pub list: ListName,
    /// Filter and order, as in the list's address: `state=running&tag=env%3Dprod`.
    pub query: String,
    /// When it was last saved.
    pub saved_at: Timestamp,
}

/// Body of `POST /api/v1/views`. One of the same name is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SaveView {
    /// Name: 1 to 63 characters.
    pub name: String,
    /// The list.
    pub list: ListName,
    /// Filter and order, as in the list's address; empty for everything.
    #[serde(default)]
    pub query: String,
}
