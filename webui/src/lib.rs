//! The server-rendered pages: forms become commands, queries become pages.
//!
//! A page is a template in `templates/`, a struct and thin handlers in `pages/`, and for what people type a parser in
//! `forms/`. The crate reaches the product only through `hostd_core::Core` and registers routes only through
//! `hostd_edge::Routes`; it decides nothing about machines, disks or networks and knows no SQL and no libvirt.

mod actions;
mod assets;
mod chart;
mod deep;
mod error;
mod fields;
mod filters;
mod flash;
mod forms;
mod listing;
mod page;
mod pages;
mod place;
mod qr;
mod submission;
#[cfg(test)]
mod tests;
mod units;
mod visit;
mod wording;

use axum::routing::{any, get};
use hostd_core::Core;
use hostd_edge::{Access, Routes};

/// The door and rule of every page and asset.
pub fn routes() -> Routes<()> {
    let routes = Routes::pages(error::refuse).add(
        "/assets/{fingerprint}/{*name}",
        Access::Public("style, scripts and drawings without any data"),
        get(assets::serve),
    );
    pages::routes(routes).add("/{*rest}", Access::Signed, any(error::not_found))
}

/// Every page and asset, mounted at `/`.
pub fn router(core: Core) -> axum::Router {
    routes().with(core).finish()
}
