//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::squashfs::Compression;

/// Builds the appliance's ISO from locked inputs.
#[derive(Debug, Parser)]
#[command(name = "image-build", version)]
pub struct Cmdline {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Build the ISO and, beside it, its list of contents (SPDX).
    Iso(IsoArgs),
    /// Resolve all inputs anew and write the lock file.
    Lock(Place),
    /// Print the Debian packages a build needs, one per line.
    Needs,
}

/// Where things are.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// The checkout.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/.."))]
    pub source: PathBuf,
    /// Where downloads and intermediate results are kept.
    #[arg(long, default_value = "target/image")]
    pub cache: PathBuf,
}

/// How to build the ISO.
#[derive(Args, Clone, Debug)]
pub struct IsoArgs {
    /// The daemon's binary, linked on Debian 12 or a system with an older C library.
    #[arg(long)]
    pub hostd: PathBuf,
    /// The crates it is linked from: name, version and licence on a line, separated by tabs.
    #[arg(long)]
    pub crates: PathBuf,
    /// The ISO to write; `.spdx.json` is added for the list of contents.
    #[arg(long)]
    pub output: PathBuf,
    /// Include firmware and microcode (the default).
    #[arg(long, overrides_with = "no_firmware")]
    pub firmware: bool,
    /// Leave firmware and microcode out.
    #[arg(long, overrides_with = "firmware")]
    pub no_firmware: bool,
    /// How the root is compressed.
    #[arg(long, value_enum, default_value = "zstd-9")]
    pub squashfs: Compression,
    /// Refuse a successor where the mirror has dropped a locked version.
    #[arg(long)]
    pub locked: bool,
    /// Take Alpine's packages from this mirror instead of the repacked base.
    #[arg(long, value_name = "URL")]
    pub alpine_mirror: Option<String>,
    /// Checkout and cache.
    #[command(flatten)]
    pub place: Place,
}
