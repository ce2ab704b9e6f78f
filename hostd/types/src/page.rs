//! Lists: cursor paging, filter and order, the same for every resource.

use crate::{FolderPlace, HostId, Problem, TagFilter};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Rows of a page when the client does not say.
pub const PAGE_DEFAULT: u32 = 50;
/// Most rows of a page.
pub const PAGE_MAX: u32 = 500;

/// What part of a list is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// Rows at most, 1 to 500; 50 when absent.
    pub limit: Option<u32>,
    /// Where the previous page ended (its `next`).
    pub cursor: Option<String>,
    /// Only rows whose name contains this text, letter case ignored.
    pub q: Option<String>,
    /// Only rows in this state (for example `running`).
    pub state: Option<String>,
    /// Only rows of this host; lists of what is on no host do not look at it.
    pub host: Option<HostId>,
    /// Only rows with this tag: `env=prod`, or `env` for any value. May be repeated; all must match. Lists of what has no
    /// tags do not look at it.
    pub tag: Option<String>,
    /// Machines in this folder alone, or in none (`top`).
    #[param(value_type = Option<String>)]
    pub folder: Option<FolderPlace>,
    /// Machines in the folders below, too.
    #[serde(default)]
    pub below: bool,
    /// Only templates, or only machines that are none; lists of anything else do not look at it.
    pub template: Option<bool>,
    /// Column to order by; each list documents its own, `name` always works.
    pub sort: Option<String>,
    /// Order descending.
    #[serde(default)]
    pub desc: bool,
}

impl ListParams {
    /// The tags asked for.
    ///
    /// # Errors
    /// `Invalid` at `/tag`.
    pub fn tags(&self) -> Result<Vec<TagFilter>, Problem> {
        let text = self.tag.as_deref().unwrap_or_default();
        TagFilter::parse_all(text).map_err(|detail| Problem::field("/tag", detail))
    }
    /// Rows at most, within the allowed range.
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX)
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Rows that match in all.
    pub total: u64,
    /// Cursor of the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
