//! Reads: replicated rows joined with what this host sees at this moment.

mod cluster;
mod cpu;
mod diagnosis;
mod folder;
mod host;
mod image;
mod network;
mod notice;
mod silence;
mod snapshot;
mod specification;
mod task;
mod vm;
mod volume;

pub use network::Leased;
#[cfg(test)]
pub(crate) use notice::tests;
pub use silence::HostSight;

use hostd_types::{Page, Problem};

/// The same page with other rows.
fn page<T, U>(of: Page<T>, items: Vec<U>) -> Page<U> {
    Page { items, total: of.total, next: of.next }
}

/// The row, or that there is none.
fn found<T>(row: Option<T>, what: &str, id: impl std::fmt::Display) -> Result<T, Problem> {
    row.ok_or_else(|| Problem::not_found(what, id))
}
