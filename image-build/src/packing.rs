//! What the stages that turn Debian packages into one of ours have in common.

use std::path::Path;

use crate::alpine::Apk;
use crate::debian::Deb;

/// Inputs and outputs of one such stage.
#[derive(Clone, Copy)]
pub struct Packing<'a> {
    /// Packs and signs.
    pub apk: &'a Apk,
    /// What is unpacked.
    pub debs: &'a [Deb],
    /// The checkout's `os` directory: lists and scripts.
    pub os: &'a Path,
    /// A directory the stage may make and remove.
    pub scratch: &'a Path,
    /// Receives one copyright file a package.
    pub texts: &'a Path,
    /// Made anew; receives the package.
    pub into: &'a Path,
    /// The build's one point in time.
    pub epoch: u64,
}

/// Version of a package made from Debian's: the upstream part, as apk writes versions.
pub fn apk_version(debian: &str) -> String {
    let upstream = debian.split_once(':').map_or(debian, |(_, v)| v);
    let upstream = upstream.split(['-', '+', '~']).next().unwrap_or(upstream);
    format!("{upstream}-r0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(apk_version("11.3.0-3+deb13u3"), "11.3.0-r0");
        assert_eq!(apk_version("1:10.0.8+ds-0+deb13u1"), "10.0.8-r0");
        assert_eq!(apk_version("3.20251111.1~deb13u1"), "3.20251111.1-r0");
    }
}
