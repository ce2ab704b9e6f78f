//! The root as one compressed file.

use std::path::Path;

use anyhow::{Context, Result};

use crate::command::Command;

/// How the root is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Compression {
    /// Quick to make; for development.
    #[value(name = "zstd-9")]
    Zstd9,
    /// About a tenth smaller, twenty times slower to make.
    #[value(name = "zstd-19")]
    Zstd19,
    /// Smallest, slowest to make and to read.
    #[value(name = "xz")]
    Xz,
}

impl Compression {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zstd9 => "zstd-9",
            Self::Zstd19 => "zstd-19",
            Self::Xz => "xz",
        }
    }

    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Zstd9 => &["-comp", "zstd", "-Xcompression-level", "9", "-b", "256K"],
            Self::Zstd19 => &["-comp", "zstd", "-Xcompression-level", "19", "-b", "1M"],
            Self::Xz => &["-comp", "xz", "-Xbcj", "x86", "-b", "1M"],
        }
    }
}

/// Packs `root` into `image`, every date in it being `epoch`.
pub fn pack(root: &Path, image: &Path, compression: Compression, epoch: u64) -> Result<()> {
    let aside = image.with_extension("part");
    if aside.exists() {
        std::fs::remove_file(&aside)?;
    }
    // mksquashfs takes the dates from SOURCE_DATE_EPOCH or from options, and refuses both
    Command::new("mksquashfs", epoch)
        .arg(root)
        .arg(&aside)
        .args(["-noappend", "-quiet", "-no-progress", "-no-exports", "-reproducible"])
        .args(compression.options())
        .run()
        .context("cannot pack the root")?;
    std::fs::rename(&aside, image)?;
    Ok(())
}
