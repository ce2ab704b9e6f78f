//! The server-rendered pages.
#![allow(missing_docs, clippy::todo, unused_variables, dead_code)]
use hostd_core::Core;
/// Every page and asset, mounted at `/`.
pub fn router(core: Core) -> axum::Router { todo!() }
